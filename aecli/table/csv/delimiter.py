"""Detect a CSV file's delimiter in its first rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from aecli.table.csv.cell_kinds import is_number
from aecli.table.csv.header_detection import usual_width
from aecli.table.csv.rows import CsvRow, is_padding, read_rows
from aecli.table.csv.spaces import has_columns_at_spaces

_DELIMITERS = "\t|;,"  # of two that fit, the first: commas also occur in text
_SNIFFED_ROWS, _SNIFFED_CHARACTERS, _MIN_LINES = 200, 1 << 16, 10
_CERTAIN_SHARE = 0.5
_SELDOM, _ALIKE_ROWS = "~^:\x01", 3
# Before a delimiter or the end of a line, the backslash may be the end of a path.
_ESCAPED_QUOTE = re.compile(r'(?:^|[,\t;| ])"(?:[^"\\]|\\.)*\\"(?![,\t;|"\s])', re.M | re.S)


def sniff_delimiter(lines: Sequence[str], *, escapes: bool = False) -> str:
    """Return the delimiter that splits most of the first rows into as many cells as the first.

    If none does so for half of them: a space if the rows are fields separated by runs of spaces,
    else, for rows below a title, the delimiter that splits most of them into equally many cells.
    """
    sample = _sampled_lines(lines)
    present = [delimiter for delimiter in _DELIMITERS if any(delimiter in line for line in sample)]
    rows = {
        delimiter: sampled_rows(sample, delimiter, complete=True, escapes=escapes)
        for delimiter in present
    }
    rows = {delimiter: sampled for delimiter, sampled in rows.items() if sampled}
    scores = {
        delimiter: _score(sampled, len(sampled[0].cells)) for delimiter, sampled in rows.items()
    }
    if max(scores.values(), default=(0.0, 0))[0] < _CERTAIN_SHARE:
        words = sampled_rows(sample, " ", complete=True, escapes=escapes)
        if has_columns_at_spaces(sample, words):
            return " "
        scores |= {
            delimiter: _score(sampled, usual_width(sampled)) for delimiter, sampled in rows.items()
        }
    if list(scores) == [","] and _is_column_of_decimals(rows[","]):
        return ";"
    if "," in scores:
        better = [d for d in scores if scores[d][0] >= scores[","][0] and d != ","]
        if any(_is_in_cells(delimiter, rows[","]) for delimiter in better):
            del scores[","]  # its commas are decimal points, or part of names
    best = max(scores, key=scores.__getitem__, default=",")
    return best if best in scores and scores[best][0] > 0 else ","


def _is_column_of_decimals(rows: Sequence[CsvRow]) -> bool:
    """Return whether the first line is one name and the lines below have decimal commas."""
    numbers = (len(row.cells) == 2 and all(map(str.isdecimal, row.cells)) for row in rows[1:])
    named = len(rows) > 1 and len(rows[0].cells) == 1 and " " not in rows[0].cells[0].strip()
    return named and all(numbers)


def _is_in_cells(character: str, rows: Sequence[CsvRow]) -> bool:
    """Return whether a character is part of unquoted cells in most rows."""
    contains = [
        any(character in cell and at not in row.quoted for at, cell in enumerate(row.cells))
        for row in rows[1:]
    ]
    return 2 * sum(contains) > len(contains)


def _score(rows: Sequence[CsvRow], width: int) -> tuple[float, int]:
    """Return the share of rows with `width` cells, and `width`; zeros for a single column."""
    if width < 2:
        return 0.0, 0
    return sum(len(row.cells) == width for row in rows) / len(rows), width


def other_delimiter(lines: Sequence[str]) -> str | None:
    """Return a rare delimiter that splits all first rows into equally many cells, or None."""
    sample = _sampled_lines(lines)
    for sign in _SELDOM:
        if sample and sign in sample[0]:
            rows = sampled_rows(sample, sign, complete=True)
            widths = {len(row.cells) for row in rows}
            values = (all(map(is_number, row.cells)) for row in rows)
            if len(widths) == 1 and len(rows) >= _ALIKE_ROWS and widths != {1} and not all(values):
                return sign
    return None


def has_escapes(lines: Sequence[str]) -> bool:
    r"""Return whether quoted cells have quotes escaped by a backslash, as in "\"so\" he said"."""
    text = "".join(_sampled_lines(lines))
    return '\\"' in text and _ESCAPED_QUOTE.search(text) is not None


def _sampled_lines(lines: Sequence[str]) -> Sequence[str]:
    characters = 0
    for number, line in enumerate(lines):
        characters += len(line)
        if characters > _SNIFFED_CHARACTERS and number >= _MIN_LINES:
            return lines[:number]
    return lines


def _is_row(row: CsvRow) -> bool:
    padding = len(row.cells) == 1 and not row.quoted and is_padding(row.cells[0])
    return bool(row.cells) and not padding


def sampled_rows(
    lines: Sequence[str],
    delimiter: str,
    *,
    complete: bool,
    escapes: bool = False,
    initial_spaces: bool = False,
) -> list[CsvRow]:
    """Return the first rows that are not blank, without an incomplete one at the end.

    Args:
        lines: the first lines of a file.
        delimiter: as in `read_rows`.
        complete: whether the lines are the whole file.
        escapes: as in `read_rows`.
        initial_spaces: as in `read_rows`.
    """
    for sample in (_sampled_lines(lines), lines):
        whole = complete and len(sample) == len(lines)
        rows = read_rows(sample, delimiter, escapes=escapes, initial_spaces=initial_spaces)
        first_rows = [
            row for row in islice(rows, _SNIFFED_ROWS) if _is_row(row) and (row.closed or whole)
        ]
        if first_rows:
            return first_rows
    return []
