"""Reports: described figures, every name as text, self-contained, small."""

from __future__ import annotations

import re
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
from aecli.scoring.explanation import reason_text
from tests.reporting.reading import Page
from tests.reporting.searches import TRIALS, save_search

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

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
    options = QUICK | {"epochs": 30}
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
    anchors = ("columns", "map", "anomalies", "label", "rows", "units", "training", "reproduce")
    assert [anchor for anchor in anchors if anchor not in page.anchors] == []
    for name in (*NAMES, "<b>bold</b>", "[bold]x", "<i>up</i>", "$down$"):
        assert name in page.text
    for name in ("<i>up</i>", "$down$"):
        assert name in page.drawn
    assert "Gradient norms" in page.text
    assert "The best row" in page.text


def test_the_first_screen_judges_the_model(full_page):
    first = full_page.text.partition("What is lost, column by column")[0]
    assert re.search(r"Reconstructs .* (than|as) .*PCA", first)
    assert "2 numbers per row keep" in first
    assert re.search("beats? PCA", first)
    assert re.search(r"Predicts label \d+\.\d points better than the most frequent class", first)
    assert "These are rows of the training; on new rows the figures are lower." in first
    for tile in ("Numbers, variance explained", "Categories, correct", "Anomalous rows"):
        assert tile in first
    assert re.search(r"highest: id row \d+ \(", first)  # which rows, and for which column


def test_anomalous_rows_are_sentences_with_anchors_and_all_columns(full_page):
    rows = [anchor for anchor in full_page.anchors if anchor.startswith("row-")]
    assert len(rows) >= 10
    links = {link[1:] for link in full_page.links if link.startswith("#row-")}
    assert links
    assert links <= {*rows}
    assert "Rows are named by id; links number them from 0." in full_page.text
    number = rows[0].removeprefix("row-")
    assert f"id row {number}: " in full_page.text
    assert re.search(r"expected.*; [\d.,]+x the usual error", full_page.text)


