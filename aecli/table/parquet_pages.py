"""Check the sizes that a Parquet file claims before memory is taken for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FOOTER_END_BYTES = 8  # the length of the footer, and PAR1
_FEWEST_BYTES_OF_COLUMN = 8
_FEWEST_ITEMS = 1_000
_HEADER_BYTES, _MAX_HEADER_BYTES = 1 << 9, 1 << 20
_MISSING_BYTES = 100  # old writers did not count the header of the dictionary
_PAGE_BYTES_FIELD = 3
_BYTE, _LAST_INTEGER, _DOUBLE, _BYTES, _LIST, _SET, _STRUCT = 3, 6, 7, 8, 9, 10, 12
_MAX_DEPTH = 8


def footer_limits(path: Path) -> dict[str, Any]:
    """Return limits for the lists and texts of a footer, which cannot have more than its bytes."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - _FOOTER_END_BYTES))
        length = min(size, int.from_bytes(file.read(4), "little"))
    items = max(_FEWEST_ITEMS, length // _FEWEST_BYTES_OF_COLUMN)
    return {
        "thrift_string_size_limit": max(_FEWEST_ITEMS, length),
        "thrift_container_size_limit": items,
    }


def chunk_range(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Return where the pages of a column begin and end in the file."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        start = min(start, chunk.dictionary_page_offset)
    return start, start + chunk.total_compressed_size


def require_pages_in_chunk(path: Path, start: int, end: int) -> None:
    """Check that no page of a column claims more bytes than are left of the column.

    Raises:
        ArrowInvalid: one does.
    """
    if not 0 <= start <= end <= path.stat().st_size:
        raise pa.ArrowInvalid(f"a column lies at bytes {start:,} to {end:,}, beyond the file")
    with open(path, "rb") as file:
        while start < end:
            file.seek(start)
            head = file.read(_HEADER_BYTES)
            length, content = _page_sizes(head)
            if not length:
                length, content = _page_sizes(head + file.read(_MAX_HEADER_BYTES))
            start += length + content
            if start > end + _MISSING_BYTES:
                raise pa.ArrowInvalid(f"a page claims {content:,} bytes, more than its column has")
            if not length or content < 0:
                return  # Arrow cannot read it either, and says why.


def _page_sizes(head: bytes) -> tuple[int, int]:
    """Return the bytes of a page's header, 0 where it cannot be read, and those of its content."""
    position = field = content = 0
    try:
        while head[position]:
            step, kind = divmod(head[position], 16)
            position += 1
            if not step:
                field, position = _zigzag(head, position)
            field += step
            if field == _PAGE_BYTES_FIELD:
                content, position = _zigzag(head, position)
            else:
                position = _end_of_value(head, position, kind, _MAX_DEPTH)
    except (IndexError, ValueError):
        return 0, content
    return position + 1, content


def _end_of_value(data: bytes, position: int, kind: int, depth: int) -> int:
    """Return where a value in Thrift's compact form ends; 1 and 2 are booleans, without bytes."""
    if depth == 0 or kind > _STRUCT:
        raise ValueError("not a page header")
    if kind < _BYTE:
        return position
    if kind <= _LAST_INTEGER:
        return position + 1 if kind == _BYTE else _varint(data, position)[1]
    if kind == _DOUBLE:
        return position + 8
    if kind == _BYTES:
        length, position = _varint(data, position)
        return position + length
    if kind in (_LIST, _SET):
        raise ValueError("page headers have no lists")
    while data[position]:
        step, inner = divmod(data[position], 16)
        position += 1
        if not step:
            position = _varint(data, position)[1]
        position = _end_of_value(data, position, inner, depth - 1)
    return position + 1


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise ValueError("a number of more than 64 bits")


def _zigzag(data: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return (value >> 1) ^ -(value & 1), position
