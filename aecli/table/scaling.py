"""Choose each numeric cell's centre and scale: a network sees `(value - center) / scale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aecli.array_types import Floats, Mask

MAX_BYTE = 255.0
# Beyond this many scales from the centre a number is as far as the network can see: its square
# and the weights it meets must stay finite in float32.
FAR = 1e6
# From this many on, small integer columns with a common maximum are pixels or flags, not ages.
MIN_SHARED_COLUMNS = 16
# Squares of smaller deviations underflow, so that the standard deviation is wrong.
MIN_STD = 1e-145


@dataclass(frozen=True)
class NumericCells:
    """Statistics of all numeric cells of a table, one entry per cell.

    `byte` marks unsigned bytes, `integer` integer types, `temporal` times; the quartiles are set
    for `--scale robust` only.
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
    option: Literal["auto", "standard", "minmax", "robust", "none"],
    *,
    bounded: bool = False,
) -> tuple[Floats, Floats, npt.NDArray[np.str_], float | None]:
    """Return the scaling by an option of `--scale`: centre, scale (finite, positive) and method.

    Each has one entry per cell. The cells of the method `shared` have one scale, which comes last.

    Times are always scaled. With a `bounded` output, cells that the option does not decide about
    are scaled to 0..1. Where the range is too wide or too narrow for a standard deviation in
    float64, the middle and half of the range take its place.
    """
    shared, top = _shared_scale(cells) if option == "auto" else (None, None)
    usual = "minmax" if bounded else "standard"
    method = np.full(len(cells.low), usual if option == "auto" else option, dtype="<U8")
    if option == "none":
        method[cells.temporal] = usual
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
    # Half of the smallest subnormal is 0.
    scale[degenerate] = np.where(half > 0, half, high - low)
    method[degenerate] = "range"


def _shared_scale(cells: NumericCells) -> tuple[Mask | None, float | None]:
    """Return the cells that share one 0..1 scale, and its maximum.

    Unsigned bytes do where they reach beyond 127 and are all the numbers or many; else a group
    (bytes, or many integers in 0..255) does if most of its columns have the same maximum.
    """
    numbers = cells.varying & ~cells.temporal
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
