"""Count the values of one column in bounded memory."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.schema.model_spec import Category
from aecli.table.to_numpy import python_values

# A column with this many distinct values, most of them seen once, is no category: counting stops.
HOPELESS = 100_000
# Beyond this many, the rarest half is forgotten; what remains are the frequent ones.
MOST_DISTINCT = 1_000_000


class ValueCounts:
    """Count how often each value of a text, integer or boolean column occurs.

    Args:
        column: the name that errors give.
        keep: count on even where nearly every value is distinct.
    """

    def __init__(self, column: str, *, keep: bool = False) -> None:
        self.column = column
        self.keep = keep
        self.counts: dict[Category, int] = {}
        self.observed = 0
        self.missing = 0
        self.stopped = False
        self.pruned = False
        self.fraction: float | None = None

    @property
    def distinct(self) -> int:
        """Return the number of distinct values, a lower bound once `stopped` or `pruned`."""
        return len(self.counts)

    def add(self, array: pa.Array) -> None:
        """Count one batch's values.

        Raises:
            DataError: a text is not valid UTF-8.
        """
        if self.stopped:
            self.observed += len(array) - array.null_count
            self.missing += array.null_count
            return
        if pa.types.is_floating(array.type):
            array = self._whole(array)
        elif pa.types.is_string_view(array.type):
            array = array.cast(pa.large_string())  # pyarrow 26 counts a null view as ''
        found = pc.value_counts(array)
        values, counts = python_values(found.field(0), self.column), found.field(1).to_pylist()
        totals: dict[Any, int] = self.counts
        for value, count in zip(values, counts, strict=True):
            totals[value] = totals.get(value, 0) + count
        missing = totals.pop(None, 0)
        self.missing += missing
        self.observed += len(array) - missing
        if self.distinct > HOPELESS and self.distinct > self.observed / 2 and not self.keep:
            self.stopped = True
        elif self.distinct > MOST_DISTINCT:
            self.counts = dict(self.most_common(MOST_DISTINCT // 2))
            self.pruned = True

    def most_common(self, limit: int) -> list[tuple[Category, int]]:
        """Return the `limit` most frequent values with counts, equal counts in order of value."""
        return heapq.nsmallest(limit, self.counts.items(), key=lambda item: (-item[1], item[0]))

    def _whole(self, array: pa.Array) -> pa.Array:
        values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        present = ~np.isnan(values)
        # Beyond 2**53 every float is whole, and beyond 2**63 no integer type holds it.
        odd = present & ~((np.rint(values) == values) & (np.abs(values) < 2.0**63))
        if odd.any():
            self.fraction = float(values[odd][0])
        return pa.array(np.where(present & ~odd, values, 0).astype(np.int64), mask=~present)
