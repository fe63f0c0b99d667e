"""Thresholds of small tables come from rows that were held out in turn, and say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.schema.calibration import Calibration

CROSS_FITTED = "cross-fitted rows (3 folds)"


def table(rows: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    a = random.normal(size=rows)
    b = a + random.normal(size=rows) / 10
    kind = np.where(a > 0.4, "high", "low")
    return pa.table({"a": a, "b": b, "c": random.normal(size=rows), "kind": kind})


def calibration(rows: pa.Table, place: Path, **options: object) -> Calibration:
    found = aecli.train(rows, model=place / "m", **{"epochs": 2} | options).spec.calibration
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rows", "options", "source", "count"),
    [
        (60, {}, CROSS_FITTED, 60),
        (60, {"label": "kind"}, CROSS_FITTED, 60),
        (60, {"valid": "none"}, CROSS_FITTED, 60),
        (60, {"noise": "mask:0.2"}, CROSS_FITTED, 60),
        (60, {"window": 4}, "cross-fitted windows (3 folds)", 51),
        (1_200, {}, CROSS_FITTED, 1_200),
        (2_100, {}, "validation rows", 210),
        (2_100, {"valid": "none"}, "training rows", 2_100),
        (2, {}, "training rows (too few for cross-fitting)", 2),
        (60, {"time_limit": 1e-4}, "validation rows (stopped before cross-fitting)", 6),
    ],
)
def test_thresholds_say_which_rows_they_come_from(
    tmp_path: Path, rows: int, options: dict[str, object], source: str, count: int
):
    found = calibration(table(rows), tmp_path, **options)
    assert (found.source, found.rows) == (source, count)


def test_a_fold_that_diverges_is_not_called_too_few(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(60, 3))
    values[-6:] *= 1_000
    rows = pa.table(dict(zip("abc", values.T, strict=True)))
    steep = {"scale": "none", "optimizer": "SGD", "lr": 0.1, "clip": 0}
    found = calibration(rows, tmp_path, valid="last:0.1", **steep)
    assert found.source == "validation rows (a fold of cross-fitting diverged)"


def test_a_fold_that_the_options_do_not_fit_is_not_called_too_few(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 9, (60, 16)).astype(float)
    pixels[-6:, 0] = np.nan
    rows = pa.table({f"p{n}": values for n, values in enumerate(pixels.T)})
    found = calibration(rows, tmp_path, valid="last:0.1", arch="conv2d", shape="4x4", channels=[2])
    assert found.source == "validation rows (options do not fit a fold of cross-fitting)"


def test_a_validation_table_is_what_thresholds_come_from(tmp_path: Path):
    table(50, 1).to_pandas().to_csv(tmp_path / "valid.csv", index=False)
    found = calibration(table(60), tmp_path, valid=str(tmp_path / "valid.csv"))
    assert (found.source, found.rows) == ("validation rows", 50)


def test_the_same_seed_gives_the_same_thresholds_and_another_seed_others(tmp_path: Path):
    first, again, other = (
        calibration(table(90), tmp_path, seed=seed).scales["mean"].threshold for seed in (1, 1, 2)
    )
    assert first == again != other


def test_rows_of_the_same_kind_are_hardly_flagged(tmp_path: Path):
    shares = []
    for seed in range(3):
        aecli.train(table(150, seed), model=tmp_path / "m", seed=seed, epochs=10)
        found = aecli.load(tmp_path / "m").score(table(1_000, 10 + seed))
        shares.append(found["is_outlier"].to_numpy(zero_copy_only=False).mean())
    assert np.mean(shares) < 0.03


def test_an_estimator_is_cross_fitted_too():
    values = table(60).select(["a", "b", "c"]).to_pandas().to_numpy()
    spec = aecli.Autoencoder(epochs=2, random_state=0).fit(values).model_.spec
    assert spec.calibration.source == CROSS_FITTED
