"""What is kept of rows that pass by: the same ones, however they are cut into batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from aecli.evaluation.keeping import Histogram, Keeper, Kept, Reliability


def kept(rows: range) -> Kept:
    numbers = np.array(rows)
    column = numbers[:, None].astype(float)
    return Kept(
        row=numbers, batch=pa.record_batch([pa.array(numbers)], names=["n"]),
        cells=column[:, None], outputs=column[:, None], latent=column, codes=numbers,
        scores=numbers * 1.0, errors=column, reasons=column,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_lowest_keys_stay_whatever_the_batches(size):
    keys = np.random.default_rng(0).random(100)
    keys[7] = np.nan
    keeper = Keeper(5)
    for start in range(0, 100, size):
        rows = range(start, min(start + size, 100))
        keeper.add(keys[rows.start : rows.stop], kept(rows))
    found = keeper.kept()
    assert found is not None
    assert found.row.tolist() == np.argsort(keys)[:5].tolist()
    assert found.batch.column(0).to_pylist() == found.row.tolist() == found.codes.tolist()


def test_nothing_is_kept_of_rows_without_a_key():
    keeper = Keeper(5)
    keeper.add(np.full(3, np.nan), kept(range(3)))
    assert keeper.kept() is None


def test_reliability_is_the_gap_between_confidence_and_accuracy():
    found = Reliability()
    found.add(np.array([0.95, 0.95]), np.array([True, False]))
    found.add(np.array([0.55, 0.55]), np.array([True, False]))
    assert found.bins() == [
        (pytest.approx(0.55), 0.5, 2),
        (pytest.approx(0.95), 0.5, 2),
    ]
    assert found.error() == pytest.approx((0.45 + 0.05) / 2)


def test_a_histogram_counts_every_value_within_its_edges():
    found = Histogram()
    found.add(np.array([0.0, 1.0, 1.01, 250.0, np.nan, 1e30]))
    edges, counts = found.shown()
    assert counts.sum() == 5
    assert len(edges) == len(counts) + 1
    assert counts[np.searchsorted(edges, 1.005) - 1] == 2


def test_a_histogram_of_nothing_can_be_shown():
    edges, counts = Histogram().shown()
    assert (len(edges), counts.tolist()) == (2, [0])
