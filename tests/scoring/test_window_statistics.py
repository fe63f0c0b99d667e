"""Scores of windows: level, spread and roughness differ from those in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file

import aecli
from aecli.scoring.window_statistics import fit_window_statistics

WINDOW = 12


def series(rows: int, seed: int) -> np.ndarray:
    """Return a wave with noise, and a number that depends on it."""
    random = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(rows) / 24) + 0.2 * random.normal(size=rows)
    return np.stack([wave, 0.5 * wave + 0.3 * random.normal(size=rows)], 1)


def table(values: np.ndarray) -> pa.Table:
    return pa.table({"t": np.arange(len(values)), "a": values[:, 0], "b": values[:, 1]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("windows") / "m"
    aecli.train(table(series(1_500, 0)), model=place, window=WINDOW, time="t", epochs=4, seed=0)
    return place


def flat(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, values[0])


def faster(values: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(len(values)) / 4)


def higher(values: np.ndarray) -> np.ndarray:
    return values + 2


def noisier(values: np.ndarray) -> np.ndarray:
    return values + np.random.default_rng(2).normal(size=len(values))


def missing(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, np.nan)


def scores(model: Path, change: object) -> np.ndarray:
    """Return the scores of windows of a new series, of which rows 100 to 130 are changed in `a`."""
    values = series(300, 1)
    values[100:130, 0] = change(values[100:130, 0])
    return aecli.load(model).score(table(values))["score"].to_numpy()


@pytest.mark.parametrize("change", [flat, faster, higher, noisier])
def test_a_window_of_another_level_spread_or_frequency_is_among_the_most_anomalous(
    model: Path, change: object
) -> None:
    found = scores(model, change)
    inside = found[100 : 131 - WINDOW]
    outside = np.concatenate([found[: 101 - WINDOW], found[130:]])
    assert np.median(inside) > np.quantile(outside, 0.98)


def test_a_column_without_values_has_a_finite_score(model: Path) -> None:
    assert np.isfinite(scores(model, missing)).all()


def test_a_flat_column_is_the_reason(model: Path) -> None:
    values = series(300, 1)
    values[100:130, 0] = values[100, 0]
    rows = aecli.load(model).score(table(values))
    assert rows["top1_column"].to_pylist()[105] == "a"


def test_a_model_of_windows_has_neither_forest_nor_prototypes(model: Path) -> None:
    weights = load_file(next(model.glob("weights-*.safetensors")))
    stored = {name.removeprefix("baseline.score_") for name in weights}
    assert not stored & {"points", "splits", "ordinary"}
    assert "window_median" in stored


def test_store_rows_has_no_effect_on_windows(tmp_path: Path) -> None:
    rows = table(series(200, 0))
    result = aecli.train(
        rows, model=tmp_path / "m", window=WINDOW, time="t", epochs=1, store_rows=True
    )
    assert "without effect: --store-rows with --window" in result.spec.summary.notes


def test_drifted_held_out_windows_do_not_make_the_statistics_count_less(tmp_path: Path) -> None:
    medians = []
    for drift in (0, 20):
        pq.write_table(table(series(100, 1) + drift), tmp_path / "held_out.parquet")
        aecli.train(
            table(series(200, 0)), model=tmp_path / str(drift), window=WINDOW, time="t", epochs=1,
            valid=str(tmp_path / "held_out.parquet"), seed=0,
        )  # fmt: skip
        weights = load_file(next((tmp_path / str(drift)).glob("weights-*.safetensors")))
        medians.append(weights["baseline.score_medians"][-2:])
    assert medians[0] == pytest.approx(medians[1])


@pytest.mark.parametrize("elements", [1, 400])
def test_distances_are_about_1_for_windows_like_those_of_training(elements: int) -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 10, elements)))
    values[:, :, 0] = 0.5
    fitted = fit_window_statistics(values[:400])
    squares, distances = fitted.distances(values[400:])
    assert squares[:, 0].tolist() == [0.0] * 100
    if elements > 1:
        assert squares[:, 1:].mean() == pytest.approx(1.0, abs=0.3)
        assert distances.mean() == pytest.approx(1.0, abs=0.3)
