"""Every kind of picture in every format, and errors that say why there is none."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import ModelError, UsageError
from aecli.model_directory.read import read_spec, read_weights
from aecli.model_directory.save import save
from aecli.reporting.figures import PANELS
from aecli.reporting.report import PICTURE_KINDS
from tests.reporting.searches import save_search

STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
NAME = "$x_1$ <b> [/red]"

SHOWS = {
    "loss": "Curve of the total loss over 2 epochs",
    "gradients": "gradient norms",
    "search": "Values of 3 trials, 1 of them cut short, and the best so far",
    "importance": "Bars of the importance of 2 options; lr has 75.0 %",
    "options": "over their lr; the best has 0.002",
    "columns": "errors of 2 columns",
    "rows": "Table of the best row",
    "map": "coloured by label",
    "activations": "Histogram of latent values",
    "units": "Bars of the units' spread",
    "correlation": "correlations of 2 latent units",
    "traversal": "how far columns go with unit z0",
    "confusion": "Confusion matrix of 2 classes",
    "calibration": "accuracy over confidence",
    "scores": "Histogram of scores",
    "anomalous": "Table of the 10 oddest rows",
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


def test_rows_that_are_images_are_drawn_as_such(tmp_path):
    pixels = pa.table({f"p{i}": np.random.default_rng(i).random(30) for i in range(12)})
    aecli.train(pixels, model=tmp_path / "m", epochs=1, latent=2, device="cpu", threads=1)
    for kind, alt in (("rows", "Grid of 12 images"), ("traversal", "Grid of decoded images")):
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
