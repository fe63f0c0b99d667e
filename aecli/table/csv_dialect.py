"""Find a CSV file's delimiter and header in its first lines, and quotes that are not closed."""

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
from aecli.formatting import show_line_command

_DELIMITERS = ",\t;|"
_SNIFFED_ROWS = 200
_TAIL_BYTES = 1 << 16
_SEPARATOR_LINE = re.compile(r'"?sep=([^\r\n])"?(?:\r\n|\r|\n)', re.IGNORECASE)
_REST_OF_QUOTED_CELL = re.compile(r'[^"]*(?:""[^"]*)*("|\Z)')


@dataclass(frozen=True)
class CsvDialect:
    """Delimiter of a CSV file, its header cells, and where its rows begin.

    `header_bytes` is the length in UTF-8 bytes of the header and all that stands before it, of
    which `skipped_lines` are not part of the table. `initial_spaces` tells that a space follows
    every delimiter; it is not part of the cells.
    """

    delimiter: str
    header: list[str]
    header_bytes: int
    skipped_lines: int = 0
    initial_spaces: bool = False


def read_dialect(head: str, delimiter: str | None, *, complete: bool) -> CsvDialect | None:
    """Return the dialect of a file that begins with `head`; None if it has no line.

    If `delimiter` is None, it is the one of a first line such as `sep=;`, which spreadsheets write,
    else the one that splits most rows into as many fields as the header; a file with none of
    `, ; |` and tab outside quotes has one column.

    Args:
        head: the first characters, without byte-order mark.
        delimiter: the one to use.
        complete: `head` is the entire file; otherwise its last line may be cut.
    """
    if not head.strip():
        return None
    sample = head if complete else _complete_lines(head)
    separator = _SEPARATOR_LINE.match(sample)
    skipped = separator[0] if separator else ""
    sample = sample[len(skipped) :]
    delimiter = delimiter or (separator[1] if separator else _sniff_delimiter(sample))
    header, header_bytes = _first_row(sample, delimiter)
    skipped_bytes = len(skipped.encode())
    return CsvDialect(
        delimiter,
        header,
        skipped_bytes + header_bytes,
        skipped_lines=1 if skipped else 0,
        initial_spaces=_has_initial_spaces(sample, delimiter),
    )


def looks_like_data(header: list[str]) -> bool:
    """Return whether every header cell is a number, as in a file without a header."""
    return all(re.fullmatch(r"\s*[+-]?\d*\.?\d+([eE][+-]?\d+)?\s*", cell) for cell in header)


def _sniff_delimiter(sample: str) -> str:
    scores = {delimiter: _score(sample, delimiter) for delimiter in _DELIMITERS}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best][0] > 0 else ","


def _has_initial_spaces(sample: str, delimiter: str) -> bool:
    """Return whether every cell after a delimiter begins with a space, or is empty."""
    try:
        rows = list(islice(_csv_rows(sample, delimiter), _SNIFFED_ROWS))
    except csv.Error:
        return False
    cells = [cell for row in rows for cell in row[1:] if cell]
    return bool(cells) and all(cell.startswith(" ") for cell in cells)


def _csv_rows(sample: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)


def _score(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows as wide as the header, and that width; zeros for one column."""
    try:
        rows = islice(_csv_rows(sample, delimiter), _SNIFFED_ROWS)
        widths = [len(row) for row in rows if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return Counter(widths)[widths[0]] / len(widths), widths[0]


def _first_row(sample: str, delimiter: str) -> tuple[list[str], int]:
    stream = io.StringIO(sample, newline="")
    consumed: list[str] = []

    def lines() -> Iterator[str]:
        for line in stream:
            consumed.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    header = next((row for row in reader if row), [])
    return header, len("".join(consumed).encode())


def _complete_lines(head: str) -> str:
    cut = max(head.rfind("\n"), head.rfind("\r")) + 1
    return head[:cut] or head


def unclosed_quote_line(lines: Iterable[str], delimiter: str) -> int | None:
    """Return the line, counted from 1, of the quote that is still open at the end of `lines`."""
    open_line: int | None = None
    opening = re.compile(rf'(?:^|{re.escape(delimiter)})"')
    for number, line in enumerate(lines, start=1):
        at = 0
        # A quote opens a cell where the cell begins with it; elsewhere it stands for itself.
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
        delimiter: the one between its cells.
        cell: the last cell of the last row.
        plain: the file is neither compressed nor to be decoded, so its end can be read.
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
        f"{name} line {line:,} opens a quote that nothing closes",
        facts=["all that follows it would be one cell"],
        hint=show_line_command(name, line),
    )
