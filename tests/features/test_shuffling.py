"""Rows are scattered so that the order of a table does not matter, and each is seen once."""

import numpy as np
import pytest

from aecli.features.shuffling import (
    MIN_PART_ROWS,
    PART_ROWS,
    Scatter,
    complete_order,
    epoch_order,
    part_count,
)


def scattered(rows: int, parts: int, batches: list[int], seed: int = 0) -> np.ndarray:
    """Return the row number at each position of a matrix filled in batches."""
    scatter, filled, start = Scatter(rows, parts, seed), np.full(rows, -1), 0
    for count in batches:
        filled[scatter.positions(count)] = np.arange(start, start + count)
        start += count
    return filled


@pytest.mark.parametrize(
    ("rows", "width", "parts"),
    [
        (PART_ROWS, 4, 1),
        (10 * PART_ROWS + 9, 4, 10),
        (60_000, 784, 1),
        (10 * MIN_PART_ROWS, 1_000_000, 10),
        (0, 0, 1),
    ],
)
def test_large_matrices_are_shuffled_in_parts(rows: int, width: int, parts: int):
    assert part_count(rows, width) == parts


@pytest.mark.parametrize("batches", [[1003], [0, 500, 3, 0, 500], [1] * 1003])
def test_every_row_has_one_place_however_it_is_read(batches: list[int]):
    filled = scattered(1003, 10, batches)
    assert (np.sort(filled) == np.arange(1003)).all()
    assert (filled == scattered(1003, 10, [1003])).all()
    assert (filled != scattered(1003, 10, [1003], seed=1)).any()


def test_each_part_is_a_sample_of_a_sorted_table():
    parts = scattered(10_000, 10, [10_000]).reshape(10, 1000)
    for quarter in range(4):
        counts = ((parts >= 2500 * quarter) & (parts < 2500 * (quarter + 1))).sum(axis=1)
        assert (counts == 250).all()


@pytest.mark.parametrize("parts", [1, 3])
def test_an_epoch_sees_every_row_once(parts: int):
    order = complete_order(1000, parts, seed=5, epoch=2)
    assert (np.sort(order) == np.arange(1000)).all()
    assert sum(1 for _ in epoch_order(1000, parts, seed=5, epoch=2)) == parts


def test_epochs_differ_and_repeat_by_seed():
    first, other, again = (complete_order(1000, 3, 5, epoch) for epoch in (0, 1, 0))
    assert (first != other).any()
    assert (first == again).all()
