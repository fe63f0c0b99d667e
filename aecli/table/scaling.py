"""Choose each numeric cell's centre and scale: network inputs are `(value - center) / scale`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aecli.array_types import Floats, Mask

MAX_BYTE = 255.0
# Numbers are clipped at this many scales from the centre: their squares, and their products with
# weights, must be finite in float32.
FAR = 1e6
# Minimum number of small integer columns with a common maximum that are pixels or flags, not ages.
MIN_SHARED_COLUMNS = 16
# Squares of smaller deviations underflow, which makes the standard deviation wrong.
MIN_STD = 1e-145


@dataclass(frozen=True)
class NumericCells:
    """Statistics of all numeric cells of a table, one entry per cell.

    `byte` marks unsigned bytes, `integer` integer types, `temporal` times; quartiles are set only
    for `--scale robust`.
    """

    mean: Floats
    std: Floats
    low: Floats
    high: Floats
    byte: Mask
    integer: Mask
    temporal: Mask
    quartiles: tuple[Floats, Floats, Floats] | None = None

    @property
    def varying(self) -> Mask:
        """Return which cells have at least two different values."""
        return self.low < self.high


def scale_cells(
    cells: NumericCells,
    chosen: npt.NDArray[np.str_],
    *,
    bounded: bool = False,
) -> tuple[Floats, Floats, npt.NDArray[np.str_], float | None]:
    """Return the centre, the scale (finite, positive) and the method of each cell.

    `chosen` is the `--scale` of each cell. The last value is the common scale of the cells whose
    method is `shared`. Times are always scaled. With a `bounded` output, cells whose method is open
    are scaled to 0..1. If the range is too wide or too narrow for a standard deviation in float64,
    the middle and half of the range are used instead.
    """
    automatic = chosen == "auto"
    shared, top = _shared_scale(cells, automatic) if automatic.any() else (None, None)
    is_open = automatic | (cells.temporal & (chosen == "none"))
    method = np.where(is_open, "minmax" if bounded else "standard", chosen).astype("<U8")
    if shared is not None:
        method[shared] = "shared"
    center, scale = np.zeros(len(method)), np.ones(len(method))
    with np.errstate(over="ignore", invalid="ignore"):
        for name in np.unique(method):
            chosen = method == name
            centers, scales = _center_and_scale(str(name), cells, top)
            center[chosen], scale[chosen] = centers[chosen], scales[chosen]
        _fix_degenerate(cells, center, scale, method)
    return center, scale, method, top


def _center_and_scale(name: str, cells: NumericCells, top: float | None) -> tuple[Floats, Floats]:
    std = np.where(cells.std < MIN_STD, np.nan, cells.std)
    if name == "minmax":
        return cells.low, cells.high - cells.low
    if name == "robust" and cells.quartiles is not None:
        first, median, third = cells.quartiles
        return median, np.where(third > first, third - first, std)
    if name in ("none", "shared"):
        return np.zeros(len(std)), np.full(len(std), top if top and name == "shared" else 1.0)
    return cells.mean, std


def _fix_degenerate(
    cells: NumericCells, center: Floats, scale: Floats, method: npt.NDArray[np.str_]
) -> None:
    constant = ~cells.varying
    center[constant] = np.where(np.isfinite(cells.low), cells.low, 0)[constant]
    scale[constant] = 1.0
    method[constant] = "constant"
    degenerate = ~(np.isfinite(center) & np.isfinite(scale) & (scale > 0))
    low, high = cells.low[degenerate], cells.high[degenerate]
    half = high / 2 - low / 2
    center[degenerate] = low / 2 + high / 2
    # Half of the smallest subnormal number is 0.
    scale[degenerate] = np.where(half > 0, half, high - low)
    method[degenerate] = "range"


def _shared_scale(cells: NumericCells, automatic: Mask) -> tuple[Mask | None, float | None]:
    """Return the `automatic` cells that share a 0..1 scale, and its maximum.

    Unsigned bytes share it if they exceed 127 and are all the numbers or many; other groups
    (bytes, or many integers in 0..255) do if most of their columns have the same maximum.
    """
    numbers = cells.varying & ~cells.temporal & automatic
    small_integer = numbers & cells.integer & (cells.low >= 0) & (cells.high <= MAX_BYTE)
    byte = numbers & cells.byte
    only_bytes = bool(byte.any()) and bool((byte == numbers).all())
    if (only_bytes or byte.sum() >= MIN_SHARED_COLUMNS) and cells.high[byte].max() > 127:
        return byte, MAX_BYTE
    for group in (byte, small_integer):
        if group.sum() >= MIN_SHARED_COLUMNS or (only_bytes and group is byte):
            maxima, counts = np.unique(cells.high[group], return_counts=True)
            if counts[-1] > counts[:-1].max(initial=0) and 2 * counts[-1] >= counts.sum():
                return group, float(maxima[-1])
    return None, None
