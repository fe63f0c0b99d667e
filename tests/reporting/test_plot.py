"""Every kind of picture in every format, and errors that say why there is none."""

from __future__ import annotations

import shutil
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

import aecli
from aecli.errors import ModelError, UsageError
from aecli.model_directory.read import read_spec, read_weights
from aecli.model_directory.save import save
from aecli.reporting.collect import collect
from aecli.reporting.data import CollectOptions
from aecli.reporting.figures import PANELS
from aecli.reporting.figures.card import card_panels
from aecli.reporting.picture_kinds import PICTURE_KINDS
from aecli.reporting.style import matplotlib_settings
from aecli.schema.read_options import ReadOptions
from aecli.table.source import open_source
from tests.reporting.searches import save_search

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
NAME = "$x_1$ <b> [/red]"

SHOWS = {
    "card": "Numbers, variance explained",
    "loss": "Curve of the total loss over 2 epochs",
    "gradients": "gradient norms",
    "search": "Values of 3 trials, 1 of them pruned, and the best so far",
    "importance": "Bars of the importance of 2 options; lr has 75.0 %",
    "options": "over their lr; the best has 0.002",
    "columns": "errors of 2 columns",
    "rows": "Table of the best row",
    "map": "coloured by label",
    "activations": "Histogram of latent values",
    "units": "Bars of the units' spread",
    "correlation": "correlations of 2 latent units",
    "traversal": "change of columns with unit z0",
    "confusion": "Confusion matrix of 2 classes",
    "calibration": "accuracy over confidence",
    "scores": "Histogram of scores",
    "anomalous": "Table of the 10 most anomalous rows",
}


def table(rows: int = 60) -> pa.Table:
    x = np.random.default_rng(0).normal(size=rows)
    return pa.table({NAME: x, "b": x * x, "label": np.where(x > 0, "up", "down")})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plot") / "m"
    aecli.train(
        table(), model=folder, label="label", log_gradients=True, epochs=2, encoder=[8, 2],
        device="cpu", threads=1,
    )  # fmt: skip
    save_search(folder)
    return folder


def test_every_kind_has_a_name_and_a_drawing():
    assert set(PICTURE_KINDS) == set(PANELS) == set(SHOWS)


@pytest.mark.parametrize("number", range(len(PICTURE_KINDS)))
def test_every_kind_is_drawn_and_described(number, model, tmp_path):
    kind, format = PICTURE_KINDS[number], list(STARTS)[number % 3]
    path = tmp_path / f"picture.{format}"
    result = aecli.plot(kind, table(), str(path), model=model, device="cpu", threads=1)
    assert path.read_bytes().startswith(STARTS[format])
    assert result.bytes == path.stat().st_size < 400_000
    assert result.panels == len(result.shows)
    assert any(SHOWS[kind] in text for text in result.shows)


@pytest.mark.parametrize("format", STARTS)
def test_the_ending_of_the_name_is_the_format(format, model, tmp_path):
    path = tmp_path / f"LOSS.{format.upper()}"
    aecli.plot("loss", None, str(path), model=model)
    assert path.read_bytes().startswith(STARTS[format])


