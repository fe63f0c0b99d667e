"""Write Arrow batches to a file, atomically, or to standard output."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from aecli.atomic_files import atomic_path
from aecli.errors import UsageError
from aecli.remote_files.path import location
from aecli.table.arrow_types import decoded_type, is_list, type_name
from aecli.table.csv.cells import header_line
from aecli.table.formats import output_format
from aecli.table.output_cells import csv_cells, csv_type, json_cells, parquet_type
from aecli.table.paths import STDIN as STDOUT

_ROW_GROUP_BYTES = 8 << 20
_ROW_GROUP_ROWS = 1 << 20
_BINARY = ("parquet", "arrow")

Write: TypeAlias = Callable[[pa.RecordBatch], None]
"""Function that writes the next batch of a table."""


@contextmanager
def open_writer(
    output: str,
    schema: pa.Schema,
    *,
    inputs: Sequence[Path] = (),
    format: str | None = None,
) -> Iterator[Write]:
    """Yield a function that writes batches to `output`.

    The file is renamed to its name after the block, if there was no error.

    Args:
        output: a file, or `-` for standard output.
        schema: of every batch.
        inputs: files that are being read; none of them may be the output.
        format: parquet, csv, tsv, arrow or jsonl; None: by the suffix, csv for `-`.

    Raises:
        UsageError: the output is an input, or its format is unknown or does not support a column.
        OutputError: the file cannot be written.
    """
    chosen, compression = output_format(output, format)
    _require_types(schema, chosen)
    if output == STDOUT:
        with (
            _standard_output(chosen) as stream,
            _storing(_writer(chosen, stream, schema), chosen) as write,
        ):
            yield write
        return
    _require_not_an_input(output, inputs)
    with (
        atomic_path(location(output)) as path,
        pa.OSFile(str(path), "wb") as file,
        _compressed(file, compression) as stream,
        _storing(_writer(chosen, stream, schema), chosen) as write,
    ):
        yield write


@contextmanager
def _storing(writer: AbstractContextManager[Write], format: str) -> Iterator[Write]:
    """Yield the function of a writer; its errors name a type or value that a format lacks."""
    with _refusing(format):
        write = writer.__enter__()

    def storing(batch: pa.RecordBatch) -> None:
        with _refusing(format):
            write(batch)

    try:
        yield storing
    except BaseException:
        writer.__exit__(*sys.exc_info())
        raise
    with _refusing(format):
        writer.__exit__(None, None, None)


@contextmanager
def _refusing(format: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(
            f"the output cannot be written as {format}: {str(error).splitlines()[0][:200]}",
            hint="-o with a name that ends in .arrow, or --keep without that column",
        ) from error


def _writer(format: str, stream: Any, schema: pa.Schema) -> AbstractContextManager[Write]:
    match format:
        case "parquet":
            return _parquet_writer(stream, schema)
        case "arrow":
            return _arrow_writer(stream, schema)
        case "jsonl":
            return _jsonl_writer(stream, schema)
    return _csv_writer(stream, schema, "\t" if format == "tsv" else ",")


@contextmanager
def _finishing(write: Write, finish: Callable[[], None]) -> Iterator[Write]:
    """Yield a function that writes, and finish the output after the block."""
    writing = False

    def finishable(batch: pa.RecordBatch) -> None:
        nonlocal writing
        writing = True
        try:
            write(batch)
        finally:
            writing = False

    try:
        yield finishable
    except BaseException:
        # Arrow's writers also finish on garbage collection, and raise if their file is closed then.
        # One that is blocked in another thread cannot finish.
        if not writing:
            with suppress(Exception):
                finish()
        raise
    finish()


@contextmanager
def _parquet_writer(stream: Any, schema: pa.Schema) -> Iterator[Write]:
    """Write large row groups: zstd, checksums, floats without dictionary."""
    repeating = [f.name for f in schema if not (is_list(f.type) or pa.types.is_floating(f.type))]
    fields = [field.with_type(parquet_type(field.type)) for field in schema]
    stored = pa.schema(fields, metadata=schema.metadata)
    writer = pq.ParquetWriter(
        stream,
        stored,
        compression="zstd",
        use_dictionary=repeating or False,
        write_page_checksum=True,
    )
    buffered: list[pa.RecordBatch] = []
    buffered_bytes = buffered_rows = 0

    def flush() -> None:
        nonlocal buffered, buffered_bytes, buffered_rows
        if buffered:
            table = pa.Table.from_batches(buffered, schema).unify_dictionaries()
            buffered, buffered_bytes, buffered_rows = [], 0, 0
            writer.write_table(table.cast(stored))

    def write(batch: pa.RecordBatch) -> None:
        nonlocal buffered_bytes, buffered_rows
        buffered.append(batch)
        buffered_bytes += batch.nbytes
        buffered_rows += batch.num_rows
        if buffered_bytes >= _ROW_GROUP_BYTES or buffered_rows >= _ROW_GROUP_ROWS:
            flush()

    def finish() -> None:
        flush()
        writer.close()

    with _finishing(write, finish) as finishable:
        yield finishable


@contextmanager
def _arrow_writer(stream: Any, schema: pa.Schema) -> Iterator[Write]:
    """Write an Arrow IPC file, or a stream if the output cannot seek; dictionaries are decoded."""
    # An IPC file has one dictionary per column, but each batch has its own.
    fields = [(f.name, decoded_type(f.type)) for f in schema]
    decoded = pa.schema(fields, metadata=schema.metadata)
    new_writer = pa.ipc.new_file if isinstance(stream, pa.OSFile) else pa.ipc.new_stream
    writer = new_writer(stream, decoded, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def write(batch: pa.RecordBatch) -> None:
        writer.write_batch(batch.cast(decoded))

    with _finishing(write, writer.close) as finishable:
        yield finishable


@contextmanager
def _csv_writer(stream: Any, schema: pa.Schema, delimiter: str) -> Iterator[Write]:
    """Write a header and rows; fields are quoted if necessary, missing values are empty."""
    written = pa.schema([(f.name, csv_type(f.type)) for f in schema])
    stream.write(header_line(schema.names, delimiter).encode())
    options = pacsv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="needed")
    writer = pacsv.CSVWriter(stream, written, write_options=options)

    def write(batch: pa.RecordBatch) -> None:
        arrays = [csv_cells(column) for column in batch.columns]
        # Most readers skip a blank line, so a missing value of a single column is quoted.
        if len(arrays) == 1 and arrays[0].null_count:
            text = pc.replace_substring(arrays[0].cast(pa.string()), '"', '""').fill_null("")
            lines = pc.binary_join_element_wise('"', text, '"\n', "")
            stream.write(pc.binary_join(_as_list(lines), "")[0].as_buffer())
        else:
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=written))

    with _finishing(write, writer.close) as finishable:
        yield finishable


@contextmanager
def _jsonl_writer(stream: Any, schema: pa.Schema) -> Iterator[Write]:
    """Write one JSON object per line."""
    keys = [json.dumps(name, ensure_ascii=False) + ": " for name in schema.names]

    def write(batch: pa.RecordBatch) -> None:
        parts: list[Any] = []
        for position, (key, column) in enumerate(zip(keys, batch.columns, strict=True)):
            parts += [("{" if position == 0 else ", ") + key, json_cells(column)]
        lines = pc.binary_join_element_wise(*parts, "}\n", "")
        stream.write(pc.binary_join(_as_list(lines), "")[0].as_buffer())

    yield write


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
    """Stream into a pipe that counts the bytes for `tell` and does not close the pipe.

    Nothing is written after a write that failed or was interrupted.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._written = 0
        self._complete = True

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if self._complete:
            self._complete = False
            self._raw.write(data)
            self._complete = True
        self._written += size
        return size

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        if self._complete:
            self._raw.flush()


