"""Check the sizes in a Parquet file's metadata before memory is allocated for them."""

from __future__ import annotations

from typing import Any, TypeAlias

import pyarrow as pa

from aecli.table.thrift_compact import Fields, read_fields

Span: TypeAlias = tuple[int, int]
"""Byte range of a file, without its end."""

_FOOTER_END_BYTES = 8  # the length of the footer, and PAR1
_MIN_BYTES_OF_COLUMN = 8
_MIN_ITEMS = 1_000
_HEADER_BYTES, _MAX_HEADER_BYTES = 1 << 9, 1 << 20
_MISSING_BYTES = 100  # old writers did not count the header of the dictionary

# Numbers of fields in parquet.thrift of apache/parquet-format.
_ROW_GROUPS, _COLUMNS, _COLUMN_METADATA, _PAGE_BYTES = 4, 1, 3, 3
_COLUMN_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 7, 9, 11
_FOOTER_FIELDS = {
    _ROW_GROUPS: {
        _COLUMNS: {
            _COLUMN_METADATA: {_COLUMN_BYTES: None, _DATA_OFFSET: None, _DICTIONARY_OFFSET: None}
        }
    }
}


def read_footer_bytes(file: Any) -> bytes:
    """Return the footer of an open file; other bytes of a file that is not Parquet."""
    end = max(0, file.size() - _FOOTER_END_BYTES)
    file.seek(end)
    start = max(0, end - int.from_bytes(file.read(4), "little"))
    file.seek(start)
    return bytes(file.read(end - start))


def footer_limits(footer: bytes) -> dict[str, Any]:
    """Return limits for the lists and texts of a footer, which cannot exceed its size."""
    items = max(_MIN_ITEMS, len(footer) // _MIN_BYTES_OF_COLUMN)
    return {
        "thrift_string_size_limit": max(_MIN_ITEMS, len(footer)),
        "thrift_container_size_limit": items,
    }


def column_spans(footer: bytes, n_columns: int) -> list[list[Span]]:
    """Return the byte ranges of the pages of each leaf column, by row group.

    The footer is parsed here, because `metadata.row_group(i).column(j)` of pyarrow aborts the
    process if the statistics of a column contradict the schema.

    Raises:
        ArrowInvalid: the footer cannot be read, or a row group does not match the schema.
    """
    try:
        groups = read_fields(footer, 0, _FOOTER_FIELDS)[0].get(_ROW_GROUPS, [])
    except (IndexError, ValueError) as error:
        raise pa.ArrowInvalid(f"the footer cannot be read: {error}") from error
    spans = [[_span(column) for column in group.get(_COLUMNS, [])] for group in groups]
    for number, columns in enumerate(spans):
        if len(columns) != n_columns:
            raise pa.ArrowInvalid(
                f"row group {number:,} has {len(columns):,} columns, the schema has {n_columns:,}"
            )
    return spans


def _span(column: Fields) -> Span:
    metadata: Fields = column.get(_COLUMN_METADATA, {})
    start: int = metadata.get(_DATA_OFFSET, 0)
    if dictionary := metadata.get(_DICTIONARY_OFFSET):
        start = min(start, dictionary)
    length: int = metadata.get(_COLUMN_BYTES, 0)
    return start, start + length


def require_pages_in_chunk(file: Any, start: int, end: int) -> None:
    """Check that no page of a column is larger than the rest of the column.

    Raises:
        ArrowInvalid: a page is larger.
    """
    if not 0 <= start <= end <= file.size():
        raise pa.ArrowInvalid(f"a column is at bytes {start:,} to {end:,}, beyond the file")
    while start < end:
        file.seek(start)
        head = file.read(_HEADER_BYTES)
        length, content = _page_sizes(head)
        if not length:
            length, content = _page_sizes(head + file.read(_MAX_HEADER_BYTES))
        start += length + content
        if start > end + _MISSING_BYTES:
            raise pa.ArrowInvalid(f"a page of {content:,} bytes is larger than its column")
        if not length or content < 0:
            return  # Arrow cannot read it either, and raises the error.


def _page_sizes(head: bytes) -> tuple[int, int]:
    """Return the sizes of a page's header and content; 0 for a header that cannot be read."""
    try:
        fields, end = read_fields(head, 0, {_PAGE_BYTES: None})
    except (IndexError, ValueError):
        return 0, 0
    return end, int(fields.get(_PAGE_BYTES, 0))