def test_a_name_with_markup_is_written_as_it_is(model, tmp_path):
    path = tmp_path / "columns.svg"
    aecli.plot("columns", table(), str(path), model=model, device="cpu", threads=1)
    texts = ["".join(e.itertext()) for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert NAME in texts


def card_texts(data: pa.Table, model: Path, folder: Path) -> str:
    """Draw a card as png, and return the texts of the same card as svg."""
    for name in ("card.png", "card.svg"):
        aecli.plot("card", data, str(folder / name), model=model, device="cpu", threads=1)
    width, height = struct.unpack(">II", (folder / "card.png").read_bytes()[16:24])
    assert (width, height) == (1200, 630)
    svg = "{http://www.w3.org/2000/svg}"
    texts = list(ET.parse(folder / "card.svg").iter(f"{svg}text"))
    return "\n".join("".join(element.itertext()) for element in texts)


def test_a_card_has_the_verdict_the_tiles_and_the_classes(model, tmp_path):
    texts = card_texts(table(), model, tmp_path)
    for text in ("Reconstructs", "Numbers, variance explained", "Label label, correct", "of 60"):
        assert text in texts
    for text in ("60 rows · 2 columns → 2 numbers", "up", "down", "Largest errors by column"):
        assert text in texts


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"x" * 300: [0.5, 1.25, 4.0] * 10}, {}),
        ({"שלום 🎉": [0.5, 1.25, 4.0] * 10, "<script>": ["a", "b", "c"] * 10}, {}),
        ({"constant": [1.0] * 30, "flag": [True, False, False] * 10}, {}),
        ({"x": [0.5, 1.25, 4.0] * 10, "y": ["$a$", "b", "$a$"] * 10}, {"label": "y"}),
        ({f"c{i}": [0.5 + i, 1.25, 4.0] * 10 for i in range(1_000)}, {}),
        ({"x": [0.5, 1.25, 4.0] * 10, "y": list("abc") * 10}, {"label": "y", "reconst_weight": 0}),
    ],
    ids=["long name", "scripts", "constant", "label", "wide", "encoder only"],
)
@pytest.mark.parametrize("rows", [1, 30])
def test_a_card_of_any_table_stays_within_its_edges(rows, columns, options, tmp_path):
    data = pa.table(columns)
    aecli.train(data, model=tmp_path / ("m" * 80), epochs=1, device="cpu", threads=1, **options)
    read = open_source(data.slice(0, rows), ReadOptions())
    [panel] = card_panels(collect(tmp_path / ("m" * 80), read, CollectOptions(device="cpu")))
    with matplotlib_settings():
        figure = Figure(figsize=panel.size, dpi=200)
        panel.draw(figure)
        figure.draw_without_rendering()
        boxes = {t.get_text(): t.get_window_extent() for t in figure.findobj(Text) if t.get_text()}
    assert len(boxes) >= 8
    inside = Bbox.from_bounds(0, 0, 1200, 630)
    assert not [t for t, b in boxes.items() if Bbox.union([b, inside]).size.tolist() != [1200, 630]]


def test_rows_that_are_images_are_drawn_as_such(tmp_path):
    pixels = pa.table({f"p{i}": np.random.default_rng(i).random(30) for i in range(12)})
    aecli.train(pixels, model=tmp_path / "m", epochs=1, latent=2, device="cpu", threads=1)
    alts = {"rows": "Grid of 12", "traversal": "Grid of decoded images", "card": "Card of m"}
    for kind, alt in alts.items():
        path = str(tmp_path / "x.png")
        result = aecli.plot(kind, pixels, path, model=tmp_path / "m", shape="3x4", device="cpu")
        assert (result.panels, result.shows[0].startswith(alt)) == (1, True)


def test_options_are_drawn_by_the_names_of_the_search(model, tmp_path):
    shown = aecli.plot("options", None, str(tmp_path / "o.svg"), model=model).shows
    assert [text.partition("their ")[2] for text in shown] == [
        "lr; the best has 0.002",
        "depth; the best has 2",
        "noise; the best has mask",
        "width; the best has 16",
    ]
    assert shown[0].startswith("Dots, val_loss of 3 trials")  # the defaults have an lr too


def test_a_trial_that_was_pruned_has_no_auroc(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    save_search(tmp_path / "m", objective="auroc", direction="maximize", best=1)
    shown = aecli.plot("search", None, str(tmp_path / "x.png"), model=tmp_path / "m").shows
    assert shown[0].startswith("Values of 2 trials, and the best so far; best auroc")


def test_the_search_of_the_model_before_is_not_drawn(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    save_search(tmp_path / "m")
    old = read_spec(tmp_path / "m")
    save(tmp_path / "m", old, read_weights(tmp_path / "m", old), [])
    with pytest.raises(UsageError, match="search has nothing to show: the model was not tuned"):
        aecli.plot("search", None, str(tmp_path / "x.png"), model=tmp_path / "m")


def test_a_search_with_an_incomplete_trial_is_damaged(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    save_search(tmp_path / "m", trials=[{"number": 1}])
    with pytest.raises(ModelError, match=r"tuning-[0-9a-f]{12}\.json is damaged"):
        aecli.plot("search", None, str(tmp_path / "x.png"), model=tmp_path / "m")


@pytest.mark.parametrize(
    ("kind", "data", "output", "message"),
    [
        ("lose", None, "x.png", "there is no picture 'lose'"),
        ("loss", None, "x.gif", "a picture is png, svg, pdf"),
        ("map", None, "x.png", "plot map needs a table"),
        ("confusion", table(5).drop_columns("label"), "x.png", "or the table no label"),
        ("map", table(1), "x.png", "the table has too few rows"),
    ],
)
def test_what_cannot_be_drawn_says_why(kind, data, output, message, model, tmp_path):
    with pytest.raises(UsageError, match=message) as caught:
        aecli.plot(kind, data, str(tmp_path / output), model=model, device="cpu", threads=1)
    assert caught.value.hint
    assert not (tmp_path / output).exists()
