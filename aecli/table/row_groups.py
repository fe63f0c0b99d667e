"""Row groups of a file: those that conditions or a range of rows leave, and their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeAlias

import pyarrow as pa

from aecli.table.row_filter import RowCondition

ColumnReader: TypeAlias = Callable[[Sequence[int], int], Iterator[list[pa.Array]]]
"""Function that yields the columns at given positions, in batches of about the given rows."""

Conditions: TypeAlias = Sequence[tuple[int, RowCondition]]
"""Conditions on columns, each with the position of its column in the schema."""


@dataclass(frozen=True)
class FileRowGroups:
    """Row groups of a file that are read, by their numbers, in the order of the file.

    `sizes` are the numbers of rows of all groups. `fulfilling` returns the numbers of the groups
    whose statistics leave open that rows fulfil conditions, `reader` the reader of some groups, and
    `memory` the bytes that it holds of columns while it reads, more exactly above a limit.
    """

    sizes: tuple[int, ...]
    numbers: tuple[int, ...]
    fulfilling: Callable[[Conditions], Sequence[int]]
    reader: Callable[[Sequence[int]], ColumnReader]
    memory: Callable[[Sequence[int], Sequence[int], int], list[int]]

    @property
    def rows(self) -> int:
        """Return the number of rows in the groups that are read."""
        return sum(self.sizes[number] for number in self.numbers)

    def read(self) -> ColumnReader:
        """Return the reader of the groups."""
        return self.reader(self.numbers)

    def column_memory(self, indices: Sequence[int], limit: int) -> list[int]:
        """Return the bytes that the reader holds of each column; more exactly above a limit."""
        return self.memory(self.numbers, indices, limit)

    def within(self, conditions: Conditions) -> FileRowGroups:
        """Return the groups of which rows may fulfil conditions."""
        fulfilling = set(self.fulfilling(conditions))
        return replace(self, numbers=tuple(n for n in self.numbers if n in fulfilling))

    def between(self, start: int, stop: int) -> tuple[FileRowGroups, int]:
        """Return the groups with rows from `start` to `stop`, and how many rows precede them."""
        ends = list(accumulate(self.sizes[number] for number in self.numbers))
        inside = [
            number
            for number, end in zip(self.numbers, ends, strict=True)
            if start < end and end - self.sizes[number] < stop
        ]
        before = max((end for end in ends if end <= start), default=0)
        return replace(self, numbers=tuple(inside)), before

    def position(self, row: int) -> int:
        """Return the position in the file of a row of the groups that are read."""
        starts = [0, *accumulate(self.sizes)]
        for number in self.numbers:
            if row < self.sizes[number]:
                return starts[number] + row
            row -= self.sizes[number]
        return starts[-1] + row
