from __future__ import annotations

import io
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from aecli.errors import DataError
from aecli.table.source import Data, open_source

ROWS = 6
TEXTS = [f"text {i}" for i in range(ROWS)]
LONG = [f"longer than twelve bytes {i}" for i in range(ROWS)]


def int32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}i", *numbers)


def int64(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}q", *numbers)


OFFSETS = range(0, 6 * ROWS + 1, 6)
LISTS = pa.array([[i, i] for i in range(ROWS)], pa.list_(pa.int64()))
KINDS = pa.array([0, 1] * 3, pa.int8())

DAMAGE: dict[str, tuple[pa.Array, bytes, bytes]] = {
    "offset beyond the text": (
        pa.array(TEXTS), int32(*OFFSETS), int32(*OFFSETS[:-1], 2**30),
    ),
    "offset a little beyond the text": (
        pa.array(TEXTS), int32(*OFFSETS), int32(*OFFSETS[:-1], 200),
    ),
    "negative offset": (
        pa.array(TEXTS), int32(*OFFSETS), int32(0, -(2**31), *OFFSETS[2:]),
    ),
    "offset of 64 bits": (
        pa.array(TEXTS, pa.large_string()), int64(*OFFSETS), int64(*OFFSETS[:-1], 2**62),
    ),
    "offset of bytes": (
        pa.array(TEXTS).cast(pa.binary()), int32(*OFFSETS), int32(*OFFSETS[:-1], 2**31 - 1),
    ),
    "offset of lists": (
        LISTS, int32(*range(0, 13, 2)), int32(*range(0, 12, 2), 2**31 - 1),
    ),
    "text in lists": (
        pa.array([[text] for text in TEXTS]), int32(*OFFSETS), int32(*OFFSETS[:-1], 2**30),
    ),
    "text in structs": (
        pa.array([{"inner": text} for text in TEXTS]),
        int32(*OFFSETS), int32(*OFFSETS[:-1], 2**30),
    ),
    "text in lists of a fixed size": (
        pa.array([[text] for text in TEXTS], pa.list_(pa.string(), 1)),
        int32(*OFFSETS), int32(*OFFSETS[:-1], 2**30),
    ),
    "text of an extension": (
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(TEXTS)),
        int32(*OFFSETS), int32(*OFFSETS[:-1], 2**30),
    ),
    "index without a category": (
        pa.array(TEXTS).dictionary_encode(), int32(*range(6)), int32(*range(5), 2**30),
    ),
    "negative index": (
        pa.array(TEXTS).dictionary_encode(), int32(*range(6)), int32(*range(5), -7),
    ),
    "offset of a category": (
        pa.array(TEXTS).dictionary_encode(), int32(*OFFSETS), int32(*OFFSETS[:-1], 2**30),
    ),
    "view of another buffer": (
        pa.array(LONG, pa.string_view()), b"long" + int32(0, 0), b"long" + int32(9, 0),
    ),
    "view beyond its buffer": (
        pa.array(LONG, pa.string_view()), b"long" + int32(0, 0), b"long" + int32(0, 2**30),
    ),
    "kind of a union": (
        pa.UnionArray.from_dense(
            KINDS, pa.array([0, 0, 1, 1, 2, 2], pa.int32()), [pa.array([1, 2, 3]), pa.array(TEXTS)]
        ),
        bytes([0, 1] * 3), bytes([0, 1, 0, 1, 0, 77]),
    ),
    "offset of a union": (
        pa.UnionArray.from_dense(
            KINDS, pa.array([0, 0, 1, 1, 2, 2], pa.int32()), [pa.array([1, 2, 3]), pa.array(TEXTS)]
        ),
        int32(0, 0, 1, 1, 2, 2), int32(0, 0, 1, 1, 2, 2**30),
    ),
    "end of a run": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 4, 6], pa.int32()), pa.array(TEXTS[:3])),
        int32(2, 4, 6), int32(2, 4, 3),
    ),
    "digits of a decimal": (
        pa.array([Decimal(i) for i in range(1, 7)], pa.decimal128(3, 0)),
        int64(5, 0, 6, 0), int64(5, 0, 6, 2**60),
    ),
    "time of day": (
        pa.array(range(100, 106), pa.time32("s")),
        int32(*range(100, 106)), int32(*range(100, 105), 10**6),
    ),
}  # fmt: skip
"""Columns, bytes of theirs and what they become."""


def packed(table: pa.Table, opener: Callable[..., pa.RecordBatchWriter]) -> bytes:
    sink = io.BytesIO()
    with opener(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def damaged(column: pa.Array, before: bytes, after: bytes, store: str) -> bytes:
    table = pa.table({"n": range(ROWS), "bad": column})
    content = packed(table, pa.ipc.new_file if store == "file" else pa.ipc.new_stream)
    assert content.count(before) == 1
    return content.replace(before, after)


@pytest.mark.parametrize("store", ["file", "stream", "memory"])
@pytest.mark.parametrize(("column", "before", "after"), DAMAGE.values(), ids=list(DAMAGE))
def test_damaged_cells_are_refused_where_they_are_read(
    tmp_path: Path, column: pa.Array, before: bytes, after: bytes, store: str
) -> None:
    content = damaged(column, before, after, store)
    data: Data = tmp_path / "t.arrow"
    data.write_bytes(content)
    if store == "memory":
        data = pa.ipc.open_stream(content).read_all()
    source = open_source(data)
    assert [
        cell for batch in source.select(["n"]).batches() for cell in batch["n"].to_pylist()
    ] == [*range(ROWS)]
    with pytest.raises(DataError) as caught:
        list(source.batches())
    assert caught.value.what.endswith(", rows 1 to 6, column 'bad': the cells are damaged")
    assert caught.value.facts
    assert "leave 'bad' out" in str(caught.value.hint)


@pytest.mark.parametrize("scale", [-(2**31), -201, 201, 2**31 - 1])
@pytest.mark.parametrize("listed", [False, True])
def test_a_decimal_with_absurd_places_is_refused(tmp_path: Path, scale: int, listed: bool) -> None:
    kind = pa.decimal128(9, scale)
    column = pa.nulls(3, pa.list_(kind) if listed else kind)
    path = tmp_path / "t.arrow"
    with pa.OSFile(str(path), "wb") as file:
        table = pa.table({"a": [1, 2, 3], "money": column})
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(DataError, match="column 'money': a decimal of scale"):
        open_source(path)
