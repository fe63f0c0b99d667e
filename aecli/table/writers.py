"""Write Arrow batches to a file, atomically, or to standard output."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from aecli.atomic_files import atomic_path
from aecli.errors import UsageError
from aecli.table.arrow_types import is_list, type_name
from aecli.table.formats import output_format
from aecli.table.paths import STDIN as STDOUT
from aecli.table.text_cells import csv_cells, csv_type, json_cells

_ROW_GROUP_BYTES = 8 << 20
_ROW_GROUP_ROWS = 1 << 20
_BINARY = ("parquet", "arrow")


class Sink(Protocol):
    """Writer of the batches of one table, in order."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one batch of the sink's schema."""

    def finish(self) -> None:
        """Write buffered batches and the end of the file."""


@contextmanager
def open_sink(
    output: str,
    schema: pa.Schema,
    *,
    inputs: Sequence[Path] = (),
    format: str | None = None,
) -> Iterator[Sink]:
    """Yield a sink for `output`; the file gets its name only when the block ends without an error.

    Args:
        output: a file, or `-` for standard output.
        schema: of every batch.
        inputs: files that are being read, none of which may be the output.
        format: parquet, csv, tsv, arrow or jsonl; None: by the suffix, csv for `-`.

    Raises:
        UsageError: the output is an input, its format is unknown or cannot hold a column.
        OutputError: the file cannot be written.
    """
    chosen, compression = output_format(output, format)
    if chosen in ("csv", "tsv"):
        _require_flat_columns(schema)
    if output == STDOUT:
        with _standard_output(chosen) as stream, _writing(chosen, stream, schema) as sink:
            yield sink
        return
    _require_not_an_input(output, inputs)
    with (
        atomic_path(Path(output)) as path,
        pa.OSFile(str(path), "wb") as file,
        _compressed(file, compression) as stream,
        _writing(chosen, stream, schema) as sink,
    ):
        yield sink


class ParquetSink:
    """Writer of Parquet in large row groups: zstd, checksums, floats without dictionary."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self._schema = schema
        self._buffered: list[pa.RecordBatch] = []
        self._bytes = self._rows = 0
        repeating = [f.name for f in schema if not (is_list(f.type) or _is_float(f.type))]
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            use_dictionary=repeating or False,
            write_page_checksum=True,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Buffer a batch until a row group is full."""
        self._buffered.append(batch)
        self._bytes += batch.nbytes
        self._rows += batch.num_rows
        if self._bytes >= _ROW_GROUP_BYTES or self._rows >= _ROW_GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._buffered:
            table = pa.Table.from_batches(self._buffered, self._schema).unify_dictionaries()
            self._buffered, self._bytes, self._rows = [], 0, 0
            self._writer.write_table(table)


class ArrowSink:
    """Writer of an Arrow IPC file, or a stream if `seekable` is False; dictionaries are decoded."""

    def __init__(self, stream: Any, schema: pa.Schema, *, seekable: bool) -> None:
        # An IPC file has one dictionary per column, but each batch has another.
        self._schema = pa.schema([(f.name, _decoded(f.type)) for f in schema])
        new_writer = pa.ipc.new_file if seekable else pa.ipc.new_stream
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = new_writer(stream, self._schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch."""
        self._writer.write_batch(batch.cast(self._schema))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()


class CsvSink:
    """Writer of CSV with a header; fields are quoted where necessary, missing ones empty."""

    def __init__(self, stream: Any, schema: pa.Schema, delimiter: str) -> None:
        self._schema = pa.schema([(f.name, csv_type(f.type)) for f in schema])
        header = io.StringIO()
        csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(schema.names)
        stream.write(header.getvalue().encode())
        options = pacsv.WriteOptions(
            include_header=False, delimiter=delimiter, quoting_style="needed"
        )
        # Most readers skip a blank line, so a missing cell of a single column is quoted.
        self._has_single_column = len(schema) == 1
        self._stream = stream
        self._writer = pacsv.CSVWriter(stream, self._schema, write_options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch."""
        arrays = [csv_cells(column) for column in batch.columns]
        if self._has_single_column and arrays[0].null_count:
            text = arrays[0].cast(pa.string())
            cells = io.StringIO()
            csv.writer(cells, lineterminator="\n").writerows([value] for value in text.to_pylist())
            self._stream.write(cells.getvalue().encode())
        else:
            self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def finish(self) -> None:
        """Write buffered rows."""
        self._writer.close()


class JsonlSink:
    """Writer of one JSON object a line."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self._stream = stream
        self._keys = [json.dumps(name, ensure_ascii=False) + ": " for name in schema.names]

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch."""
        parts: list[Any] = []
        for position, (key, column) in enumerate(zip(self._keys, batch.columns, strict=True)):
            parts += [("{" if position == 0 else ", ") + key, json_cells(column)]
        lines = pc.binary_join_element_wise(*parts, "}\n", "")
        self._stream.write(pc.binary_join(_as_list(lines), "")[0].as_buffer())

    def finish(self) -> None:
        """Do nothing: every line is complete."""


@contextmanager
def _writing(format: str, stream: Any, schema: pa.Schema) -> Iterator[Sink]:
    seekable = isinstance(stream, pa.OSFile)
    writers: dict[str, Callable[[], Sink]] = {
        "parquet": lambda: ParquetSink(stream, schema),
        "arrow": lambda: ArrowSink(stream, schema, seekable=seekable),
        "csv": lambda: CsvSink(stream, schema, ","),
        "tsv": lambda: CsvSink(stream, schema, "\t"),
        "jsonl": lambda: JsonlSink(stream, schema),
    }
    sink = writers[format]()
    try:
        yield sink
    except BaseException:
        # Arrow's writers finish on garbage collection, and raise if their file is closed by then.
        with suppress(Exception):
            sink.finish()
        raise
    sink.finish()


@contextmanager
def _compressed(file: Any, compression: str | None) -> Iterator[Any]:
    if compression is None:
        yield file
        return
    with pa.CompressedOutputStream(file, compression) as stream:
        yield stream


@contextmanager
def _standard_output(format: str) -> Iterator[Any]:
    raw = sys.stdout.buffer
    if format in _BINARY and sys.stdout.isatty():
        raise UsageError(f"standard output is a terminal, {format} is not text", hint="-o FILE")
    yield pa.PythonFile(_Pipe(raw), mode="w")
    raw.flush()


class _Pipe(io.RawIOBase):
    """Stream into a pipe, which counts the bytes for `tell` and leaves the pipe open."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._raw.write(data)
        self._written += size
        return size

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._raw.flush()


def _require_flat_columns(schema: pa.Schema) -> None:
    nested = [f for f in schema if pa.types.is_nested(f.type) or pa.types.is_binary(f.type)]
    if nested:
        raise UsageError(
            f"CSV cannot hold column {nested[0].name!r}, a {type_name(nested[0].type)}",
            hint="-o with a name that ends in .parquet or .jsonl",
        )


def _require_not_an_input(output: str, inputs: Sequence[Path]) -> None:
    for path in inputs:
        with suppress(OSError):
            if os.path.samefile(output, path):
                raise UsageError(
                    f"the output {output} is also the input",
                    hint=f"-o {Path(output).with_name('new_' + Path(output).name)}",
                )


def _as_list(lines: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)


def _is_float(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind))


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
