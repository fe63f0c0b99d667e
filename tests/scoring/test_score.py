"""What score and calibrate promise: the same score in any batch, reasons, thresholds, no NaN."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.directory_lock import Lock
from aecli.errors import DataError, LockedError, ModelError, UsageError
from aecli.model_directory.read import read_spec
from aecli.model_directory.save import replace_spec

CROSS_FITTED = "cross-fitted rows (3 folds)"


def table(rows: int, seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=rows)
    return pa.table(
        {
            "id": [f"row-{i}" for i in range(rows)],
            "a": a,
            "b": 2 * a + generator.normal(size=rows) / 10,
            "c": 1 - a + generator.normal(size=rows) / 10,
            "colour": generator.choice(["red", "green", "blue"], rows, p=[0.6, 0.3, 0.1]),
            "flag": a > 0,
            "constant": np.full(rows, 7),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    aecli.train(table(600), model=folder, id=["id"], latent=3, epochs=15)
    return folder


def scored(rows: pa.Table, model: Path, place: Path, **how: object) -> pa.Table:
    aecli.score(rows, str(place / "s.parquet"), model=model, **how)
    return pq.read_table(place / "s.parquet")


def replaced(rows: pa.Table, name: str, values: list[object]) -> pa.Table:
    index = rows.schema.get_field_index(name)
    kind = rows.schema.field(name).type
    return rows.set_column(index, name, pa.array(values, kind))


def test_an_ordinary_row_scores_about_1_and_every_row_comes_back_in_order(
    model: Path, tmp_path: Path
):
    rows = table(300, seed=1)
    found = scored(rows, model, tmp_path)
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    assert 0.5 < np.median(found["score"].to_numpy()) < 2
    assert found.column_names[1:6] == [
        "score", "score_percentile", "is_outlier", "top1_column", "top1_error",
    ]  # fmt: skip
    assert found["is_outlier"].to_numpy(zero_copy_only=False).mean() < 0.1


@pytest.mark.parametrize("size", [1, 7, 64, None])
def test_the_same_row_has_the_same_score_in_any_batch(
    model: Path, tmp_path: Path, size: int | None
):
    rows = table(150, seed=2)
    whole = scored(rows, model, tmp_path)["score"].to_numpy()
    turned = rows.take(np.arange(150)[::-1])
    again = scored(turned, model, tmp_path, batch_size=size)["score"].to_numpy()[::-1]
    np.testing.assert_array_equal(whole, again)
    alone = scored(rows.slice(42, 1), model, tmp_path)["score"].to_numpy()
    assert alone[0] == whole[42]


def test_the_column_that_breaks_the_pattern_is_named_first(model: Path, tmp_path: Path):
    values = table(50, seed=3)["b"].to_pylist()
    values[10] += 6
    found = scored(replaced(table(50, seed=3), "b", values), model, tmp_path, explain=1)
    assert found["top1_column"][10].as_py() == "b"
    assert found["top1_error"][10].as_py() > 10
    assert found["is_outlier"][10].as_py()
    assert np.argmax(found["score"].to_numpy()) == 10
    assert "top2_column" not in found.column_names


def test_a_value_that_training_did_not_have_is_an_error_of_its_column(model: Path, tmp_path: Path):
    colours = ["red"] * 20
    usual = scored(replaced(table(20, 4), "colour", colours), model, tmp_path, detail=True)
    colours[3] = "ultraviolet"
    odd = scored(replaced(table(20, 4), "colour", colours), model, tmp_path, detail=True)
    assert odd["colour_error"][3].as_py() > 2 * usual["colour_error"][3].as_py()
    assert odd["score"][3].as_py() > usual["score"][3].as_py()
    assert odd["score"].to_pylist()[4:] == usual["score"].to_pylist()[4:]


def test_missing_cells_are_left_out_and_empty_rows_have_a_score(model: Path, tmp_path: Path):
    rows = pa.table({name: pa.nulls(2, table(1)[name].type) for name in table(1).column_names})
    found = scored(rows, model, tmp_path, detail=True)
    assert np.isfinite(found["score"].to_numpy()).all()
    assert found["top1_column"].to_pylist() == [None, None]
    assert found["b_error"].to_pylist() == [None, None]


def test_values_beyond_all_bounds_have_finite_scores(model: Path, tmp_path: Path):
    rows = replaced(table(3), "a", [1e308, -1e308, 0.0])
    for aggregate in ("mean", "max", "top3"):
        found = scored(rows, model, tmp_path, aggregate=aggregate)
        assert np.isfinite(found["score"].to_numpy()).all()
        assert found["is_outlier"].to_pylist()[:2] == [True, True]
        assert found["score_percentile"].to_pylist()[:2] == [100, 100]


def test_details_show_value_reconstruction_and_error(model: Path, tmp_path: Path):
    rows = table(30, seed=5)
    found = scored(rows, model, tmp_path, detail=True)
    aecli.reconstruct(rows, str(tmp_path / "r.parquet"), model=model)
    reconstructed = pq.read_table(tmp_path / "r.parquet")
    assert found["colour_reconstruction"].to_pylist() == reconstructed["colour"].to_pylist()
    np.testing.assert_allclose(found["b_reconstruction"], reconstructed["b"], rtol=1e-4, atol=1e-4)
    assert found["b"].to_pylist() == rows["b"].to_pylist()
    assert all(found[f"{found['top1_column'][i]}_error"][i].as_py() > 0 for i in range(30))
    assert "constant_error" not in found.column_names


def test_a_column_called_like_an_output_is_refused(model: Path, tmp_path: Path):
    rows = table(5).append_column("score", pa.array(range(5)))
    with pytest.raises(UsageError, match="'score' has the name of an output"):
        scored(rows, model, tmp_path, keep=["score"])


def test_a_clash_names_the_identifier_or_the_details(tmp_path: Path):
    model = tmp_path / "m"
    rows = table(60).rename_columns(["score", "a", "a_error", *table(1).column_names[3:]])
    aecli.train(rows, model=model, id=["score"], latent=2, epochs=1)
    with pytest.raises(UsageError, match="the identifier 'score'") as caught:
        aecli.load(model).score(rows)
    assert caught.value.hint == "rename it in the table to 'score_id', and --keep 'score_id'"
    renamed = rows.rename_columns(["score_id", *rows.column_names[1:]])
    assert scored(renamed, model, tmp_path, keep=["score_id"])["score_id"].equals(rows["score"])
    with pytest.raises(UsageError, match="--detail would write two columns called 'a_error'"):
        aecli.load(model).score(renamed, detail=True)


def test_thresholds_by_percentile_rate_and_value(model: Path, tmp_path: Path):
    rows = table(400, seed=6)
    shares = {
        threshold: np.mean(scored(rows, model, tmp_path, threshold=threshold)["is_outlier"])
        for threshold in ("p50", "fpr:0.5", "p99.9", 0.0)
    }
    assert shares["p50"] == shares["fpr:0.5"] == pytest.approx(0.5, abs=0.15)
    assert shares["p99.9"] < 0.05
    assert shares[0.0] == 1
    for wrong in ("p101", "fpr:2", "much", "nan"):
        with pytest.raises(UsageError, match="is not a threshold"):
            scored(rows, model, tmp_path, threshold=wrong)


def test_calibrate_moves_the_threshold_and_no_score(tmp_path: Path):
    model = tmp_path / "m"
    aecli.train(table(300), model=model, id=["id"], latent=3, epochs=3)
    weights = {path.name: path.read_bytes() for path in model.glob("weights-*")}
    before = scored(table(200, 7), model, tmp_path)
    result = aecli.calibrate(table(200, 7), model=model, fpr=0.1)
    after = scored(table(200, 7), model, tmp_path)
    assert after["score"].to_pylist() == before["score"].to_pylist()
    assert np.sum(after["is_outlier"]) == pytest.approx(20, abs=1)
    assert {path.name: path.read_bytes() for path in model.glob("weights-*")} == weights
    stored = json.loads((model / "spec.json").read_text())["calibration"]
    assert stored["scales"]["mean"]["threshold"] == result.calibration.scales["mean"].threshold
    assert (result.before.source, result.calibration.rows) == (CROSS_FITTED, 200)


def test_calibrate_of_a_model_that_is_being_written_does_not_read_the_table(
    model: Path, tmp_path: Path
):
    with Lock(model), pytest.raises(LockedError, match="is being written by process"):
        aecli.calibrate(tmp_path / "none.csv", model=model)
    assert not (model / ".lock").exists()


def test_calibrate_with_labels_finds_the_best_f1(tmp_path: Path):
    model, rows = tmp_path / "m", table(300, 8)
    aecli.train(table(300), model=model, id=["id"], latent=3, epochs=10)
    b, odd = rows["b"].to_pylist(), [place % 30 == 0 for place in range(300)]
    rows = replaced(rows, "b", [value + 9 * mark for value, mark in zip(b, odd, strict=True)])
    marks = [None if place < 10 else mark for place, mark in enumerate(odd)]
    result = aecli.calibrate(rows.append_column("odd", pa.array(marks)), anomaly="odd", model=model)
    assert (result.anomalies, result.rows, result.f1) == (9, 281, 1.0)
    assert scored(rows, model, tmp_path)["is_outlier"].to_pylist() == odd


def test_a_label_that_marks_nothing_is_refused(model: Path):
    rows = table(20)
    with pytest.raises(DataError, match="contains no anomaly"):
        aecli.calibrate(rows.append_column("y", pa.array([0] * 20)), anomaly="y", model=model)
    with pytest.raises(DataError, match="does not label anomalies"):
        aecli.calibrate(rows, anomaly="id", model=model)
    with pytest.raises(UsageError, match="was trained with 'flag' as a feature"):
        aecli.calibrate(rows, anomaly="flag", model=model)
    with pytest.raises(DataError, match="no column 'colou'") as caught:
        aecli.calibrate(rows, anomaly="colou", model=model)
    assert caught.value.hint == "--anomaly colour"


@pytest.mark.parametrize("marks", [pa.array([-1, 0, 1, 1]), pa.array([-1.0, 0, None, 1])])
def test_only_an_empty_mark_is_unknown(model: Path, marks: pa.Array):
    with pytest.raises(DataError, match="does not label anomalies") as caught:
        aecli.calibrate(table(4).append_column("y", marks), anomaly="y", model=model)
    assert caught.value.facts == ("it contains -1",)


def test_a_missing_vector_is_a_missing_cell_in_any_batch(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(60, 3)).tolist()
    values[4] = values[9] = None
    rows = pa.table({"vec": pa.array(values, pa.list_(pa.float64())), "a": np.arange(60.0)})
    aecli.train(rows, model=tmp_path / "m", latent=2, epochs=1)
    whole = scored(rows, tmp_path / "m", tmp_path)
    assert scored(rows, tmp_path / "m", tmp_path, batch_size=1).equals(whole)
    assert aecli.load(tmp_path / "m").score(rows.slice(4, 1)).equals(whole.slice(4, 1))


def test_a_model_without_a_calibration_says_so(model: Path, tmp_path: Path):
    shutil.copytree(model, tmp_path / "old")
    spec = read_spec(model)
    replace_spec(tmp_path / "old", spec, spec.model_copy(update={"calibration": None}))
    with pytest.raises(ModelError, match="without a scoring fit"):
        scored(table(5), tmp_path / "old", tmp_path)


def test_windows_are_scored_by_window_and_by_row(tmp_path: Path):
    generator, model = np.random.default_rng(0), tmp_path / "m"
    values = np.sin(np.arange(210) / 3) + generator.normal(size=210) / 20
    values[100] += 4
    rows = pa.table({"run": ["a"] * 205 + ["b"] * 5, "t": np.arange(210), "x": values})
    aecli.train(rows, model=model, window=8, group=["run"], time="t", epochs=5)
    by_window, by_row = (
        scored(rows, model, tmp_path, score_unit=unit) for unit in ("window", "row")
    )
    assert by_window["t"].to_pylist() == list(range(7, 205))
    assert by_window["t"][int(np.argmax(by_window["score"]))].as_py() in range(100, 108)
    assert by_row["t"].to_pylist() == list(range(210))
    assert by_row["score"].null_count == by_row["is_outlier"].null_count == 5
    windows = by_window["score"].to_numpy()
    assert by_row["score"][50].as_py() == pytest.approx(windows[43:51].mean(), rel=1e-5)
    by_detail = scored(rows, model, tmp_path, score_unit="row", detail=True)
    assert int(np.nanargmax(by_detail["x_error"].to_numpy(zero_copy_only=False))) == 100
    with pytest.raises(UsageError, match="--detail shows rows"):
        scored(rows, model, tmp_path, detail=True)


def test_of_windows_that_overlap_only_the_highest_is_named(tmp_path: Path):
    generator = np.random.default_rng(0)
    values = np.sin(np.arange(400) // 2 / 3) + generator.normal(size=400) / 20
    values[[100, 301]] += 9
    series = pa.array(["a", "b"] * 200)
    rows = pa.table({"run": series, "t": np.arange(400), "x": values})
    aecli.train(rows, model=tmp_path / "m", window=8, group=["run"], time="t", epochs=5)
    found = aecli.score(rows, model=tmp_path / "m").anomalous
    assert len(found) == 10
    assert [sample.score for sample in found] == sorted((s.score for s in found), reverse=True)
    named = [set(range(sample.first_row, sample.row + 1, 2)) for sample in found]
    assert [row for row in (100, 301) if any(row in rows for rows in named[:2])] == [100, 301]
    assert len(set.union(*named)) == 80


def test_a_wide_table_keeps_variances_instead_of_a_covariance(tmp_path: Path):
    generator, model = np.random.default_rng(0), tmp_path / "m"
    pixels = generator.normal(size=(60, 1100)).astype(np.float32)
    rows = pa.table({"v": pa.FixedSizeListArray.from_arrays(pixels.reshape(-1), 1100)})
    aecli.train(rows, model=model, encoder=[16, 4], epochs=1)
    assert np.isfinite(scored(rows, model, tmp_path)["score"].to_numpy()).all()
    assert (model / "spec.json").stat().st_size < 200_000


def mostly_zero(rows: int, seed: int = 0) -> pa.Table:
    """Two correlated numbers, a flag that is 1 in a tenth of the rows, and rare gains."""
    generator = np.random.default_rng(seed)
    a, part = generator.normal(size=rows), generator.random(rows)
    gain = np.where(part < 0.05, generator.uniform(3000, 9000, rows), 0.0)
    flag = (generator.random(rows) < 0.1).astype(int)
    noisy = a + generator.normal(size=rows) / 10
    return pa.table({"a": a, "b": noisy, "flag": flag, "gain": gain})


def test_a_flag_is_no_outlier_and_a_rare_value_is_named(tmp_path: Path):
    aecli.train(mostly_zero(2000), model=tmp_path / "m", latent=2, epochs=5)
    rows = mostly_zero(1000, seed=1)
    found = scored(rows, tmp_path / "m", tmp_path, explain=1).to_pandas()
    ones, gains = rows["flag"].to_numpy() == 1, rows["gain"].to_numpy() > 0
    assert found["is_outlier"][ones & ~gains].mean() < 0.3
    assert found["score"][ones & ~gains].median() < 10
    assert (found["top1_column"][gains] == "gain").mean() > 0.9
    assert found["top1_error"][gains].min() > 5 * found["top1_error"][~gains & ~ones].median()


def test_a_percentile_is_the_share_of_held_out_rows_that_score_lower(tmp_path: Path):
    rows = pa.table({"a": [0.0] * 60 + [1.0] * 30 + [2.0] * 10, "b": ["u"] * 90 + ["v"] * 10})
    aecli.train(rows, model=tmp_path / "m", latent=1, epochs=3)
    aecli.calibrate(rows, model=tmp_path / "m")
    found = scored(rows, tmp_path / "m", tmp_path)
    scores = found["score"].to_numpy()
    wanted = [100 * (scores < score).mean() for score in scores]
    np.testing.assert_allclose(found["score_percentile"].to_numpy(), wanted, atol=1.01)
