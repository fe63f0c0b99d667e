"""Sums and largest values by column."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aecli.scoring.column_sums import ColumnSums
from aecli.scoring.largest_columns import largest_columns


@pytest.mark.parametrize("widths", [[1, 1, 1], [2, 1, 3, 1, 2], [5]])
def test_sums_are_those_of_the_elements_of_each_column(widths: list[int]):
    values = torch.arange(4.0 * sum(widths)).view(4, -1)
    found = ColumnSums(torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))).of(values)
    expected = [part.sum(1) for part in values.split(widths, 1)]
    assert torch.equal(found, torch.stack(expected, 1))


@pytest.mark.parametrize("count", [1, 3, 9])
def test_of_equal_values_the_first_column_is_the_largest_and_missing_ones_the_last(count: int):
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 6, (200, 12))).float()
    values[::3, 4] = torch.nan
    before = values.clone()
    columns, largest = largest_columns(values, count)
    order = np.argsort(-values.nan_to_num(-1.0).numpy(), axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(columns, order.T)
    np.testing.assert_array_equal(
        largest, np.take_along_axis(values.nan_to_num(-1.0).numpy(), order, 1).T
    )
    assert torch.equal(values.nan_to_num(-1.0), before.nan_to_num(-1.0))
