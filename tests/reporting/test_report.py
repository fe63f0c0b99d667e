"""Reports: described figures, every name as text, self-contained, small."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError, ModelError, OutputError, UsageError
from aecli.model_directory.read import read_spec, read_weights
from aecli.model_directory.save import save
from aecli.reporting.report import report
from tests.reporting.reading import Page
from tests.reporting.searches import TRIALS, save_search

NAMES = ("<script>alert(1)</script>", "[/red]", "$\\frac{a}{b}$", "größe ✓")
QUICK: dict[str, Any] = {"epochs": 1, "encoder": [8, 2], "device": "cpu", "threads": 1}


def table(rows: int = 120) -> pa.Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    return pa.table(
        {
            "id": [f"row {i}" for i in range(rows)],
            NAMES[0]: x,
            NAMES[1]: np.where(rng.random(rows) > 0.5, "<b>bold</b>", "[bold]x"),
            NAMES[2]: 2 * x + rng.normal(size=rows) / 9,
            NAMES[3]: pa.array(np.where(np.arange(rows) % 5, x, np.nan), from_pandas=True),
            "label": np.where(x > 0, "<i>up</i>", "$down$"),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "m"
    options = QUICK | {"epochs": 3}
    aecli.train(table(), model=folder, label="label", id=["id"], log_gradients=True, **options)
    return folder


def reported(model: Path, data: Any, folder: Path, **options: Any) -> Page:
    result = report(data, str(folder / "r.html"), model=model, device="cpu", **options)
    text = (folder / "r.html").read_text(encoding="utf-8")
    assert result.bytes == len(text.encode()) < 1_000_000
    page = Page(text)
    page.check()
    assert result.figures == len(page.alts)
    return page


@pytest.fixture(scope="module")
def full_page(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a model and the rows it was trained on."""
    return reported(model, table(), tmp_path_factory.mktemp("full"), seen=True)


def test_a_page_shows_every_section_and_every_name_as_text(full_page):
    page = full_page
    for heading in ("Training", "Columns", "Rows", "Label", "Scores", "Latent", "The model"):
        assert heading in page.text
    for name in (*NAMES, "[bold]x"):
        assert name in page.text
    for name in (*NAMES, "<i>up</i>", "$down$"):
        assert name in page.drawn
    assert "Gradient norms" in page.text
    assert "The best row" in page.text
    assert page.text.count("row ") > 10  # the oddest rows have their identifiers


def test_the_summary_says_what_a_person_would(full_page):
    text = full_page.text
    assert "those it was trained on, so that new rows will come back worse" in text
    assert "turns 4 columns of each row into 2 numbers and back" in text
    assert "of 3 was the best" in text
    assert "of the numbers' variance (PCA of the same size" in text
    assert "The label comes out right for" in text
    assert "above the threshold" in text


def test_without_a_table_the_page_has_what_the_model_shows(model, tmp_path):
    page = reported(model, None, tmp_path)
    assert "The model alone, without a table" in page.text
    assert "On held-out rows it explains" in page.text
    assert "Scores" not in page.text
    first = (tmp_path / "r.html").read_bytes()
    reported(model, None, tmp_path)
    assert (tmp_path / "r.html").read_bytes() == first


