"""Find unclosed quotes in a CSV file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from aecli.errors import DataError
from aecli.formatting import show_line_command

_TAIL_BYTES = 1 << 16
_REST_OF_QUOTED_CELL = re.compile(r'[^"]*(?:""[^"]*)*("|\Z)')


def unclosed_quote_line(lines: Iterable[str], delimiter: str) -> int | None:
    """Return the line, counted from 1, of a quote that is not closed at the end of `lines`."""
    open_line: int | None = None
    opening = re.compile(rf'(?:^|{re.escape(delimiter)})"')
    for number, line in enumerate(lines, start=1):
        at = 0
        # A quote opens a cell only at the cell's beginning.
        while line.find('"', at) >= 0:
            if open_line is None:
                quote = opening.search(line, at)
                if quote is None:
                    break
                open_line, at = number, quote.end()
            rest = _REST_OF_QUOTED_CELL.match(line, at)
            if rest is None or not rest[1]:
                break
            open_line, at = None, rest.end()
    return open_line


def may_end_in_quotes(path: Path, delimiter: str, cell: str | None, *, plain: bool) -> bool:
    """Return whether the last cell of a file may lack its closing quote, by a cheap check.

    Args:
        path: the file.
        delimiter: between cells.
        cell: the last cell of the last row.
        plain: whether the file is neither compressed nor encoded, so that its end can be read.
    """
    multiline = cell is not None and "\n" in cell
    if not plain:
        return multiline
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    end = tail.rstrip(b"\r\n")
    before = end.rstrip(b'"')
    if (len(end) - len(before)) % 2 and not before.endswith((delimiter.encode(), b"\n", b"\r")):
        return False
    return multiline or (tail == end and b'"' in re.split(rb"[\r\n]", tail)[-1])


def unclosed_quote_error(name: str, line: int) -> DataError:
    """Return the error of a quote that is not closed."""
    return DataError(
        f"{name} line {line:,} opens a quote that is never closed",
        facts=["the rest of the file would be one cell"],
        hint=show_line_command(name, line),
    )
