"""Divide the lines of a CSV file into rows, and tell which cells stand in quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_INSIDE_QUOTES = re.compile(r'([^"]*(?:""[^"]*)*)("|\Z)')

PADDING = "\0\x1a"


class CsvRow(NamedTuple):
    """Cells of a row, none for a blank line, the positions of quoted ones, and the lines it takes.

    Lines are counted from 0; `end` is the first line below the row. A row that is not `closed`
    ends in a quoted cell without its closing quote.
    """

    cells: list[str]
    quoted: frozenset[int]
    start: int
    end: int
    closed: bool = True

    @property
    def comment(self) -> bool:
        """Return whether the row begins with #, outside quotes."""
        return bool(self.cells) and 0 not in self.quoted and is_comment(self.cells[0])


def read_rows(lines: Iterable[str], delimiter: str) -> Iterator[CsvRow]:
    """Yield the rows of a file, blank lines among them.

    Python's csv module does not tell quoted cells from others, and refuses long ones.

    Args:
        lines: the lines with their line ends.
        delimiter: the one between cells.
    """
    none: frozenset[int] = frozenset()
    plain_cell = re.compile(rf"[^{re.escape(delimiter)}\r\n]*")
    cells: list[str] = []
    quoted: list[int] = []
    open_parts: list[str] = []
    start, number = 0, -1
    for number, line in enumerate(lines):
        if not open_parts:
            text = line.rstrip("\r\n")
            cells, quoted, start = text.split(delimiter) if text else [], [], number
            if '"' not in line:
                yield CsvRow(cells, none, number, number + 1)
                continue
            simple = _simply_quoted(cells)
            if simple is not None:
                bare = [cell[1:-1] if i in simple else cell for i, cell in enumerate(cells)]
                yield CsvRow(bare, simple, number, number + 1)
                continue
            cells = []
        open_parts = _add_cells(line, plain_cell, delimiter, cells, quoted, open_parts)
        if not open_parts:
            yield CsvRow(cells, frozenset(quoted), start, number + 1)
    if open_parts:
        cells.append("".join(open_parts).replace('""', '"'))
        yield CsvRow(cells, frozenset(quoted), start, number + 1, closed=False)


def _simply_quoted(cells: Sequence[str]) -> frozenset[int] | None:
    """Return the positions of quoted cells; None if some quotes do not just enclose a cell."""
    quoted = [position for position, cell in enumerate(cells) if '"' in cell]
    for position in quoted:
        cell = cells[position]
        if not (cell.startswith('"') and cell.endswith('"') and cell.count('"') == 2):
            return None
    return frozenset(quoted)


def _add_cells(
    line: str,
    plain_cell: re.Pattern[str],
    delimiter: str,
    cells: list[str],
    quoted: list[int],
    open_parts: list[str],
) -> list[str]:
    """Add the cells that end in a line, and return the text of a quoted one that does not.

    Args:
        line: the line.
        plain_cell: what a cell without quotes consists of.
        delimiter: the one between cells.
        cells: the cells of the row so far.
        quoted: the positions of those in quotes.
        open_parts: the text of the quoted cell that the line begins in, if any.
    """
    at = 0
    while True:
        inner = ""
        if not open_parts and line.startswith('"', at):
            open_parts = [""]
            quoted.append(len(cells))
            at += 1
        if open_parts:
            rest = _INSIDE_QUOTES.match(line, at)
            assert rest is not None  # the pattern also matches nothing
            open_parts.append(rest[1])
            if not rest[2]:
                return open_parts
            inner, open_parts = "".join(open_parts).replace('""', '"'), []
            at = rest.end()
        plain = plain_cell.match(line, at)
        assert plain is not None  # the pattern also matches nothing
        cells.append(inner + plain[0])
        at = plain.end() + 1
        if not line.startswith(delimiter, plain.end()):
            return []


def is_padding(text: str) -> bool:
    """Return whether the text of a line is what old systems and lost blocks leave at an end."""
    return bool(text) and not text.strip(PADDING)


def is_comment(line: str) -> bool:
    """Return whether a line begins with #."""
    return line.lstrip().startswith("#")