def test_a_tuned_model_shows_its_search(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    trials = [{**trial, "options": {"activation": NAMES[0]}} for trial in TRIALS]
    save_search(tmp_path / "m", trials=trials, importance={}, objective=NAMES[1])
    page = reported(tmp_path / "m", None, tmp_path)
    sentence = "Its options are the best of 3 trials: [/red] is 0.50000, with the defaults 0.90000."
    assert sentence in page.text
    assert f"activation={NAMES[0]} (pruned)" in page.text
    assert "Note: a [/note]." in page.text
    assert "What mattered" not in page.text  # importance takes more trials
    assert "Search" not in reported(model, None, tmp_path).text


def test_without_a_history_the_page_has_no_curves(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    spec = read_spec(tmp_path / "m")
    save(tmp_path / "m", spec, read_weights(tmp_path / "m", spec), [])
    page = reported(tmp_path / "m", table(20), tmp_path)
    assert "Loss" not in page.text
    assert "Columns" in page.text
    assert "those it was trained on" not in page.text


def test_without_the_label_column_there_is_no_confusion(model, tmp_path):
    page = reported(model, table(20).drop_columns("label"), tmp_path)
    assert "Confusion" not in page.text
    assert "coloured by how odd the rows are" in page.text


def test_one_row_and_one_column_make_a_page(tmp_path):
    one = pa.table({"x": np.random.default_rng(0).normal(size=40)})
    aecli.train(one, model=tmp_path / "m", valid="none", **QUICK)
    page = reported(tmp_path / "m", one.slice(0, 1), tmp_path)
    assert "turns 1 column of each row" in page.text
    assert "training rows only" in page.text


def test_a_thousand_columns_fit_on_a_page(tmp_path):
    rng = np.random.default_rng(0)
    wide = pa.table({f"column number {i}": rng.normal(size=8) for i in range(1_000)})
    aecli.train(wide, model=tmp_path / "m", **QUICK)
    page = reported(tmp_path / "m", wide, tmp_path)
    assert "The first 20 of 1,000" in page.text
    assert "700 columns more: aecli evaluate --all-columns" in page.text


@pytest.mark.parametrize("arch", ["vanilla", "conv1d", "lstm", "transformer"])
def test_a_model_of_windows_is_drawn_as_signals(arch, tmp_path):
    wave = pa.table({"wave": np.sin(np.arange(80) / 5), "flag": np.arange(80) % 3 == 0})
    options = QUICK | {"encoder": None, "latent": 1}
    aecli.train(wave, model=tmp_path / "m", arch=arch, window=8, **options)
    page = reported(tmp_path / "m", wave, tmp_path)
    assert "turns 2 columns of each window of 8 rows into 1 number" in page.text
    assert "around the oddest window" in page.text
    assert "unit z0, in the column that it moves most, wave" in page.text


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_images_is_drawn_as_images(channels, tmp_path):
    rng = np.random.default_rng(0)
    pixels = pa.table({f"p{i}": rng.random(30) for i in range(16 * channels)})
    options = QUICK | {"encoder": None, "latent": 1}
    shape = f"4x4x{channels}"
    aecli.train(pixels, model=tmp_path / "m", arch="conv2d", shape=shape, **options)
    page = reported(tmp_path / "m", pixels, tmp_path)
    assert "The worst, median and best rows: inputs, reconstructions, differences" in page.text
    assert "What units z0 do" in page.text


def test_a_variational_model_without_a_label_makes_a_page(tmp_path):
    plain = table().drop_columns(["label"])
    aecli.train(plain, model=tmp_path / "m", variational=True, **QUICK)
    page = reported(tmp_path / "m", plain, tmp_path)
    assert "This variational autoencoder" in page.text
    assert "kl_normal" in page.drawn


def test_models_are_shown_side_by_side(model, tmp_path):
    aecli.train(table(), model=tmp_path / "<b>", label="label", id=["id"], l1=0.1, **QUICK)
    page = reported(model, table(), tmp_path, side_by_side=[tmp_path / "<b>"])
    assert "2 models side by side" in page.text
    assert page.drawn.count("/<b>\n") >= 5  # losses, columns, scores
    assert "not compared, since the models differ in losses, or their weights: total" in page.text
    assert f"{model.parent.name}/m. Latents of 120 rows" in page.text
    assert "Error of each column in every model" in page.text
    saved = reported(model, None, tmp_path, side_by_side=[tmp_path / "<b>"])
    assert "The models alone, without a table" in saved.text


def test_models_of_other_columns_are_not_shown_side_by_side(model, tmp_path):
    aecli.train(table().select([NAMES[0], NAMES[2]]), model=tmp_path / "b", **QUICK)
    with pytest.raises(UsageError, match="do not read the same columns") as caught:
        report(None, str(tmp_path / "r.html"), model=model, side_by_side=[tmp_path / "b"])
    assert NAMES[1] in caught.value.facts[0]
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("kind", "data", "options"),
    [
        (DataError, table(3).slice(0, 0), {}),
        (DataError, "nowhere.csv", {}),
        (ModelError, None, {"model": "nowhere"}),
        (OutputError, None, {"output": "nowhere/r.html"}),
        (UsageError, table(3), {"shape": "7x7"}),
        (UsageError, table(3), {"shape": "3by1"}),
    ],
)
def test_what_cannot_be_reported_leaves_no_file(kind, data, options, model, tmp_path):
    path = tmp_path / options.pop("output", "r.html")
    with pytest.raises(kind):
        report(data, str(path), **({"model": model} | options))
    assert not path.exists()
