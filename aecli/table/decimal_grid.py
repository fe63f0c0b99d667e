"""Find the number of decimals of a column's values, in one pass over batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from aecli.array_types import Floats, Indices, Mask
from aecli.table.arrow_types import decoded_type, is_list

NO_GRID = -1
"""Marks a column whose values need more decimals than `FINEST_GRID`."""

FINEST_GRID = 6

FIRST_LOOK = 16
"""Number of nonzero values that are checked before all rows, and show most of the decimals."""

FIRST_ROWS = 1024
"""Number of rows in which the first nonzero values are searched."""

CLOSE, CLOSE_STEP = 1e-12, 1e-6
"""Distance from the grid after sums and differences: as a share of the value, and of the step."""

MAX_STEP_SHARE = 0.125
"""Maximum rounding error of the largest value, as a share of the grid's step."""


def rounding(kind: pa.DataType) -> float:
    """Return the relative rounding error of a type's values; 0 if a type is not checked.

    Integers and times are not checked.
    """
    kind = decoded_type(kind)
    if is_list(kind):
        kind = kind.value_type
    if pa.types.is_floating(kind):
        # Half a unit in the last place, with a margin for the products below.
        return max(float(np.finfo(kind.to_pandas_dtype()).eps) * 0.51, 2.0**-51)
    return 2.0**-51 if pa.types.is_decimal(kind) and kind.scale > 0 else 0.0


def first_decimals(roundings: Floats) -> Indices:
    """Return the state before the first batch: 0 decimals, or no grid for unchecked cells."""
    return np.where(roundings > 0, 0, NO_GRID)


def with_decimals(decimals: Indices, values: Floats, roundings: Floats) -> Indices:
    """Return the number of decimals that each cell needs after more values.

    Args:
        decimals: `(n_cells,)` before these values; `NO_GRID` for cells that are not checked.
        values: `(n_cells, n_rows)`, NaN for missing.
        roundings: `(n_cells,)` of the cells' types.
    """
    # A few values are cheap to check, and most columns need no more decimals than these.
    decimals = _refined(decimals, _first_known(values), roundings)
    return _refined(decimals, values, roundings)


def joined_decimals(decimals: Indices, others: Indices) -> Indices:
    """Return the number of decimals that each cell needs in two parts of a column's values."""
    joined: Indices = np.maximum(decimals, others)
    joined[(decimals == NO_GRID) | (others == NO_GRID)] = NO_GRID
    return joined


def _refined(decimals: Indices, values: Floats, roundings: Floats) -> Indices:
    decimals = decimals.copy()
    cells = np.flatnonzero(decimals != NO_GRID)
    while len(cells):
        chosen = values if len(cells) == len(values) else values[cells]
        off = _off_grid(chosen, decimals[cells], roundings[cells])
        cells = cells[off]
        decimals[cells] += 1
        decimals[cells[decimals[cells] > FINEST_GRID]] = NO_GRID
        cells = cells[decimals[cells] != NO_GRID]
    return decimals


def _first_known(values: Floats) -> Floats:
    """Return the first `FIRST_LOOK` nonzero values of each cell; NaN if there are fewer."""
    first = values[:, :FIRST_LOOK].copy()
    lacking = np.flatnonzero(~np.all(np.abs(first) > 0, axis=1))
    rows = values[lacking, :FIRST_ROWS]
    known = np.abs(rows) > 0  # also false for NaN
    index = np.cumsum(known, axis=1) - 1
    cell, row = np.nonzero(known & (index < first.shape[1]))
    first[lacking] = np.nan
    first[lacking[cell], index[cell, row]] = rows[cell, row]
    return first


def _off_grid(values: Floats, decimals: Indices, roundings: Floats) -> Mask:
    """Return the cells `(n_cells,)` with a value that needs more decimals."""
    steps = (10.0**decimals)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = values * steps
        np.rint(nearest, out=nearest)
        nearest /= steps
        # Most cells on the grid equal its nearest floats; NaN needs the second check.
        off: Mask = np.any(nearest != values, axis=1)
        open = np.flatnonzero(off)
        scaled = values[open] * steps[open]
        distance = np.abs(np.rint(scaled) - scaled)
        np.abs(scaled, out=scaled)
        # Relative to the value: a nonzero value never becomes 0.
        tolerance = np.minimum(scaled * CLOSE, CLOSE_STEP)
        np.maximum(tolerance, scaled * roundings[open, None], out=tolerance)
        off[open] = np.any(distance > tolerance, axis=1)
    return off


def grid_of(decimals: Indices, low: Floats, high: Floats, roundings: Floats) -> int | None:
    """Return the number of decimals of a column by those of its cells; None if it has no grid.

    Args:
        decimals: `(n_cells,)` needed by the cells.
        low: `(n_cells,)` minima.
        high: `(n_cells,)` maxima.
        roundings: `(n_cells,)` of the cells' types.
    """
    most = int(decimals.max(initial=0))
    if (decimals == NO_GRID).any():
        return None
    ends = np.array([low, high])
    largest = float(np.abs(ends).max(initial=0.0, where=np.isfinite(ends)))
    if largest * 10.0**most * float(roundings.max(initial=0.0)) >= MAX_STEP_SHARE:
        return None
    first, last = on_grid(ends, most)
    return None if np.any((first == last) & (low != high)) else most


def on_grid(values: Floats, decimals: int | None) -> Floats:
    """Return values rounded to a number of decimals; values too large for it are unchanged."""
    if decimals is None:
        return values
    step = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.rint(values * step) / step + 0.0  # −0 becomes 0
    result: Floats = np.where(np.abs(values) * step < 2.0**52, rounded, values)
    return result
