"""Find a CSV file's delimiter in its first rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from aecli.table.csv.cell_kinds import is_number
from aecli.table.csv.header_detection import usual_width
from aecli.table.csv.rows import CsvRow, is_padding, read_rows
from aecli.table.csv.spaces import has_columns_at_spaces

_DELIMITERS = "\t|;,"  # of two that fit, the first: commas stand in texts too
_SNIFFED_ROWS, _SNIFFED_CHARACTERS, _LEAST_LINES = 200, 1 << 16, 10
_CERTAIN_SHARE = 0.5
_SELDOM, _ALIKE_ROWS = "~^:\x01", 3
# Before a delimiter or the end of a line, the backslash may be the last sign of a folder.
_ESCAPED_QUOTE = re.compile(r'(?:^|[,\t;| ])"(?:[^"\\]|\\.)*\\"(?![,\t;|"\s])', re.M | re.S)


def sniff_delimiter(lines: Sequence[str], *, escapes: bool = False) -> str:
    """Return the delimiter that splits most of the first rows into as many cells as the first.

    If none does so for half of them, it is a space where the rows have fields at runs of spaces,
    else, as below a title, the one that splits most of them into one number of cells.
    """
    sample = _sampled_lines(lines)
    present = [sign for sign in _DELIMITERS if any(sign in line for line in sample)]
    rows = {sign: sampled_rows(sample, sign, complete=True, escapes=escapes) for sign in present}
    scores = {sign: _score(found, len(found[0].cells)) for sign, found in rows.items() if found}
    if max(scores.values(), default=(0.0, 0))[0] < _CERTAIN_SHARE:
        words = sampled_rows(sample, " ", complete=True, escapes=escapes)
        if has_columns_at_spaces(sample, words):
            return " "
        scores |= {sign: _score(found, usual_width(found)) for sign, found in rows.items() if found}
    if list(scores) == [","] and _is_column_of_decimals(rows[","]):
        return ";"
    if "," in scores:
        better = [sign for sign in scores if scores[sign][0] >= scores[","][0] and sign != ","]
        if any(_stands_in_cells(sign, rows[","]) for sign in better):
            del scores[","]  # its commas are decimal marks, or part of names
    best = max(scores, key=scores.__getitem__, default=",")
    return best if best in scores and scores[best][0] > 0 else ","


def _is_column_of_decimals(rows: Sequence[CsvRow]) -> bool:
    """Return whether a name of one column stands above numbers with a decimal comma."""
    numbers = (len(row.cells) == 2 and all(map(str.isdecimal, row.cells)) for row in rows[1:])
    named = len(rows) > 1 and len(rows[0].cells) == 1 and " " not in rows[0].cells[0].strip()
    return named and all(numbers)


def _stands_in_cells(sign: str, rows: Sequence[CsvRow]) -> bool:
    """Return whether a sign is part of cells without quotes in most rows."""
    cells = ((row, enumerate(row.cells)) for row in rows[1:])
    found = [any(sign in cell and at not in row.quoted for at, cell in own) for row, own in cells]
    return 2 * sum(found) > len(found)


def _score(rows: Sequence[CsvRow], width: int) -> tuple[float, int]:
    """Return the share of rows with as many cells as `width`, and it; zeros for one column."""
    if width < 2:
        return 0.0, 0
    return sum(len(row.cells) == width for row in rows) / len(rows), width


def other_delimiter(lines: Sequence[str]) -> str | None:
    """Return a sign that is seldom a delimiter and splits all of the first rows alike, or None."""
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
    r"""Return whether cells in quotes have quotes behind a backslash, as in "\"so\" he said"."""
    text = "".join(_sampled_lines(lines))
    return '\\"' in text and _ESCAPED_QUOTE.search(text) is not None


def _sampled_lines(lines: Sequence[str]) -> Sequence[str]:
    characters = 0
    for number, line in enumerate(lines):
        characters += len(line)
        if characters > _SNIFFED_CHARACTERS and number >= _LEAST_LINES:
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
    """Return the first rows that are not blank, without one that is cut.

    Args:
        lines: those of the head of a file.
        delimiter: as in `read_rows`.
        complete: the lines are all of the file.
        escapes: as in `read_rows`.
        initial_spaces: as in `read_rows`.
    """
    for sample in (_sampled_lines(lines), lines):
        whole = complete and len(sample) == len(lines)
        rows = read_rows(sample, delimiter, escapes=escapes, initial_spaces=initial_spaces)
        found = [
            row for row in islice(rows, _SNIFFED_ROWS) if _is_row(row) and (row.closed or whole)
        ]
        if found:
            return found
    return []
