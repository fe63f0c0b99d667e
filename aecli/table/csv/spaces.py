"""Distinguish tables with fields separated by runs of spaces from lines of text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aecli.table.csv.cell_kinds import cell_kind, column_kinds
from aecli.table.csv.rows import CsvRow

_RUN = re.compile(r"[^ \t][ \t]{2,}[^ \t]|^[ \t]+[^ \t]")
_DIGIT_GROUPS = re.compile(r"[+-]?\d{1,3}( \d{3})+")
_PARTS_OF_TIMES = frozenset(
    {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
    | {"mon", "tue", "wed", "thu", "fri", "sat", "sun", "am", "pm", "utc", "gmt"}
)
_DELIMITER_CHARACTERS = ",;|"


def has_columns_at_spaces(lines: Sequence[str], rows: Sequence[CsvRow]) -> bool:
    """Return whether lines are rows of at least two fields separated by spaces.

    The number of words varies between lines of text. If it does not, as in names of people or
    dates in words, quotes, aligned columns or numbers are evidence for fields.

    Args:
        lines: the first lines of the file.
        rows: the same lines, split at spaces.
    """
    rows = [row for row in rows if not row.comment]
    below = rows[1:]
    width = len(below[0].cells) if below else 0
    if width < 2 or any(len(row.cells) != width for row in below):
        return False
    in_quotes = all(row.quoted for row in below)
    if len(rows[0].cells) != width and not (in_quotes and len(rows[0].cells) == width - 1):
        return False
    if in_quotes:
        return True
    if any(cell.endswith(tuple(_DELIMITER_CHARACTERS)) for row in rows for cell in row.cells):
        return False
    kinds = column_kinds(below, width)
    numbers = kinds.count("number")
    written = [line for line in lines if line.strip()]
    aligned = 2 * sum(bool(_RUN.search(line)) for line in written) >= len(written)
    if aligned and (width > 2 or numbers):
        return True
    if numbers == width:
        return not all(_DIGIT_GROUPS.fullmatch(" ".join(row.cells)) for row in below)
    values = numbers + kinds.count("time")
    return width > 2 and 2 * values > width and not any(map(_is_part_of_time, below[0].cells))


def _is_part_of_time(cell: str) -> bool:
    return cell_kind(cell) == "text" and cell.strip(".,").lower()[:3] in _PARTS_OF_TIMES
