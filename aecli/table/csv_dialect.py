"""Find a CSV file's delimiter and its header in its first lines."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from aecli.errors import DataError
from aecli.table.read_errors import show_line_command

_DELIMITERS = ",\t;|"
_ROWS = 200


@dataclass(frozen=True)
class CsvDialect:
    """Hold a CSV file's delimiter, its header cells, and the header's length in UTF-8 bytes."""

    delimiter: str
    header: list[str]
    length: int


def read_dialect(head: str, delimiter: str | None, *, whole: bool) -> CsvDialect | None:
    """Return the dialect of a file that begins with `head`; None where that has no line.

    Unless `delimiter` is given, it is the one that splits most rows into as many fields as the
    header; a file with none of `, ; |` and tab outside quotes has one column.

    Args:
        head: the first characters, without byte-order mark.
        delimiter: the one to use.
        whole: `head` is the whole file; otherwise its last line may be cut.
    """
    if not head.strip():
        return None
    sample = head if whole else _whole_lines(head)
    chosen = delimiter or _sniffed(sample)
    header, length = _first_row(sample, chosen)
    return CsvDialect(chosen, header, length)


def looks_like_data(header: list[str]) -> bool:
    """Say whether every header cell is a number, as in a file without a header."""
    return all(re.fullmatch(r"\s*[+-]?\d*\.?\d+([eE][+-]?\d+)?\s*", cell) for cell in header)


def _sniffed(sample: str) -> str:
    scores = {sign: _score(sample, sign) for sign in _DELIMITERS}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best][0] > 0 else ","


def _score(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows as wide as the header, and that width; zeros for one column."""
    try:
        rows = islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), _ROWS)
        widths = [len(row) for row in rows if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return Counter(widths)[widths[0]] / len(widths), widths[0]


def _first_row(sample: str, delimiter: str) -> tuple[list[str], int]:
    stream = io.StringIO(sample, newline="")
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    header = next((row for row in reader if row), [])
    return header, len("".join(taken).encode())


def _whole_lines(head: str) -> str:
    cut = max(head.rfind("\n"), head.rfind("\r")) + 1
    return head[:cut] or head


_TAIL = 1 << 16


_REST = re.compile(r'[^"]*(?:""[^"]*)*("|\Z)')


def unclosed_quote_line(lines: Iterable[str], delimiter: str) -> int | None:
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


def may_end_in_quotes(path: Path, delimiter: str, cell: str | None, *, plain: bool) -> bool:
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


def unclosed_quote_error(name: str, line: int) -> DataError:
    """Say where the quote stands that nothing closes."""
    return DataError(
        f"{name} line {line:,} opens a quote that nothing closes",
        facts=["all that follows it would be one cell"],
        hint=show_line_command(name, line),
    )
