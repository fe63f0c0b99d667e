"""Find the column names in the rows of a sheet, and convert its cells to text."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

Row: TypeAlias = Sequence[Any]
"""Cells of a row of a sheet; an empty text for a cell without a value or with an error."""

MergedRange: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""First and last cell, as row and column, of a merged range of cells."""

MAX_WHOLE_DOUBLE = 2.0**53
"""Maximum below which every integer is a float64."""

_MIN_SHARE = 0.05  # of rows that reach the last column


def header_position(
    head: Sequence[Row], header: int | str, merged: Sequence[MergedRange]
) -> int | None:
    """Return the position of the header, or of the first row without a header; None if not found.

    The header is the first row that reaches the last column of the table, with names in most
    columns. A row of merged cells is a title of groups if a row of text follows, and a row with
    numbers is data if a row of text is directly above it.
    """
    if isinstance(header, int):
        return header - 1 if header <= len(head) else None
    spans = {
        at: [column for column, cell in enumerate(row) if cell != ""]
        for at, row in enumerate(head)
        if not is_empty(row)
    }
    if header == "none" or not spans:
        return min(spans, default=None)
    begin = Counter(span[0] for span in spans.values()).most_common(1)[0][0]
    end = _last_column([span[-1] for span in spans.values()])
    most = {at for at, span in spans.items() if len(span) * 2 > end - begin + 1}
    groups = {first[0] for first, last in merged if last[1] > first[1]}
    spanning = [at for at in spans if at in most and spans[at][-1] >= end]
    names = next((at for at in spanning if at not in groups), None)
    if names is not None and _is_text(head[names]):
        return names
    first = min(spanning, default=min(spans))
    above = first - 1
    return above if above in most and _is_text(head[above]) else first


def _last_column(ends: Sequence[int]) -> int:
    """Return the last column of a table by those of its rows; a few rows may be longer."""
    counts = Counter(ends)
    least = max(2, _MIN_SHARE * len(ends))
    often = [end for end, count in counts.items() if count >= least]
    return max(often, default=counts.most_common(1)[0][0])


def _is_text(row: Row) -> bool:
    return all(isinstance(cell, str) for cell in row)


def column_names(head: Sequence[Row], at: int, merged: Sequence[MergedRange]) -> list[str]:
    """Return the names in a row; a cell merged with cells above it has their text."""
    names = [cell_text(cell) or "" for cell in head[at]]
    for (top, left), (bottom, right) in merged:
        if 0 <= top < at <= bottom and left == right:
            names[left] = cell_text(head[top][left]) or ""
    return [name.strip() for name in names]


def is_empty(row: Row) -> bool:
    """Return whether no cell of a row has a value."""
    return all(cell == "" for cell in row)


def cell_text(cell: Any) -> str | None:
    """Return a cell as in a CSV file, None for a cell without a value."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= MAX_WHOLE_DOUBLE:
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return str(cell.date())
    if isinstance(cell, dt.timedelta):
        seconds = cell.total_seconds()
        return f"{seconds // 3600:.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f}"
    return str(cell)
