"""Find the column names in the rows of a sheet, and write its cells as text."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = Sequence[Any]
"""Cells of a row of a sheet; an empty text where a cell has no value or an error."""

MergedRange: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""First and last cell of a range of cells that are merged into one, as row and column."""

LARGEST_WHOLE_DOUBLE = 2.0**53
"""Largest number up to which every whole number is a double."""


def header_position(
    head: Sequence[Row], header: int | str, merged: Sequence[MergedRange]
) -> int | None:
    """Return the position of the header, or of the first row where none is wanted; None for none.

    The header is the first row that reaches the last column of the table, with names in most
    columns. A row of merged cells is taken for titles of groups where a row of text follows.
    """
    if isinstance(header, int):
        return header - 1 if header <= len(head) else None
    filled = [at for at, row in enumerate(head) if not is_empty(row)]
    if header == "none" or not filled:
        return filled[0] if filled else None
    spans = {at: [column for column, cell in enumerate(head[at]) if cell != ""] for at in filled}
    begin = _most_common(span[0] for span in spans.values())
    end = _most_common(span[-1] for span in spans.values())
    spanning = [
        at for at, span in spans.items() if span[-1] >= end and len(span) * 2 > end - begin + 1
    ]
    groups = {first[0] for first, last in merged if last[1] > first[1]}
    names = next((at for at in spanning if at not in groups), None)
    if names is not None and all(isinstance(cell, str) for cell in head[names]):
        return names
    return min(spanning, default=filled[0])


def _most_common(values: Iterable[int]) -> int:
    """Return the most common value, the largest one where several are."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))


def column_names(head: Sequence[Row], at: int, merged: Sequence[MergedRange]) -> list[str]:
    """Return the names in a row; a cell that is merged with those above it has their text."""
    names = [cell_text(cell) or "" for cell in head[at]]
    for (top, left), (bottom, right) in merged:
        if 0 <= top < at <= bottom and left == right:
            names[left] = cell_text(head[top][left]) or ""
    return [name.strip() for name in names]


def is_empty(row: Row) -> bool:
    """Return whether no cell of a row has a value."""
    return all(cell == "" for cell in row)


def cell_text(cell: Any) -> str | None:
    """Return a cell as a CSV file would have it, None for one without a value."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= LARGEST_WHOLE_DOUBLE:
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return str(cell.date())
    if isinstance(cell, dt.timedelta):
        seconds = cell.total_seconds()
        return f"{seconds // 3600:.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f}"
    return str(cell)
