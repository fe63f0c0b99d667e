"""Choose each numeric cell's centre and scale: a network sees `(value - center) / scale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aecli.array_types import Floats, Mask

Method = Literal["standard", "minmax", "robust", "none", "shared", "range", "constant"]

BYTE = 255.0
# So many small whole-number columns with one common maximum are pixels or flags; fewer may be ages.
MANY = 16
# Squares of smaller deviations are lost to underflow, and with them the standard deviation.
SMALLEST_STD = 1e-145


@dataclass(frozen=True)
class NumericCells:
    """Hold the statistics of all numeric cells of a table, one entry per cell.

    `byte` marks unsigned bytes, `whole` integer types, `temporal` times; the quartiles are there
    where `--scale robust` needs them.
    """

    mean: Floats
    std: Floats
    low: Floats
    high: Floats
    byte: Mask
    whole: Mask
    temporal: Mask
    quartiles: tuple[Floats, Floats, Floats] | None = None

    @property
    def varying(self) -> Mask:
        """Return which cells have two different values at least."""
        return self.low < self.high


@dataclass(frozen=True)
class Scaling:
    """Hold centre, scale (finite, positive) and the method of each cell.

    `shared` cells have one scale, `top`.
    """

    center: Floats
    scale: Floats
    method: npt.NDArray[np.str_]
    top: float | None
    shared: int


def scale_cells(
    cells: NumericCells, option: Literal["auto", "standard", "minmax", "robust", "none"]
) -> Scaling:
    """Return the scaling that the option asks for, one entry per cell.

    Times are standardised rather than left as they are. Where the range is too wide or too narrow
    for a standard deviation in float64, the middle and half of the range take its place.
    """
    shared, top = _shared(cells) if option == "auto" else (None, None)
    method = np.full(len(cells.low), "standard" if option == "auto" else option, dtype="<U8")
    if option == "none":
        method[cells.temporal] = "standard"
    if shared is not None:
        method[shared] = "shared"
    center, scale = np.zeros(len(method)), np.ones(len(method))
    with np.errstate(over="ignore", invalid="ignore"):
        for name in np.unique(method):
            chosen = method == name
            middle, width = _method(str(name), cells, top)
            center[chosen], scale[chosen] = middle[chosen], width[chosen]
        _mend(cells, center, scale, method)
    return Scaling(center, scale, method, top, int((method == "shared").sum()))


def _method(name: str, cells: NumericCells, top: float | None) -> tuple[Floats, Floats]:
    std = np.where(cells.std < SMALLEST_STD, np.nan, cells.std)
    if name == "minmax":
        return cells.low, cells.high - cells.low
    if name == "robust" and cells.quartiles is not None:
        first, median, third = cells.quartiles
        return median, np.where(third > first, third - first, std)
    if name in ("none", "shared"):
        return np.zeros(len(std)), np.full(len(std), top if top and name == "shared" else 1.0)
    return cells.mean, std


def _mend(cells: NumericCells, center: Floats, scale: Floats, method: npt.NDArray[np.str_]) -> None:
    constant = ~cells.varying
    center[constant] = np.where(np.isfinite(cells.low), cells.low, 0)[constant]
    scale[constant] = 1.0
    method[constant] = "constant"
    poor = ~(np.isfinite(center) & np.isfinite(scale) & (scale > 0))
    low, high = cells.low[poor], cells.high[poor]
    half = high / 2 - low / 2
    center[poor] = low / 2 + high / 2
    # Half of the smallest subnormal is 0.
    scale[poor] = np.where(half > 0, half, high - low)
    method[poor] = "range"


def _shared(cells: NumericCells) -> tuple[Mask | None, float | None]:
    """Return the cells that share one 0..1 scale, and its maximum.

    Unsigned bytes do where they reach beyond 127 and are all the numbers or many; else a group
    (bytes, or many whole numbers in 0..255) does if most of its columns have the same maximum.
    """
    numbers = cells.varying & ~cells.temporal
    whole = numbers & cells.whole & (cells.low >= 0) & (cells.high <= BYTE)
    byte = numbers & cells.byte
    only_bytes = bool(byte.any()) and bool((byte == numbers).all())
    if (only_bytes or byte.sum() >= MANY) and cells.high[byte].max() > 127:
        return byte, BYTE
    for group in (byte, whole):
        if group.sum() >= MANY or (only_bytes and group is byte):
            maxima, counts = np.unique(cells.high[group], return_counts=True)
            if counts[-1] > counts[:-1].max(initial=0) and 2 * counts[-1] >= counts.sum():
                return group, float(maxima[-1])
    return None, None