def _require_types(schema: pa.Schema, format: str) -> None:
    """Raise for a column of a type that the format does not support, before writing."""
    for field in schema:
        kind = field.type
        if format != "arrow" and _is_arrow_only(kind):
            name = {"parquet": "Parquet", "jsonl": "JSON Lines"}.get(format, "CSV")
            raise _type_error(name, field, ".arrow")
        if format in ("csv", "tsv") and (pa.types.is_nested(kind) or pa.types.is_binary(kind)):
            raise _type_error("CSV", field, ".parquet or .jsonl")


def _type_error(format: str, field: pa.Field, suffix: str) -> UsageError:
    return UsageError(
        f"{format} does not support column {field.name!r}, a {type_name(field.type)}",
        hint=f"-o with a name that ends in {suffix}",
    )


def _is_arrow_only(kind: pa.DataType) -> bool:
    """Return whether only Arrow supports a type: calendar intervals, unions, run-end encoding."""
    if pa.types.is_interval(kind) or pa.types.is_union(kind) or pa.types.is_run_end_encoded(kind):
        return True
    inner = [kind.field(index).type for index in range(kind.num_fields)]
    return any(map(_is_arrow_only, inner))


def _require_not_an_input(output: str, inputs: Sequence[Path]) -> None:
    target = location(output)
    for path in inputs:
        with suppress(OSError):
            if target == path or os.path.samefile(target, path):
                raise UsageError(
                    f"the output {output} is also the input",
                    hint=f"-o {target.with_name('new_' + target.name)}",
                )


def _as_list(lines: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
