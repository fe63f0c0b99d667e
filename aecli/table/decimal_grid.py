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
"""Values other than 0 that show most of a column's decimals, before all rows are looked at."""

FIRST_ROWS = 1024
"""Rows among which the first values other than 0 are looked for."""

CLOSE, CLOSE_STEP = 1e-12, 1e-6
"""Distance from the grid that sums and differences leave: a share of the value, and of the step."""

LARGEST_STEP_SHARE = 0.125
"""Rounding of the largest value is below this share of the grid's step; else any value fits."""


def rounding(kind: pa.DataType) -> float:
    """Return the relative rounding of a type's values; 0 for one that is not checked.

    Integers and times are rounded by their types.
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
    # A few values are cheap, and most columns need no more decimals than these.
    decimals = _refined(decimals, _first_known(values), roundings)
    return _refined(decimals, values, roundings)


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
    """Return up to `FIRST_LOOK` values of each cell that are not 0; NaN where there are fewer."""
    first = values[:, :FIRST_LOOK].copy()
    lacking = np.flatnonzero(~np.all(np.abs(first) > 0, axis=1))
    rows = values[lacking, :FIRST_ROWS]
    known = np.abs(rows) > 0  # false for NaN too
    place = np.cumsum(known, axis=1) - 1
    cell, row = np.nonzero(known & (place < first.shape[1]))
    first[lacking] = np.nan
    first[lacking[cell], place[cell, row]] = rows[cell, row]
    return first


def _off_grid(values: Floats, decimals: Indices, roundings: Floats) -> Mask:
    """Return the cells `(n_cells,)` with a value that needs more decimals."""
    steps = (10.0**decimals)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = values * steps
        np.rint(nearest, out=nearest)
        nearest /= steps
        # Most cells on the grid are exactly its nearest floats; NaN leaves it open.
        off: Mask = np.any(nearest != values, axis=1)
        open = np.flatnonzero(off)
        scaled = values[open] * steps[open]
        distance = np.abs(np.rint(scaled) - scaled)
        np.abs(scaled, out=scaled)
        # Relative to the value: one that is not 0 never becomes 0.
        tolerance = np.minimum(scaled * CLOSE, CLOSE_STEP)
        np.maximum(tolerance, scaled * roundings[open, None], out=tolerance)
        off[open] = np.any(distance > tolerance, axis=1)
    return off


def grid_of(decimals: Indices, low: Floats, high: Floats, roundings: Floats) -> int | None:
    """Return the decimals of a column from those of its cells; None where it has no grid.

    Args:
        decimals: `(n_cells,)` that its cells need.
        low: `(n_cells,)` lowest values.
        high: `(n_cells,)` highest values.
        roundings: `(n_cells,)` of the cells' types.
    """
    most = int(decimals.max(initial=0))
    if (decimals == NO_GRID).any():
        return None
    ends = np.array([low, high])
    largest = float(np.abs(ends).max(initial=0.0, where=np.isfinite(ends)))
    if largest * 10.0**most * float(roundings.max(initial=0.0)) >= LARGEST_STEP_SHARE:
        return None
    first, last = on_grid(ends, most)
    return None if np.any((first == last) & (low != high)) else most


def on_grid(values: Floats, decimals: int | None) -> Floats:
    """Return values rounded to a number of decimals; those too large for it as they are."""
    if decimals is None:
        return values
    step = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.rint(values * step) / step + 0.0  # −0 becomes 0
    found: Floats = np.where(np.abs(values) * step < 2.0**52, rounded, values)
    return found
