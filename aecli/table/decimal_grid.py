"""Find how many decimals write every number of a column, in one pass over batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from aecli.array_types import Floats, Indices, Mask
from aecli.table.arrow_types import decoded_type, is_list

NO_GRID = -1
"""Number of decimals of a column whose values need more than `FINEST_GRID`."""

FINEST_GRID = 6

FIRST_LOOK = 16
"""Values by which most columns without a grid are told from the others."""

CLOSE = 1e-12
"""Sum of squared distances from the grid, in steps, that is rounding."""

LARGEST_STEP_SHARE = 0.125
"""Rounding of the largest value is below this share of the grid's step; else any value fits."""


def rounding(kind: pa.DataType) -> float:
    """Return the relative rounding of a type's values; 0 for one that is not checked.

    Integers and times come back whole by themselves.
    """
    kind = decoded_type(kind)
    if is_list(kind):
        kind = kind.value_type
    if pa.types.is_floating(kind):
        # Half a step of the type, and a little for the products below.
        return max(float(np.finfo(kind.to_pandas_dtype()).eps) * 0.51, 2.0**-51)
    return 2.0**-51 if pa.types.is_decimal(kind) and kind.scale > 0 else 0.0


def first_decimals(roundings: Floats) -> Indices:
    """Return the state before the first batch: no decimals, or no grid for unchecked cells."""
    return np.where(roundings > 0, 0, NO_GRID)


def with_decimals(decimals: Indices, values: Floats, roundings: Floats) -> Indices:
    """Return how many decimals each cell needs once more values are known.

    Args:
        decimals: `(n_cells,)` as known before, `NO_GRID` for cells that are not looked at any more.
        values: `(n_cells, n_rows)`, NaN where missing.
        roundings: `(n_cells,)` of the cells' types.
    """
    decimals = decimals.copy()
    cells = np.flatnonzero(decimals != NO_GRID)
    if not len(cells):
        return decimals
    finest = np.full(len(cells), FINEST_GRID)
    lost = _off_grid(values[cells, :FIRST_LOOK], finest, roundings[cells])
    decimals[cells[lost]] = NO_GRID
    cells = cells[~lost]
    while len(cells):
        chosen = values if len(cells) == len(values) else values[cells]
        off = _off_grid(chosen, decimals[cells], roundings[cells])
        cells = cells[off]
        decimals[cells] += 1
        decimals[cells[decimals[cells] > FINEST_GRID]] = NO_GRID
        cells = cells[decimals[cells] != NO_GRID]
    return decimals


def _off_grid(values: Floats, decimals: Indices, roundings: Floats) -> Mask:
    """Return the cells `(n_cells,)` with a value that needs more decimals."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * (10.0**decimals)[:, None]
        distance = np.rint(scaled)
        distance -= scaled
        # One pass tells the cells that are on the grid beyond doubt; NaN leaves it open.
        off: Mask = np.logical_not(np.einsum("ij,ij->i", distance, distance) < CLOSE)
        open = np.flatnonzero(off)
        largest = np.abs(scaled[open]) * roundings[open, None]
        off[open] = np.any(np.abs(distance[open]) > largest, axis=1)
    return off


def grid_of(decimals: Indices, largest: float, roundings: Floats) -> int | None:
    """Return the decimals of a column from those of its cells; None where it has no grid."""
    most = int(decimals.max(initial=0))
    if (decimals == NO_GRID).any():
        return None
    fits = largest * 10.0**most * float(roundings.max(initial=0.0)) < LARGEST_STEP_SHARE
    return most if fits else None


def on_grid(values: Floats, decimals: int | None) -> Floats:
    """Return values rounded to a number of decimals; those too large for it as they are."""
    if decimals is None:
        return values
    step = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.rint(values * step) / step
    found: Floats = np.where(np.abs(values) * step < 2.0**52, rounded, values)
    return found
