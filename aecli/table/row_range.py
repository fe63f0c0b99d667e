"""Consecutive rows of a table, of which only the overlapping files and row groups are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from aecli.errors import DataError


@dataclass(frozen=True)
class RowRange:
    """Rows of a table that are read: `rows` of the `total` in its files, after `skipped` rows."""

    rows: int
    skipped: int
    total: int

    def cut(self, batches: Iterable[pa.RecordBatch], table: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the range, of batches of all rows in the files.

        Raises:
            DataError: the number of rows in the files has changed.
        """
        if not self.rows:
            return
        start, stop = 0, self.skipped + self.rows
        for batch in batches:
            low, high = max(0, self.skipped - start), min(stop - start, batch.num_rows)
            if low < high:
                yield batch.slice(low, high - low)
            start += batch.num_rows
            if stop <= start and stop < self.total:
                return
        if start != self.total:
            raise changed_error(table, self.total, start)


def changed_error(table: str, before: int, now: int) -> DataError:
    """Return the error of a table whose number of rows changed between two readings."""
    return DataError(
        f"{table} changed while it was read",
        facts=[f"it had {before:,} rows at first and {now:,} now"],
        hint="a copy that no other process changes",
    )
