"""Find the quote of a CSV file that nothing closes: it swallows all rows that follow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from aecli.errors import DataError
from aecli.table.column_names import line_of

_TAIL = 1 << 16
_REST = re.compile(r'[^"]*(?:""[^"]*)*("|\Z)')


def opening_line(lines: Iterable[str], delimiter: str) -> int | None:
    """Return the line, counted from 1, of the quote that is still open at the end of `lines`."""
    opened: int | None = None
    opening = re.compile(rf'(?:^|{re.escape(delimiter)})"')
    for number, line in enumerate(lines, start=1):
        at = 0
        # A quote opens a cell where the cell begins with it; elsewhere it stands for itself.
        while line.find('"', at) >= 0:
            if opened is None:
                found = opening.search(line, at)
                if found is None:
                    break
                opened, at = number, found.end()
            rest = _REST.match(line, at)
            if rest is None or not rest[1]:
                break
            opened, at = None, rest.end()
    return opened


def may_be_open(path: Path, delimiter: str, cell: str | None, *, plain: bool) -> bool:
    """Tell whether the last row looks as if its last cell had no closing quote; cheaply.

    Args:
        path: the file.
        delimiter: what splits its cells.
        cell: the last cell of the last row.
        plain: the file is neither compressed nor to be decoded, so its end can be looked at.
    """
    several = cell is not None and "\n" in cell
    if not plain:
        return several
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    end = tail.rstrip(b"\r\n")
    before = end.rstrip(b'"')
    if (len(end) - len(before)) % 2 and not before.endswith((delimiter.encode(), b"\n", b"\r")):
        return False
    return several or (tail == end and b'"' in re.split(rb"[\r\n]", tail)[-1])


def unclosed(name: str, line: int) -> DataError:
    """Say where the quote stands that nothing closes."""
    return DataError(
        f"{name} line {line:,} opens a quote that nothing closes",
        facts=["all that follows it would be one cell"],
        hint=line_of(name, line),
    )