def test_a_single_wrong_cell_is_explained_by_its_row_number_and_value(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    values = {"x": x, "total": 50 + 10 * x + rng.normal(size=200) / 10}
    aecli.train(pa.table(values), model=tmp_path / "m", latent=1, epochs=5, device="cpu")
    values["total"][137] = values["total"][3] = 99_999
    page = reported(tmp_path / "m", pa.table(values), tmp_path)
    assert "row 137: total is 99,999, expected" in page.text.replace("row 3:", "row 137:")
    assert "1 more row with this value of total" in page.text
    assert {"row-3", "row-137"} <= {*page.anchors}
    scored = aecli.score(pa.table(values), model=tmp_path / "m", device="cpu")
    reason = reason_text(scored.anomalous[0].reasons[0])
    assert reason in page.text
    assert "Rows are numbered from 0, as pandas does." in page.text


def test_without_a_table_the_page_has_what_the_model_shows(model, tmp_path):
    page = reported(model, None, tmp_path)
    assert "the model alone, without a table" in page.text
    assert "on held-out rows" in page.text
    assert {"columns", "map", "anomalies"} & {*page.anchors} == set()
    first = (tmp_path / "r.html").read_bytes()
    reported(model, None, tmp_path)
    assert (tmp_path / "r.html").read_bytes() == first


def test_the_page_says_how_to_train_the_model_again(model, tmp_path):
    text = reported(model, None, tmp_path).text
    spec = read_spec(model)
    assert "aecli train DATA --label label --id id --encoder 8,2" in text
    assert "; DATA is the training table" in text
    assert spec.weights.sha256 in text
    assert spec.digest in text
    assert f"torch {spec.versions['torch']}" in text


def test_the_command_names_one_file_and_not_one_of_several(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    spec, weights = read_spec(model), read_weights(model, read_spec(model))
    for table_name, command in (
        ("a b.csv", "aecli train 'a b.csv' --label"),
        ("a b.csv (2 files)", "aecli train DATA --label"),
    ):
        save(tmp_path / "m", spec.model_copy(update={"table": table_name}), weights, [])
        text = reported(tmp_path / "m", None, tmp_path).text
        assert command in text
        assert ("in the folder of the table" in text) == ("DATA" not in command)


def test_rows_of_many_classes_have_all_their_predictions(tmp_path):
    rng = np.random.default_rng(0)
    kinds = np.tile([f"k{i}" for i in range(22)], 10)
    rows = pa.table({"x": rng.normal(size=220), "kind": kinds})
    aecli.train(rows, model=tmp_path / "m", label="kind", **QUICK)
    page = reported(tmp_path / "m", rows, tmp_path)
    assert "The 20 most frequent of 22 classes." in page.text
    assert re.search(r"others\s*rows", page.text)


def test_a_tuned_model_shows_its_search(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    trials = [{**trial, "options": {"activation": NAMES[0]}} for trial in TRIALS]
    save_search(tmp_path / "m", trials=trials, importance={}, objective=NAMES[1])
    page = reported(tmp_path / "m", None, tmp_path)
    sentence = "The options are the best of 3 trials: [/red] is 0.50000, with the defaults 0.90000."
    assert sentence in page.text
    assert f"activation={NAMES[0]} (pruned)" in page.text
    assert "Note: a [/note]." in page.text
    assert "Importance: " not in page.text  # importance takes more trials
    assert "search" not in reported(model, None, tmp_path).anchors


def test_without_a_history_the_page_has_no_curves(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    spec = read_spec(tmp_path / "m")
    save(tmp_path / "m", spec, read_weights(tmp_path / "m", spec), [])
    page = reported(tmp_path / "m", table(20), tmp_path)
    assert [alt for alt in page.alts if alt.startswith("Loss")] == []
    assert "columns" in page.anchors
    assert "rows of the training" not in page.text


def test_without_the_label_column_there_is_no_confusion(model, tmp_path):
    page = reported(model, table(20).drop_columns("label"), tmp_path)
    assert "label" not in page.anchors
    assert "the highest 5 % of the anomaly scores" in page.text


def test_one_row_and_one_column_make_a_page(tmp_path):
    one = pa.table({"x": np.random.default_rng(0).normal(size=40)})
    aecli.train(one, model=tmp_path / "m", valid="none", **QUICK)
    page = reported(tmp_path / "m", one.slice(0, 1), tmp_path)
    assert "1 column → 2 numbers → 1 column" in page.text
    assert "validation rows" not in page.text
    assert "1 row is too few to compare models." in page.text
    assert "The median row" in page.text
    assert "The best row" not in page.text  # it is the same row
    assert not re.search(r"hardly var|better than|worse on|0 of 1 row score", page.text)


def test_a_thousand_columns_fit_on_a_page(tmp_path):
    rng = np.random.default_rng(0)
    wide = pa.table({f"column number {i}": rng.normal(size=8) for i in range(1_000)})
    aecli.train(wide, model=tmp_path / "m", **QUICK)
    page = reported(tmp_path / "m", wide, tmp_path)
    assert "700 columns more: aecli evaluate --all-columns" in page.text


@pytest.mark.parametrize("arch", ["vanilla", "conv1d", "lstm", "transformer"])
def test_a_model_of_windows_is_drawn_as_signals(arch, tmp_path):
    wave = pa.table({"wave": np.sin(np.arange(80) / 5), "flag": np.arange(80) % 3 == 0})
    options = QUICK | {"encoder": None, "latent": 1}
    aecli.train(wave, model=tmp_path / "m", arch=arch, window=8, **options)
    page = reported(tmp_path / "m", wave, tmp_path)
    assert "2 columns × 8 rows → 1 number → 2 columns" in page.text
    assert "Anomalous episodes" in page.text
    assert any(alt.startswith("Anomaly scores from row 7 to row 79") for alt in page.alts)
    assert "unit z0, in the column that it changes most, wave" in page.text


def test_anomalous_windows_are_joined_into_episodes_named_by_their_times(tmp_path):
    times = np.arange("2024-01-01", "2024-01-31", dtype="datetime64[h]").astype("datetime64[ms]")
    wave = np.sin(np.arange(len(times)) / 4)
    rows = {"at": times, "wave": wave, "other": np.cos(np.arange(len(times)) / 4)}
    options = QUICK | {"encoder": None, "latent": 2, "epochs": 30}
    aecli.train(pa.table(rows), model=tmp_path / "m", window=12, time="at", **options)
    # No ordinary window is above the threshold, which would lengthen an episode.
    aecli.calibrate(pa.table(rows), model=tmp_path / "m", fpr=0.001)
    wave[[60, 61, 180]] = 40
    page = reported(tmp_path / "m", pa.table(rows), tmp_path)
    # The thirteen windows that hold row 60 or 61; another episode holds row 180.
    first = "2024-01-03 01:00:00 to 2024-01-04 00:00:00 (13 windows, the highest of rows "
    assert first in page.text
    links = [link for link in page.links if link.startswith("#row-")]
    assert max(map(links.count, links)) == 2  # from the tile and from the map
    assert "The median window, 2024-01-" in page.text
    assert re.search(r"(wave|other), the column with the largest error\.", page.text)
    assert len(re.findall("wave is 40,(?: an unusual value,)? expected", page.text)) == 2
    assert "Rows are named by at." in page.text


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_images_is_drawn_as_images(channels, tmp_path):
    rng = np.random.default_rng(0)
    pixels = pa.table({f"p{i}": rng.random(30) for i in range(16 * channels)})
    options = QUICK | {"encoder": None, "latent": 1}
    shape = f"4x4x{channels}"
    aecli.train(pixels, model=tmp_path / "m", arch="conv2d", shape=shape, **options)
    page = reported(tmp_path / "m", pixels, tmp_path)
    assert "inputoutputdifference" in "".join(page.text.split())
    assert "What is lost, pixel by pixel" in page.text
    assert "error of PCA" in page.text
    assert "What units z0 do" in page.text


def test_a_variational_model_without_a_label_makes_a_page(tmp_path):
    plain = table().drop_columns(["label"])
    aecli.train(plain, model=tmp_path / "m", variational=True, **QUICK)
    page = reported(tmp_path / "m", plain, tmp_path)
    assert "variational mlp" in page.text
    assert any("kl_normal" in alt for alt in page.alts)


def test_models_are_shown_side_by_side(model, tmp_path):
    aecli.train(table(), model=tmp_path / "<b>", label="label", id=["id"], l1=0.1, **QUICK)
    page = reported(model, table(), tmp_path, side_by_side=[tmp_path / "<b>"])
    assert "2 models side by side" in page.text
    assert page.drawn.count("/<b>\n") >= 5  # losses, columns, scores
    assert "Not compared, because the models differ in losses, or their weights: total" in page.text
    assert f"{model.parent.name}/m. Latents of 120 rows" in page.text
    assert "Error of each column in every model" in page.text
    saved = reported(model, None, tmp_path, side_by_side=[tmp_path / "<b>"])
    assert "Not compared on the same rows: there is no table." in saved.text


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
