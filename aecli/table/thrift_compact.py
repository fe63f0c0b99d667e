"""Read single fields of structures in Thrift's compact protocol, used for Parquet's metadata.

Layout: Apache Thrift, "Thrift Compact protocol encoding". The metadata objects of pyarrow abort the
process if a footer contradicts itself, so the sizes in a footer are checked here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Wanted: TypeAlias = Mapping[int, "Wanted | None"]
"""Fields of a structure: None for an integer, nested fields for a structure or a list of them."""
Fields: TypeAlias = dict[int, Any]
"""Values of the wanted fields by number: integers, nested fields, or lists of these."""

_BYTE, _LAST_INTEGER, _DOUBLE, _BYTES, _LIST, _SET, _MAP, _STRUCT, _UUID = (
    3,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
)
_FIXED_BYTES = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}
_MAX_DEPTH = 16


def read_fields(data: bytes, position: int, wanted: Wanted) -> tuple[Fields, int]:
    """Return the wanted fields of the structure at a position, and the position of its end.

    Raises:
        IndexError: the data end within the structure.
        ValueError: the data are not a structure.
    """
    fields: Fields = {}
    field = 0
    while header := data[position]:
        step, kind = divmod(header, 16)
        position += 1
        if step:
            field += step
        else:
            field, position = _integer(data, position)
        if field not in wanted:
            position = _end_of_value(data, position, kind, _MAX_DEPTH)
            continue
        inner = wanted[field]
        if inner is None and _BYTE < kind <= _LAST_INTEGER:
            fields[field], position = _integer(data, position)
        elif inner is not None and kind == _STRUCT:
            fields[field], position = read_fields(data, position, inner)
        elif inner is not None and kind == _LIST:
            fields[field], position = _read_structures(data, position, inner)
        else:
            raise ValueError(f"field {field} is of type {kind}")
    return fields, position + 1


def _read_structures(data: bytes, position: int, wanted: Wanted) -> tuple[list[Fields], int]:
    count, kind, position = _list_header(data, position)
    if count and kind != _STRUCT:
        raise ValueError(f"a list of structures has elements of type {kind}")
    structures = []
    for _ in range(count):
        fields, position = read_fields(data, position, wanted)
        structures.append(fields)
    return structures, position


def _end_of_value(data: bytes, position: int, kind: int, depth: int) -> int:
    """Return the end of a value; 1 and 2 are booleans, whose value is in their type."""
    if _BYTE < kind <= _LAST_INTEGER:
        return _varint(data, position)[1]
    if kind == _BYTES:
        length, position = _varint(data, position)
        return position + length
    if 0 < kind < _BYTE:
        return position
    if kind in _FIXED_BYTES:
        return position + _FIXED_BYTES[kind]
    if depth == 0:
        raise ValueError(f"more than {_MAX_DEPTH} nested structures")
    if kind == _STRUCT:
        return _end_of_structure(data, position, depth - 1)
    if kind in (_LIST, _SET):
        count, element, position = _list_header(data, position)
        return _end_of_elements(data, position, count, [element], depth - 1)
    if kind == _MAP:
        count, position = _varint(data, position)
        if not count:
            return position
        return _end_of_elements(data, position + 1, count, [*divmod(data[position], 16)], depth - 1)
    raise ValueError(f"unknown type {kind}")


def _end_of_structure(data: bytes, position: int, depth: int) -> int:
    while header := data[position]:
        position += 1
        if header < 16:
            position = _varint(data, position)[1]
        position = _end_of_value(data, position, header & 15, depth)
    return position + 1


def _end_of_elements(data: bytes, position: int, count: int, kinds: list[int], depth: int) -> int:
    """Return the end of a list or a map; each element has at least one byte."""
    for _ in range(count):
        for kind in kinds:
            if position >= len(data):
                raise IndexError("a list ends after the data")
            # A boolean is a byte in a list.
            position = position + 1 if kind < _BYTE else _end_of_value(data, position, kind, depth)
    return position


def _list_header(data: bytes, position: int) -> tuple[int, int, int]:
    """Return the number of elements, their type and the position of the first one."""
    count, kind = divmod(data[position], 16)
    position += 1
    if count == 15:
        count, position = _varint(data, position)
    return count, kind, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    byte = data[position]
    if byte < 128:
        return byte, position + 1
    value = byte & 127
    for shift in range(7, 70, 7):
        position += 1
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position + 1
    raise ValueError("a number of more than 64 bits")


def _integer(data: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return (value >> 1) ^ -(value & 1), position
