"""Distinguish numbers, times and other text in the cells of a text table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aecli.table.cells.conversion import SPACE
from aecli.table.csv.rows import CsvRow

_NUMBER = re.compile(r"[+-]?[$€£¥]?\s?(?:\d[\d.,'\u00a0\u202f]*|[.,]\d+)(?:[eE][+-]?\d+)?\s?%?")
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TIME = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?:[T ]\s*\d{1,2}:\d{2}.*)?"
    r"|\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
)
_BEGINS_VALUE = frozenset("0123456789+-.,$€£¥")
_NO_VALUE = frozenset(
    {"", "-", "--", "---", ".", "..", "...", "*", "?", "#n/a", "#na", "<na>", "n/a", "n.a.", "n.d."}
    | {"na", "nan", "nat", "nd", "nil", "none", "null", "missing", "unknown", "undefined", "error"}
    | {"n/d", "inf", "-inf", "+inf", "infinity", "-infinity"}
)
EXAMINED_COLUMNS = 500
"""Number of columns whose cells are examined."""

ROWS_BELOW_UNITS = 5
"""Minimum number of rows below a row of units."""

_EXAMINED_CELLS, _MIN_ROWS = 4_000, 20


def cell_kind(cell: str) -> str | None:
    """Return `number`, `time` or `text`; None for an empty cell and a usual text for missing."""
    cell = cell.strip(SPACE)
    if cell.lower() in _NO_VALUE:
        return None
    if cell[0] not in _BEGINS_VALUE:
        return "text"
    if _PLAIN_NUMBER.fullmatch(cell):
        return "number"
    if _TIME.fullmatch(cell):
        return "time"
    return "number" if _NUMBER.fullmatch(cell) else "text"


def is_number(cell: str) -> bool:
    """Return whether a cell looks like a number."""
    return cell_kind(cell) == "number"


def column_kinds(rows: Sequence[CsvRow], width: int) -> list[str | None]:
    """Return the kinds of the cells of the first columns, None for columns without values.

    The first row may differ if there are enough other rows: it may contain units.
    """
    columns = min(width, EXAMINED_COLUMNS)
    whole = [row.cells for row in rows if len(row.cells) == width]
    whole = whole[: max(_MIN_ROWS, _EXAMINED_CELLS // max(columns, 1))]
    if len(whole) > ROWS_BELOW_UNITS:
        whole = whole[1:]
    kinds: list[str | None] = []
    for position in range(columns):
        present = {cell_kind(cells[position]) for cells in whole} - {None}
        kinds.append("text" if len(present) > 1 else next(iter(present), None))
    return kinds


def examined(rows: Sequence[CsvRow], width: int) -> Sequence[CsvRow]:
    """Return the first rows, fewer if there are many columns."""
    return rows[: max(_MIN_ROWS, _EXAMINED_CELLS // max(width, 1))]


def cells_below(rows: Sequence[CsvRow], position: int) -> list[str]:
    """Return the stripped cells of a column."""
    return [row.cells[position].strip() for row in rows if position < len(row.cells)]


def number_in(cell: str) -> float | None:
    """Return the approximate number in a cell; None for other text."""
    cell = cell.strip("$€£¥% ")
    if cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return None
