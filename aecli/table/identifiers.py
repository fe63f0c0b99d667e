"""Notice columns that name rows instead of describing them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from aecli.table.column_statistics import ValueCounts

# With fewer rows, values may all be distinct by chance.
FEWEST_NUMBERED_ROWS = 100
FEWEST_ROWS = 50
FEWEST_ROWS_ALL_DISTINCT = 10
NEARLY_ALL = 0.95

_ID_WORDS = {"id", "uid", "uuid", "guid", "rowid"}


def named_like_identifier(name: str) -> bool:
    """Say whether the first or last word is `id` or its like: `UID`, `order_id`, `PassengerId`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return bool(words) and bool({words[0].lower(), words[-1].lower()} & _ID_WORDS)


def identifier_reason(counts: ValueCounts, most: int | None) -> str | None:
    """Return why counted values are no category, or None where they may be one.

    Args:
        counts: the values of the training rows.
        most: the largest number of categories, beyond which text is free text; None for integers.
    """
    distinct, observed = counts.distinct, counts.observed
    nearly = observed >= FEWEST_ROWS and distinct >= NEARLY_ALL * observed
    every = observed >= FEWEST_ROWS_ALL_DISTINCT and distinct == observed
    free = most is not None and distinct > most and 2 * distinct > observed
    if not (counts.stopped or nearly or every or free):
        return None
    what = "identifier by its name" if most is None else "free text or identifier"
    shown = f"more than {distinct - 1:,}" if counts.stopped else f"{distinct:,}"
    return f"{what}: {shown} distinct values in {observed:,} rows"


class RowNumbers:
    """Follow integer columns through a stream and tell which count the rows from 0 or 1."""

    def __init__(self, columns: Iterable[int]) -> None:
        self._last: dict[int, int | None] = dict.fromkeys(columns)
        self._rows: dict[int, int] = dict.fromkeys(self._last, 0)

    def add(self, column: int, values: npt.NDArray[Any]) -> None:
        """Look at the next values of a column, NaN for null."""
        if column not in self._last or not len(values):
            return
        last = self._last[column]
        whole = values.dtype.kind in "iu"  # a float had nulls
        first, final = (int(values[0]), int(values[-1])) if whole else (0, 0)
        starts = first in (0, 1) if last is None else first == last + 1
        steps = whole and starts and final - first == len(values) - 1
        if steps and (np.diff(values) == 1).all():
            self._last[column] = final
            self._rows[column] += len(values)
        else:
            del self._last[column]

    def found(self) -> dict[int, int]:
        """Return the columns that still count, with their first number."""
        return {
            column: last - self._rows[column] + 1
            for column, last in self._last.items()
            if last is not None and self._rows[column] >= FEWEST_NUMBERED_ROWS
        }
