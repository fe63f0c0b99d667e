"""Split the lines of a CSV file into rows, and mark quoted cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from aecli.table.encoding import MAX_ROW_BYTES

_INSIDE_QUOTES = re.compile(r'([^"]*(?:""[^"]*)*)("|\Z)')
_INSIDE_ESCAPED = re.compile(r'((?:[^"\\]|""|\\(?:.|\Z))*)("|\Z)', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\r\n])|""')
_RUNS = re.compile(r"[ \t]+")
_SPACES = re.compile(r'("[^"]*(?:""[^"]*)*")|[ \t]+')

PADDING = "\0\x1a"


class CsvRow(NamedTuple):
    """Cells of a row (none for a blank line), the positions of quoted cells, and its lines.

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
        """Return whether the row begins with an unquoted #."""
        return bool(self.cells) and 0 not in self.quoted and is_comment(self.cells[0])


def read_rows(
    lines: Iterable[str],
    delimiter: str,
    *,
    escapes: bool = False,
    initial_spaces: bool = False,
) -> Iterator[CsvRow]:
    """Yield the rows of a file, including blank lines.

    Python's csv module does not distinguish quoted cells, and refuses long ones. A quoted cell that
    is too long for memory is the last one, and is not closed.

    Args:
        lines: with their line ends.
        delimiter: between cells; a space means runs of spaces and tabs.
        escapes: whether a backslash escapes quotes within quoted cells.
        initial_spaces: whether spaces before a cell are ignored.
    """
    none: frozenset[int] = frozenset()
    line_cells = _LineCells(delimiter, escapes, initial_spaces)
    cells: list[str] = []
    quoted: list[int] = []
    open_parts: list[str] = []
    start, number, length = 0, -1, 0
    for number, line in enumerate(lines):
        length = length + len(line) if open_parts else 0
        if length > MAX_ROW_BYTES:
            break
        if not open_parts:
            line = _squeezed(line) if delimiter == " " else line
            text = line.rstrip("\r\n")
            cells, quoted, start = text.split(delimiter) if text else [], [], number
            if '"' not in line:
                if initial_spaces:
                    cells = [cell.lstrip(" ") for cell in cells]
                yield CsvRow(cells, none, number, number + 1)
                continue
            simple = None if escapes or initial_spaces else _simply_quoted(cells)
            if simple is not None:
                bare = [cell[1:-1] if i in simple else cell for i, cell in enumerate(cells)]
                yield CsvRow(bare, simple, number, number + 1)
                continue
            cells = []
        open_parts = line_cells.add(line, cells, quoted, open_parts)
        if not open_parts:
            yield CsvRow(cells, frozenset(quoted), start, number + 1)
    if open_parts:
        cells.append(line_cells.unescaped("".join(open_parts)))
        yield CsvRow(cells, frozenset(quoted), start, number + 1, closed=False)


def _squeezed(line: str) -> str:
    """Return a line with one space per run of spaces outside quotes, and stripped."""
    text = line.rstrip("\r\n")
    end = line[len(text) :]
    text = text.strip(" \t")
    if '"' in text:
        return _SPACES.sub(lambda match: match[1] or " ", text) + end
    return _RUNS.sub(" ", text) + end


def _simply_quoted(cells: Sequence[str]) -> frozenset[int] | None:
    """Return the positions of quoted cells; None if some quotes do not enclose a whole cell."""
    quoted = [position for position, cell in enumerate(cells) if '"' in cell]
    for position in quoted:
        cell = cells[position]
        if not (cell.startswith('"') and cell.endswith('"') and cell.count('"') == 2):
            return None
    return frozenset(quoted)


class _LineCells:
    """Splitter of lines with quotes into cells."""

    def __init__(self, delimiter: str, escapes: bool, initial_spaces: bool) -> None:
        self._delimiter = delimiter
        self._escapes = escapes
        self._initial_spaces = initial_spaces
        self._inside = _INSIDE_ESCAPED if escapes else _INSIDE_QUOTES
        self._plain_cell = re.compile(rf"[^{re.escape(delimiter)}\r\n]*")

    def add(
        self, line: str, cells: list[str], quoted: list[int], open_parts: list[str]
    ) -> list[str]:
        """Add the cells that end in a line, and return the text of an unclosed quoted cell.

        Args:
            line: the line.
            cells: the cells of the row so far.
            quoted: the positions of the quoted ones.
            open_parts: the text of the quoted cell in which the line begins.
        """
        at = 0
        while True:
            inner = ""
            while self._initial_spaces and not open_parts and line.startswith(" ", at):
                at += 1
            if not open_parts and line.startswith('"', at):
                open_parts = [""]
                quoted.append(len(cells))
                at += 1
            if open_parts:
                rest = self._inside.match(line, at)
                assert rest is not None  # the pattern also matches an empty string
                open_parts.append(rest[1])
                if not rest[2]:
                    return open_parts
                inner, open_parts = self.unescaped("".join(open_parts)), []
                at = rest.end()
            plain = self._plain_cell.match(line, at)
            assert plain is not None  # the pattern also matches an empty string
            cells.append(inner + plain[0])
            at = plain.end() + 1
            if not line.startswith(self._delimiter, plain.end()):
                return []

    def unescaped(self, text: str) -> str:
        """Return the content of a quoted cell."""
        if self._escapes:
            return _ESCAPED.sub(lambda match: match[1] or '"', text)
        return text.replace('""', '"')


def is_padding(text: str) -> bool:
    """Return whether a line is padding: Ctrl-Z of old systems, or NULs of lost blocks."""
    return bool(text) and not text.strip(PADDING)


def is_comment(line: str) -> bool:
    """Return whether a line begins with #."""
    return line.lstrip().startswith("#")
