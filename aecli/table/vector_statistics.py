"""Statistics of the elements of a list column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from aecli.table.arrow_types import list_size
from aecli.table.column_statistics import Moments
from aecli.table.decimal_grid import first_decimals, joined_decimals, rounding


class VectorStatistics:
    """Moments of a list column's elements, if all lists have the same length."""

    def __init__(self, kind: pa.DataType) -> None:
        self.size: int | None = None
        self.ragged = False
        self.complete = 0
        self.moments = Moments(0)
        self._rounding = rounding(kind)
        self.roundings = np.zeros(0)
        self.decimals = first_decimals(self.roundings)

    def set_size(self, array: pa.Array) -> None:
        """Set the size from the first list that is not null, if it is not known yet."""
        if self.size is None:
            self.size = list_size(array)
            self.moments = Moments(self.size or 0)
            self.roundings = np.full(self.size or 0, self._rounding)
            self.decimals = first_decimals(self.roundings)
            self.ragged = self.size == 0

    def merge(self, other: VectorStatistics) -> None:
        """Add the statistics of the rows after these."""
        if other.size is None:
            return
        if self.size is None:
            self.size, self.moments = other.size, other.moments
            self.roundings, self.decimals = other.roundings, other.decimals
            self.ragged, self.complete = other.ragged, other.complete
            return
        self.ragged |= other.ragged or self.size != other.size
        if not self.ragged:
            self.complete += other.complete
            self.moments.merge(other.moments)
            self.decimals = joined_decimals(self.decimals, other.decimals)
