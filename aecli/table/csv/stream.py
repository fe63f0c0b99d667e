"""Rewrite rows of a CSV file whose notation Arrow does not support."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from aecli.table.csv.cells import in_quotes
from aecli.table.csv.quotes import unclosed_quote_error
from aecli.table.csv.rows import CsvRow

_WRITTEN_ROWS = 4_096


def closed_rows(rows: Iterable[CsvRow], name: str, lines_above: int) -> Iterator[CsvRow]:
    """Yield rows of a file.

    Raises:
        DataError: a row ends in a quote that is not closed.
    """
    for row in rows:
        if not row.closed:
            raise unclosed_quote_error(name, lines_above + row.start + 1)
        yield row


def row_chunks(rows: Iterable[CsvRow], delimiter: str) -> Iterator[bytes]:
    """Yield rows as CSV text in UTF-8; quoted cells stay quoted."""
    remaining = iter(rows)
    while chunk := "".join(_row_text(row, delimiter) for row in islice(remaining, _WRITTEN_ROWS)):
        yield chunk.encode()


def _row_text(row: CsvRow, delimiter: str) -> str:
    cells = row.cells
    if row.quoted:
        cells = [in_quotes(cell) if i in row.quoted else cell for i, cell in enumerate(cells)]
    return delimiter.join(cells) + "\n"
