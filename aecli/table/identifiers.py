"""Detect columns that identify rows instead of describing them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from aecli.table.column_statistics import ValueCounts

# With fewer rows, values may all be distinct by chance.
MIN_NUMBERED_ROWS = 100
MIN_ROWS_NEARLY_DISTINCT = 50
MIN_ROWS_ALL_DISTINCT = 10
NEARLY_DISTINCT_SHARE = 0.95

_ID_WORDS = {"id", "uid", "uuid", "guid", "rowid"}


def named_like_identifier(name: str) -> bool:
    """Return whether the first or last word is `id` or alike: `UID`, `order_id`, `PassengerId`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return bool(words) and bool({words[0].lower(), words[-1].lower()} & _ID_WORDS)


def identifier_reason(counts: ValueCounts, max_categories: int | None) -> str | None:
    """Return why counted values are not a category, or None if they may be one.

    Args:
        counts: the values of the training rows.
        max_categories: more distinct values than these are free text; None for integers.
    """
    distinct, observed = counts.distinct, counts.observed
    nearly_distinct = (
        observed >= MIN_ROWS_NEARLY_DISTINCT and distinct >= NEARLY_DISTINCT_SHARE * observed
    )
    all_distinct = observed >= MIN_ROWS_ALL_DISTINCT and distinct == observed
    free_text = max_categories is not None and distinct > max_categories and 2 * distinct > observed
    if not (counts.stopped or nearly_distinct or all_distinct or free_text):
        return None
    noun = "identifier by its name" if max_categories is None else "free text or identifier"
    shown = f"more than {distinct - 1:,}" if counts.stopped else f"{distinct:,}"
    return f"{noun}: {shown} distinct values in {observed:,} rows"


class RowNumbers:
    """Integer columns of a stream that may number the rows from 0 or 1."""

    def __init__(self, columns: Iterable[int]) -> None:
        self._last: dict[int, int | None] = dict.fromkeys(columns)
        self._rows: dict[int, int] = dict.fromkeys(self._last, 0)

    def add(self, column: int, values: npt.NDArray[Any]) -> None:
        """Check the next values of a column, NaN for null."""
        if column not in self._last or not len(values):
            return
        last = self._last[column]
        is_integer = values.dtype.kind in "iu"  # a float had nulls
        first, final = (int(values[0]), int(values[-1])) if is_integer else (0, 0)
        starts = first in (0, 1) if last is None else first == last + 1
        steps = is_integer and starts and final - first == len(values) - 1
        if steps and (np.diff(values) == 1).all():
            self._last[column] = final
            self._rows[column] += len(values)
        else:
            del self._last[column]

    def starts(self) -> dict[int, int]:
        """Return the first number of each column that numbers the rows."""
        return {
            column: last - self._rows[column] + 1
            for column, last in self._last.items()
            if last is not None and self._rows[column] >= MIN_NUMBERED_ROWS
        }
