"""The isolation forest and the neighbours: what they rank first, what a model stores of rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.numpy import load_file

import aecli
from aecli.scoring.forest import DEPTH, TREES, fit_forest
from aecli.scoring.neighbours import MIN_MEMBERS, fit_prototypes, stored_rows


def clusters(seed: int, rows: int = 600) -> np.ndarray:
    """Return three clusters of rows around the corners of a triangle in four dimensions."""
    random = np.random.default_rng(seed)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]])
    return centres[random.integers(0, 3, rows)] + random.normal(size=(rows, 4)) * 0.4


def table(values: np.ndarray) -> pa.Table:
    """Return columns c0, c1, …."""
    return pa.table({f"c{i}": values[:, i] for i in range(values.shape[1])})


def isolation(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the isolation of rows by a forest of training rows, each column by itself."""
    vectors = torch.from_numpy(train).float()
    forest = fit_forest(vectors, torch.arange(train.shape[1]))
    assert forest.lengths.shape == (TREES, 2**DEPTH)
    return forest.isolation(torch.from_numpy(rows).float()).numpy()


def test_the_further_from_the_training_rows_the_more_isolated():
    train = np.random.default_rng(0).normal(size=(2_000, 3))
    found = isolation(train, np.array([[0, 0, 0], [2, 2, 2], [4, 4, 4]]))
    assert 0 < found[0] < 0.8 * found[1] < found[1] < found[2] < 1


def test_leaves_are_the_same_on_a_processor_and_by_one_comparison():
    train = torch.from_numpy(clusters(0)).float()
    forest = fit_forest(train, torch.arange(4))
    expected = forest.leaves_by_feature(train)
    assert torch.equal(forest.leaves_at_once(train), expected.long())


def test_a_small_cluster_is_more_isolated_than_a_large_one():
    random = np.random.default_rng(0)
    large, small = random.normal(size=(1_900, 5)), 3 + 0.05 * random.normal(size=(100, 5))
    found = isolation(np.concatenate([large, small]), np.concatenate([large, small]))
    assert found[1_900:].min() > np.quantile(found[:1_900], 0.9)


@pytest.mark.parametrize(
    "train", [np.ones((50, 3)), np.zeros((1, 2)), np.repeat([[0.0], [1.0]], 9, 0)]
)
def test_constant_and_tiny_tables_have_a_finite_isolation(train: np.ndarray):
    found = isolation(train, train)
    assert np.isfinite(found).all()
    assert np.ptp(found) < 1e-9


def test_prototypes_are_means_of_several_rows_and_stored_rows_are_rows():
    rows = torch.from_numpy(clusters(0)).float()
    points = fit_prototypes(torch.cat([rows, torch.full((MIN_MEMBERS - 1, 4), 90.0)])).points
    assert points.max() < 10
    assert not any((rows == point).all(1).any() for point in points)
    assert len(stored_rows(rows).points) == 600
    assert len(stored_rows(rows.repeat(40, 1)).points) == 8_000


def test_a_row_between_clusters_is_an_outlier(tmp_path: Path):
    aecli.train(table(clusters(0, 2_400)), model=tmp_path / "m", epochs=4, seed=0)
    between = np.full((1, 4), 4 / 3)
    between[:, 3] = 0
    found = aecli.load(tmp_path / "m").score(table(np.concatenate([clusters(1), between])))
    scores = found["score"].to_numpy()
    assert scores[600] > np.quantile(scores[:600], 0.95)


def test_a_model_stores_rows_only_with_the_option_and_inspect_says_so(tmp_path: Path):
    rows = clusters(0, 400)
    for store in (False, True):
        model = tmp_path / str(store)
        result = aecli.train(table(rows), model=model, epochs=2, valid="none", store_rows=store)
        weights = load_file(next(model.glob("weights-*.safetensors")))
        points = weights["baseline.score_points"]
        columns = json.loads((model / "spec.json").read_text())["columns"]
        scale = np.array([column["scale"][0] for column in columns])
        values = points * scale + np.array([column["center"][0] for column in columns])
        nearest = np.abs(values[:, None] - rows).max(2).min(1)
        assert (nearest < 1e-5).all() == store
        assert result.spec.summary.stored_rows == (360 if store else 0)


def test_isolated_rows_are_dropped_counted_and_not_learned(tmp_path: Path):
    values = clusters(0, 300)
    values[:30] = 50
    result = aecli.train(table(values), model=tmp_path / "m", epochs=2, drop_isolated=0.2)
    summary = result.spec.summary
    assert (summary.dropped_rows, summary.train_rows, summary.valid_rows) == (54, 216, 30)
    note = "--drop-isolated left out the 54 most isolated of 270 training rows"
    assert note in summary.notes
    latest = aecli.load(tmp_path / "m").score(table(values))["score"].to_numpy()
    assert latest[:30].min() > latest[30:].max()


def test_isolated_windows_are_dropped(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(400, 2))
    values[200:220] = 50
    result = aecli.train(
        table(values), model=tmp_path / "m", epochs=1, window=5, drop_isolated=0.1, valid="last:0.2"
    )
    assert result.spec.summary.dropped_rows == 31
    assert result.spec.summary.train_rows == 285


def test_a_column_that_only_varies_in_isolated_rows_does_not_become_constant(tmp_path: Path):
    values = clusters(0, 300)
    values = np.hstack([values, np.zeros((300, 2))])
    values[:20, 4:] = 70 + np.arange(40).reshape(20, 2)
    result = aecli.train(
        table(values), model=tmp_path / "m", epochs=1, drop_isolated=0.3, valid="none"
    )
    assert 88 <= result.spec.summary.dropped_rows <= 89
    assert not any(column.constant for column in result.spec.columns)
