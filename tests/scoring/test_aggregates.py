"""Aggregates of the errors of a row's columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aecli.scoring.scorer import aggregated

VALUES = np.array(
    [[1.0, 4.0, 2.0, 3.0], [0.0, np.nan, 0.0, 5.0], [np.nan, np.nan, 7.0, np.nan], [np.nan] * 4]
)


@pytest.mark.parametrize("aggregate", ["mean", "max", "top3"])
@pytest.mark.parametrize("columns", [4, 2])
def test_an_aggregate_is_of_the_observed_columns(aggregate: str, columns: int):
    values = VALUES[:, -columns:]
    known = [np.sort(row[~np.isnan(row)])[::-1] for row in values]
    most = {"mean": columns, "max": 1, "top3": 3}[aggregate]
    expected = [row[:most].mean() if len(row) else np.nan for row in known]
    found = aggregated(torch.from_numpy(values).float(), aggregate, complete=False)
    np.testing.assert_allclose(found.numpy(), expected)
