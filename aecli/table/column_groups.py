"""Divide the columns of a table into groups that are read one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from aecli.table.arrow_reader import BinaryFile
from aecli.table.source import Source

READER_BYTES = 1 << 27
"""Bytes that readers hold of a group of columns besides a batch: above, reading is also slower."""


def column_groups(source: Source) -> Iterator[Source]:
    """Yield the columns in groups of which readers hold at most `READER_BYTES`, or of one column.

    A reader of Parquet holds a dictionary and a page of each column, 2 MB of most writers: a row
    group of a thousand columns takes gigabytes.
    """
    names: list[str] = []
    total = 0
    for name, size in _held_bytes(source).items():
        if names and total + size > READER_BYTES:
            yield source.select(names)
            names, total = [], 0
        names.append(name)
        total += size
    yield source.select(names)


def _held_bytes(source: Source) -> dict[str, int]:
    """Return the bytes that readers hold of each column in the file with most of them."""
    held = dict.fromkeys(source.names, 0)
    for partition in source.partitions:
        if not isinstance(partition.reader, BinaryFile):
            continue
        stored = source.columns_in(partition)
        sizes = partition.reader.column_memory(stored, READER_BYTES)
        by_name = dict(zip(stored, sizes, strict=True))
        for name in held:
            held[name] = max(held[name], by_name.get(source.copies.get(name, name), 0))
    return held
