"""Write Arrow batches to a file or to standard output, whole or not at all."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from aecli.errors import UsageError
from aecli.files import atomic_path
from aecli.table.located import FORMATS, PACKED

ROW_GROUP_BYTES = 64 << 20
"""Bytes of Arrow data in one Parquet row group: large enough to compress, small enough to hold."""

WRITTEN = ("parquet", "csv", "tsv", "arrow", "jsonl")


class Sink(ABC):
    """Take batches of one schema and write them in a format."""

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Write one batch after the others."""

    @abstractmethod
    def close(self) -> None:
        """Write what is still held, and the format's end."""


class ParquetSink(Sink):
    """Write Parquet: zstd, page checksums, and floats without dictionaries, which never pay."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self._schema = schema
        repeating = [field.name for field in schema if not _floats(field.type)]
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            use_dictionary=repeating,
            write_page_checksum=True,
        )
        self._held: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Hold the batch until a row group is full."""
        self._held.append(batch)
        if sum(held.nbytes for held in self._held) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held, self._schema))
            self._held = []


class ArrowSink(Sink):
    """Write an Arrow IPC file, or a stream where the target cannot be sought."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(stream, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one batch."""
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class CsvSink(Sink):
    """Write delimited text with a header; missing cells are empty, times are ISO 8601."""

    def __init__(self, stream: Any, schema: pa.Schema, delimiter: str = ",") -> None:
        listed = [field.name for field in schema if pa.types.is_nested(field.type)]
        if listed:
            raise UsageError(
                f"CSV cannot hold the list column {listed[0]!r}", hint="-o with .parquet or .jsonl"
            )
        self._schema = pa.schema(
            [pa.field(field.name, _written_as(field.type)) for field in schema]
        )
        options = pacsv.WriteOptions(delimiter=delimiter, quoting_style="needed")
        self._writer = pacsv.CSVWriter(stream, self._schema, write_options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one batch."""
        self._writer.write_batch(batch.cast(self._schema))

    def close(self) -> None:
        """Flush what is held."""
        self._writer.close()


class JsonlSink(Sink):
    """Write one JSON object per line; missing cells and NaN are null, times are ISO 8601."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self._stream = stream
        self._names = schema.names

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one line per row."""
        lines = (
            json.dumps({name: _plain(row[name]) for name in self._names}, ensure_ascii=False)
            for row in batch.to_pylist()
        )
        self._stream.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Do nothing: every line is written."""


@contextmanager
def open_sink(
    output: str,
    schema: pa.Schema,
    *,
    inputs: Sequence[Path] = (),
    format: str | None = None,
) -> Iterator[Sink]:
    """Open `output` for batches of `schema`; nothing is left of it if the block raises.

    Args:
        output: a file whose name says the format, also with .gz or .zst for text; `-` for standard
            output, which is CSV unless `format` says otherwise.
        inputs: the files being read, which must not be overwritten while they are.
        format: parquet, csv, tsv, arrow or jsonl, whatever the name says.

    Raises:
        UsageError: the format is not known, or the output is one of the inputs.
        OutputError: the file cannot be written.
    """
    if output == "-":
        with _sink(sys.stdout.buffer, schema, format or "csv", None) as sink:
            yield sink
        sys.stdout.buffer.flush()
        return
    target = Path(output)
    chosen = format or _format_by_name(target)
    _refuse_input(target, inputs)
    packing = {".gz": "gzip", ".zst": "zstd"}.get(target.suffix.lower())
    with (
        atomic_path(target) as temporary,
        temporary.open("wb") as file,
        _sink(file, schema, chosen, packing) as sink,
    ):
        yield sink


@contextmanager
def _sink(file: BinaryIO, schema: pa.Schema, format: str, packing: str | None) -> Iterator[Sink]:
    if format not in WRITTEN:
        raise UsageError(f"--to {format!r} is no format", hint=f"--to {', '.join(WRITTEN)}")
    if packing and format in ("parquet", "arrow"):
        raise UsageError(
            f"{format} is packed inside, not by its name",
            hint=f"-o out.{format} without .gz or .zst",
        )
    stream = pa.output_stream(file, compression=packing) if packing else file
    sink: Sink
    if format == "parquet":
        sink = ParquetSink(stream, schema)
    elif format == "arrow":
        sink = ArrowSink(stream, schema)
    elif format == "jsonl":
        sink = JsonlSink(stream, schema)
    else:
        sink = CsvSink(stream, schema, "\t" if format == "tsv" else ",")
    yield sink
    sink.close()
    if packing:
        stream.close()


def _format_by_name(target: Path) -> str:
    suffix = target.suffix.lower()
    if suffix in PACKED:
        suffix = Path(target.stem).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"the name {target.name!r} does not say a format",
            facts=[f"known: {', '.join(FORMATS)}, text also with .gz or .zst"],
            hint=f"-o {target.name}.parquet, or --to parquet",
        )
    return "tsv" if suffix == ".tsv" else FORMATS[suffix]


def _refuse_input(target: Path, inputs: Sequence[Path]) -> None:
    for path in inputs:
        if target.exists() and path.exists() and target.samefile(path):
            raise UsageError(
                f"the output {target} is the input",
                hint=f"-o {target.with_stem(target.stem + '_out')}",
            )


def _floats(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return bool(pa.types.is_floating(inner))


def _written_as(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
