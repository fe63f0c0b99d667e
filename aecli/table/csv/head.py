"""Read the first lines of a CSV file: its dialect, header, and the start of its rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from aecli.errors import DataError
from aecli.schema.read_options import ReadOptions
from aecli.table.csv.delimiter import sniff_delimiter
from aecli.table.csv.dialect import CsvDialect, read_dialect
from aecli.table.csv.quotes import unclosed_quote_error, unclosed_quote_line
from aecli.table.csv.rows import PADDING
from aecli.table.encoding import (
    binary_error,
    encoding_error,
    open_text,
    skip_bytes,
    text_lines,
    without_cut_character,
)
from aecli.table.formats import reading, unreadable

_HEAD_BYTES, _MAX_HEAD_BYTES = 1 << 20, 16 << 20


def read_head(path: Path, name: str, encoding: str, options: ReadOptions) -> CsvDialect:
    """Return the dialect of a file, called `name` in messages.

    Raises:
        DataError: the file is empty, is not text of this encoding, or has no such line or header.
    """
    try:
        with reading(name):
            return _found_dialect(path, name, encoding, options)
    except UnicodeDecodeError as error:
        raise encoding_error(path, name, encoding) or unreadable(name, error) from error


def require_closed_quotes(path: Path, name: str, encoding: str, delimiter: str) -> None:
    """Raise DataError if a quote is not closed at the end of a file."""
    with reading(name), open_text(path, encoding) as stream:
        line = unclosed_quote_line(text_lines(stream, name), delimiter)
    if line is not None:
        raise unclosed_quote_error(name, line)


def _found_dialect(path: Path, name: str, encoding: str, options: ReadOptions) -> CsvDialect:
    above = options.header - 1 if isinstance(options.header, int) else 0
    dropped = options.skip_rows + above
    before = _bytes_of_lines(path, name, encoding, dropped)
    for size in (_HEAD_BYTES, _MAX_HEAD_BYTES):
        head, complete = _head(path, name, encoding, before, size)
        dialect = read_dialect(head, options, complete=complete, lines_above=dropped)
        if dialect is not None or complete:
            break
    if dialect is None and complete:
        raise DataError(f"{name} is empty", hint="a file with a header and rows")
    if dialect is None:
        require_closed_quotes(path, name, encoding, options.delimiter or sniff_delimiter([head]))
        raise DataError(
            f"cannot read {name}: its header is longer than 16 MB",
            hint="--delimiter, if its fields are separated by another character",
        )
    if any("\n" in cell for cell in dialect.names) and not dialect.rewritten:
        require_closed_quotes(path, name, encoding, dialect.delimiter)
    return replace(dialect, rows_at=before + dialect.rows_at)


def _bytes_of_lines(path: Path, name: str, encoding: str, count: int) -> int:
    """Return the length in UTF-8 of the first lines."""
    if not count:
        return 0
    with open_text(path, encoding) as stream:
        lines = list(islice(text_lines(stream, name), count + 1))
    if len(lines) <= count:
        raise DataError(
            f"{name} has no line {count + 1:,}: it ends after line {len(lines):,}",
            hint="a lower --skip-rows or --header",
        )
    return sum(len(line.encode()) for line in lines[:count])


def _head(path: Path, name: str, encoding: str, before: int, size: int) -> tuple[str, bool]:
    """Return about `size` bytes of text from byte `before`, and whether the file ends there."""
    with open_text(path, encoding) as stream:
        skip_bytes(stream, before)
        head = stream.read(size)
    written = head.rstrip(f"{PADDING}\r\n".encode()) or head
    not_text = binary_error(name, written) if head else None
    complete = len(head) < size
    # A character may be incomplete at the end; elsewhere it is an error.
    text = (head if complete else without_cut_character(head)).decode()
    if not_text is not None:
        raise not_text
    return text, complete
