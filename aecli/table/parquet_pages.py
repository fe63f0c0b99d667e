"""Check the sizes in a Parquet file's metadata before memory is allocated for them."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

from aecli.table.thrift_compact import Fields, read_fields


class ColumnChunk(NamedTuple):
    """Pages of a column in a row group: their byte range in the file, and their uncompressed bytes.

    The range is without its end.
    """

    start: int
    end: int
    uncompressed: int


_FOOTER_END_BYTES = 8  # the length of the footer, and PAR1
_MIN_BYTES_OF_COLUMN = 8
_MIN_ITEMS = 1_000
_HEADER_BYTES, _MAX_HEADER_BYTES = 1 << 9, 1 << 20
_MISSING_BYTES = 100  # old writers did not count the header of the dictionary

# Numbers of fields in parquet.thrift of apache/parquet-format.
_ROW_GROUPS, _COLUMNS, _COLUMN_METADATA = 4, 1, 3
_UNCOMPRESSED, _COLUMN_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 6, 7, 9, 11
_COLUMN_FIELDS = (_UNCOMPRESSED, _COLUMN_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET)
_FOOTER_FIELDS = {_ROW_GROUPS: {_COLUMNS: {_COLUMN_METADATA: dict.fromkeys(_COLUMN_FIELDS)}}}
_PAGE_TYPE, _PAGE_UNCOMPRESSED, _PAGE_BYTES, _DICTIONARY_PAGE = 1, 2, 3, 2
_PAGE_FIELDS = dict.fromkeys((_PAGE_TYPE, _PAGE_UNCOMPRESSED, _PAGE_BYTES))


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


def column_chunks(footer: bytes, n_columns: int) -> list[list[ColumnChunk]]:
    """Return where the pages of each leaf column are, by row group.

    The footer is parsed here, because `metadata.row_group(i).column(j)` of pyarrow aborts the
    process if the statistics of a column contradict the schema.

    Raises:
        ArrowInvalid: the footer cannot be read, or a row group does not match the schema.
    """
    try:
        groups = read_fields(footer, 0, _FOOTER_FIELDS)[0].get(_ROW_GROUPS, [])
    except (IndexError, ValueError) as error:
        raise pa.ArrowInvalid(f"the footer cannot be read: {error}") from error
    chunks = [[_chunk(column) for column in group.get(_COLUMNS, [])] for group in groups]
    for number, columns in enumerate(chunks):
        if len(columns) != n_columns:
            raise pa.ArrowInvalid(
                f"row group {number:,} has {len(columns):,} columns, the schema has {n_columns:,}"
            )
    return chunks


def _chunk(column: Fields) -> ColumnChunk:
    metadata: Fields = column.get(_COLUMN_METADATA, {})
    start: int = metadata.get(_DATA_OFFSET, 0)
    if dictionary := metadata.get(_DICTIONARY_OFFSET):
        start = min(start, dictionary)
    end = start + metadata.get(_COLUMN_BYTES, 0)
    return ColumnChunk(start, end, max(0, metadata.get(_UNCOMPRESSED, 0)))


def page_memory(file: Any, chunk: ColumnChunk) -> int:
    """Return the bytes of the pages that Arrow holds: the dictionary, and the largest page.

    Raises:
        ArrowInvalid: a page is larger than the rest of the column.
    """
    start, end, _ = chunk
    dictionary = largest = 0
    if not 0 <= start <= end <= file.size():
        raise pa.ArrowInvalid(f"a column is at bytes {start:,} to {end:,}, beyond the file")
    while start < end:
        file.seek(start)
        head = file.read(_HEADER_BYTES)
        length, page = _page_header(head)
        if not length:
            length, page = _page_header(head + file.read(_MAX_HEADER_BYTES))
        content = page.get(_PAGE_BYTES, 0)
        start += length + content
        if start > end + _MISSING_BYTES:
            raise pa.ArrowInvalid(f"a page of {content:,} bytes is larger than its column")
        if not length or content < 0:
            break  # Arrow cannot read it either, and raises the error.
        uncompressed = page.get(_PAGE_UNCOMPRESSED, 0)
        largest = max(largest, uncompressed)
        if page.get(_PAGE_TYPE) == _DICTIONARY_PAGE:
            dictionary += uncompressed
    return dictionary + largest


def _page_header(head: bytes) -> tuple[int, Fields]:
    """Return the size and the fields of a page's header; 0 for a header that cannot be read."""
    try:
        fields, end = read_fields(head, 0, _PAGE_FIELDS)
    except (IndexError, ValueError):
        return 0, {}
    return end, fields
