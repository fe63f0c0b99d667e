"""Find a CSV file's delimiter in its first rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from aecli.table.csv_rows import CsvRow, is_padding, read_rows
from aecli.table.header_detection import usual_width

_DELIMITERS = "\t|;,"  # of two that fit, the first: commas stand in texts too
_SNIFFED_ROWS, _SNIFFED_CHARACTERS, _LEAST_LINES = 200, 1 << 16, 10
_CERTAIN_SHARE = 0.5


def sniff_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits most of the first rows into as many cells as the first.

    If none does so for half of them, as below a title, return the one that splits most of them into
    one number of cells.
    """
    sample = _sampled_lines(lines)
    present = [sign for sign in _DELIMITERS if any(sign in line for line in sample)]
    rows = {sign: sampled_rows(sample, sign, complete=True) for sign in present}
    scores = {sign: _score(found, len(found[0].cells)) for sign, found in rows.items() if found}
    if max(scores.values(), default=(0.0, 0))[0] < _CERTAIN_SHARE:
        scores |= {sign: _score(found, usual_width(found)) for sign, found in rows.items() if found}
    best = max(scores, key=scores.__getitem__, default=",")
    return best if best in scores and scores[best][0] > 0 else ","


def _score(rows: Sequence[CsvRow], width: int) -> tuple[float, int]:
    """Return the share of rows with as many cells as `width`, and it; zeros for one column."""
    if width < 2:
        return 0.0, 0
    return sum(len(row.cells) == width for row in rows) / len(rows), width


def _sampled_lines(lines: Sequence[str]) -> Sequence[str]:
    characters = 0
    for number, line in enumerate(lines):
        characters += len(line)
        if characters > _SNIFFED_CHARACTERS and number >= _LEAST_LINES:
            return lines[:number]
    return lines


def _is_row(row: CsvRow) -> bool:
    return bool(row.cells) and not (len(row.cells) == 1 and is_padding(row.cells[0]))


def sampled_rows(lines: Sequence[str], delimiter: str, *, complete: bool) -> list[CsvRow]:
    """Return the first rows that are not blank, without one that is cut."""
    for sample in (_sampled_lines(lines), lines):
        whole = complete and len(sample) == len(lines)
        rows = islice(read_rows(sample, delimiter), _SNIFFED_ROWS)
        found = [row for row in rows if _is_row(row) and (row.closed or whole)]
        if found:
            return found
    return []
