"""Columns with the largest values of each sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aecli.array_types import AnyFloats, Indices

MAX_PASSES = 8
"""Number of columns up to which passes over the values take less time than a sort."""


def largest_columns(values: Tensor, count: int) -> tuple[Indices, AnyFloats]:
    """Return the columns of the largest values `(count, n_samples)` in descending order, and these.

    Of equal values of `(n_samples, n_columns)` the first column's is the larger one; NaN is -1.
    """
    if count > MAX_PASSES or values.device.type != "cpu":
        ordered = values.nan_to_num(-1.0).sort(dim=1, descending=True, stable=True)
        return ordered.indices[:, :count].T.cpu().numpy(), ordered.values[:, :count].T.cpu().numpy()
    transposed = values.T.clone(memory_format=torch.contiguous_format)
    by_column = transposed.nan_to_num_(-1.0).numpy()
    # The largest weight of the columns with the largest value is that of the first one.
    size, rows = len(by_column), np.arange(len(values))
    weights = np.arange(size, 0, -1, dtype=np.min_scalar_type(size))[:, None]
    columns = np.empty((count, len(values)), dtype=np.int64)
    largest = np.empty((count, len(values)), dtype=by_column.dtype)
    by_cell, cells = by_column.reshape(-1), np.empty_like(rows)
    for rank, (column, found) in enumerate(zip(columns, largest, strict=True)):
        if rank:  # leave out the largest values of the pass before
            np.multiply(columns[rank - 1], len(values), out=cells)
            cells += rows
            by_cell[cells] = -np.inf
        by_column.max(0, out=found)
        np.subtract(size, ((by_column == found) * weights).max(0), out=column)
    return columns, largest
