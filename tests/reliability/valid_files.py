"""Make one small valid file of each format that aecli reads, as bytes."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

ROWS = 120
FEATURES = ("x", "n", "flag", "word", "day")
KEPT = "id"

TOML = b"""epochs = 1
latent = 2
encoder = [4, 2]
lr = 0.01
exclude = ["id"]
batch-size = 16
activation = "ReLU"
"""
YAML = b"""epochs: 1
latent: 2
encoder: [4, 2]
lr: 0.01
exclude:
  - id
batch-size: 16
activation: "ReLU"
"""


def plain_table() -> pa.Table:
    """Return columns of every kind that a text format can spell, and an identifier."""
    words = ("red", "blue", "grün", None)
    return pa.table(
        {
            KEPT: pa.array([f"row {i:03}" for i in range(ROWS)]),
            "x": pa.array([None if i % 11 == 0 else i * 0.37 - 9 for i in range(ROWS)]),
            "n": pa.array([None if i % 7 == 0 else i * 37 % 101 for i in range(ROWS)], pa.int32()),
            "flag": pa.array([i % 3 == 0 for i in range(ROWS)]),
            "word": pa.array([words[i % 4] for i in range(ROWS)]),
            "day": pa.array([date(2024, 1, 1) + timedelta(days=i) for i in range(ROWS)]),
        }
    )


def typed_table() -> pa.Table:
    """Return the plain columns and those of types that Parquet and Arrow have."""
    rows = range(ROWS)
    texts = pa.array([f"text {i % 9}" for i in rows])
    typed = {
        "category": texts.dictionary_encode(),
        "vector": pa.array([[i * 0.5, None, 1.0] for i in rows], pa.list_(pa.float32())),
        "fixed": pa.array([[i, i + 1] for i in rows], pa.list_(pa.int16(), 2)),
        "price": pa.array([Decimal(i * 7).scaleb(-2) for i in rows], pa.decimal128(12, 2)),
        "moment": pa.array([datetime(2024, 1, 1, i % 24) for i in rows], pa.timestamp("us", "UTC")),
        "clock": pa.array([time(i % 24, i % 60) for i in rows], pa.time32("s")),
        "large": texts.cast(pa.large_string()),
        "record": pa.array([{"a": i, "b": f"b{i}"} for i in rows]),
        "bytes": pa.array([bytes([i, 255]) for i in rows]),
        "texts": pa.array([[f"t{i}", None] for i in rows]),
    }
    table = plain_table()
    for name, column in typed.items():
        table = table.append_column(name, column)
    return table


def arrow_table() -> pa.Table:
    """Return the typed columns and those of types that Arrow alone has."""
    rows = range(ROWS)
    kinds = pa.array([i % 2 for i in rows], pa.int8())
    half = pa.array([i // 2 for i in rows], pa.int32())
    numbers, texts = pa.array(list(rows)), pa.array([f"u{i}" for i in rows])
    ends = pa.array(range(10, ROWS + 1, 10), pa.int32())
    own = {
        "view": pa.array([f"longer than twelve bytes {i}" for i in rows], pa.string_view()),
        "runs": pa.RunEndEncodedArray.from_arrays(ends, pa.array([f"r{i}" for i in range(12)])),
        "dense": pa.UnionArray.from_dense(kinds, half, [numbers, texts]),
        "sparse": pa.UnionArray.from_sparse(kinds, [numbers, texts]),
        "day64": pa.array([date(2024, 1, 1 + i % 28) for i in rows], pa.date64()),
        "span": pa.array([timedelta(seconds=i) for i in rows], pa.duration("s")),
        "pairs": pa.array([[(f"k{i}", i)] for i in rows], pa.map_(pa.string(), pa.int32())),
        "wide": pa.array([Decimal(i) for i in rows], pa.decimal256(50, 3)),
        "codes": pa.DictionaryArray.from_arrays(
            pa.array([i % 5 for i in rows], pa.uint16()), pa.array([10, 20, 30, 40, 50])
        ),
        "nothing": pa.nulls(ROWS),
    }
    table = typed_table()
    for name, column in own.items():
        table = table.append_column(name, column)
    return table


def _parquet(**options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        sink = io.BytesIO()
        pq.write_table(typed_table(), sink, row_group_size=70, **options)
        return sink.getvalue()

    return make


def _delta() -> bytes:
    """Return Parquet in the encodings of version 2, which no default writer chooses."""
    sink = io.BytesIO()
    encodings = {
        KEPT: "DELTA_BYTE_ARRAY",
        "n": "DELTA_BINARY_PACKED",
        "word": "DELTA_LENGTH_BYTE_ARRAY",
        "x": "BYTE_STREAM_SPLIT",
    }
    table = plain_table()
    pq.write_table(
        table, sink, use_dictionary=False, column_encoding=encodings, data_page_version="2.0"
    )
    return sink.getvalue()


def _ipc(opener: Callable[..., Any], compression: str | None) -> Callable[[], bytes]:
    def make() -> bytes:
        sink = io.BytesIO()
        table = arrow_table()
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with opener(sink, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=70)
        return sink.getvalue()

    return make


def _csv(delimiter: str = ",") -> bytes:
    sink = io.BytesIO()
    pacsv.write_csv(plain_table(), sink, pacsv.WriteOptions(delimiter=delimiter))
    return sink.getvalue()


def _jsonl() -> bytes:
    rows = plain_table().to_pylist()
    return b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)


def _xlsx() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    table = plain_table()
    book.active.append(table.column_names)
    for row in table.to_pylist():
        book.active.append(list(row.values()))
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def gzipped(content: bytes) -> bytes:
    """Compress with gzip, to the same bytes at any time."""
    return gzip.compress(content, mtime=0)


def zstd(content: bytes) -> bytes:
    """Compress with zstd."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


MAKERS: dict[str, Callable[[], bytes]] = {
    "snappy.parquet": _parquet(),
    "plain.parquet": _parquet(compression="none", use_dictionary=False),
    "zstd.parquet": _parquet(compression="zstd", data_page_version="2.0"),
    "gzip.parquet": _parquet(compression="gzip", write_page_checksum=True),
    "brotli.parquet": _parquet(compression="brotli"),
    "lz4.parquet": _parquet(compression="lz4"),
    "delta.parquet": _delta,
    "file.arrow": _ipc(pa.ipc.new_file, None),
    "stream.arrows": _ipc(pa.ipc.new_stream, None),
    "lz4.feather": _ipc(pa.ipc.new_file, "lz4"),
    "zstd.feather": _ipc(pa.ipc.new_file, "zstd"),
    "memory": _ipc(pa.ipc.new_stream, None),
    "table.csv": _csv,
    "table.csv.gz": lambda: gzipped(_csv()),
    "table.csv.zst": lambda: zstd(_csv()),
    "table.tsv": lambda: _csv("\t"),
    "table.jsonl": _jsonl,
    "table.jsonl.gz": lambda: gzipped(_jsonl()),
    "table.xlsx": _xlsx,
    "options.toml": lambda: TOML,
    "options.yaml": lambda: YAML,
}
"""Functions that return a valid file, by its name; `memory` is read by pyarrow and passed on."""


def valid_files() -> dict[str, bytes]:
    """Return a valid file of each format that can be made and read here, by its name."""
    excel = all(map(importlib.util.find_spec, ("openpyxl", "python_calamine")))
    return {name: make() for name, make in MAKERS.items() if excel or name != "table.xlsx"}
