"""Read Parquet files, Arrow files and streams, and tables in memory, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aecli.errors import DataError, UsageError
from aecli.table.column_names import is_pandas_index, unique_names
from aecli.table.read_errors import TABLE_IN_MEMORY, check_file_command, reading, unreadable

_MAX_BUFFER_BYTES, _ALL_BUFFERS_BYTES = 1 << 18, 16 << 20
_MEMORY_BATCH_ROWS = 1 << 20


class BinaryFile:
    """Reader of one file that contains its schema; subclasses read the batches."""

    text = False

    def __init__(self, path: Path, name: str, format: str, notes: list[str]) -> None:
        self.path = path
        self.name = name
        self.format = format
        self.n_rows: int | None = None
        with reading(name):
            schema = self._open()
        unique = unique_names(schema.names, name, notes)
        self._fields: dict[str, tuple[int, pa.DataType]] = {
            new: (index, _readable(schema.field(index).type))
            for index, new in enumerate(unique)
            if not is_pandas_index(schema.field(index).name)
        }
        self.names = list(self._fields)
        if len(self.names) < len(unique):
            notes.append(f"{name}: the index that pandas saved without a name is left out")

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of columns."""
        return {name: self._fields[name][1] for name in names}

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, at most `rows` rows at a time."""
        indices = [self._fields[name][0] for name in types]
        read_types = [self._fields[name][1] for name in types]
        schema = pa.schema(list(zip(types, read_types, strict=True)))
        with reading(self.name):
            for columns in self._columns(indices, rows):
                cast = [
                    c if c.type == t else c.cast(t)
                    for c, t in zip(columns, read_types, strict=True)
                ]
                batch = pa.RecordBatch.from_arrays(cast, schema=schema)
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the approximate bytes that the columns take in memory; None where unknown."""
        if self.n_rows is None:
            return None
        return self.n_rows * sum(_bytes_per_cell(self._fields[name][1]) for name in types)

    def row_location(self, row: int) -> str:
        """Return the location of a row, counted from 0, for messages."""
        return f"row {row + 1:,}"

    def _open(self) -> pa.Schema:
        raise NotImplementedError

    def _columns(self, indices: Sequence[int], rows: int) -> Iterator[list[pa.Array]]:
        raise NotImplementedError


class ParquetFile(BinaryFile):
    """Reader of a Parquet file in constant memory."""

    def _open(self) -> pa.Schema:
        try:
            with pq.ParquetFile(self.path) as file:
                self.n_rows = file.metadata.num_rows
                return file.schema_arrow
        except pa.ArrowInvalid as error:
            raise self._damaged_error() from error

    def _columns(self, indices: Sequence[int], rows: int) -> Iterator[list[pa.Array]]:
        buffer = max(1 << 16, min(_MAX_BUFFER_BYTES, _ALL_BUFFERS_BYTES // max(1, len(indices))))
        with pq.ParquetFile(
            self.path, pre_buffer=False, buffer_size=buffer, page_checksum_verification=True
        ) as file:
            names = file.schema_arrow.names
            # A name is also the prefix of nested ones: `a` would bring `a.b` along.
            unique = len(set(names)) == len(names) and not any("." in name for name in names)
            selected = [names[index] for index in indices] if unique else None
            for batch in file.iter_batches(batch_size=rows, columns=selected):
                if selected is None:
                    yield [batch.column(index) for index in indices]
                else:
                    yield [batch.column(name) for name in selected]

    def _damaged_error(self) -> DataError:
        with open(self.path, "rb") as file:
            head = file.read(4)
        if head == b"PAR1":
            reason, fact = "is incomplete or damaged: its footer cannot be read", "copy it again"
        else:
            reason, fact = "is no Parquet file", f"it begins with {head!r}, not b'PAR1'"
        hint = check_file_command(self.name) if head == b"PAR1" else "--format csv, if it is text"
        return DataError(f"{self.name} {reason}", facts=[fact], hint=hint)


class ArrowFile(BinaryFile):
    """Reader of an Arrow IPC file (Feather) or stream."""

    def _open(self) -> pa.Schema:
        with open(self.path, "rb") as file:
            self._random = file.read(6) == b"ARROW1"
        if not self._random:
            with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as reader:
                return reader.schema
        import pyarrow.dataset as ds  # only it counts rows without reading them
        from pyarrow.fs import LocalFileSystem

        fragment = ds.IpcFileFormat().make_fragment(str(self.path), LocalFileSystem())
        self.n_rows = int(fragment.count_rows())
        return fragment.physical_schema

    def _columns(self, indices: Sequence[int], rows: int) -> Iterator[list[pa.Array]]:
        chosen = sorted(set(indices))
        options = pa.ipc.IpcReadOptions(included_fields=chosen, use_threads=True)
        positions = [chosen.index(index) for index in indices]
        opener: Callable[..., Any] = pa.ipc.open_file if self._random else pa.ipc.open_stream
        with pa.OSFile(str(self.path)) as file, opener(file, options=options) as reader:
            batches = (
                (reader.get_batch(number) for number in range(reader.num_record_batches))
                if self._random
                else reader
            )
            for batch in batches:
                yield [batch.column(position) for position in positions]


class MemoryTable(BinaryFile):
    """Reader of an Arrow table in memory."""

    def __init__(self, table: pa.Table, name: str, notes: list[str]) -> None:
        self.table = table
        super().__init__(Path(), name, "arrow", notes)

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the bytes that the columns take in memory."""
        indices = [self._fields[name][0] for name in types]
        return int(self.table.select(indices).nbytes)

    def _open(self) -> pa.Schema:
        self.n_rows = self.table.num_rows
        return self.table.schema

    def _columns(self, indices: Sequence[int], rows: int) -> Iterator[list[pa.Array]]:
        # The reader needs unique names even where the table's columns share one.
        table = pa.table(
            [self.table.column(i) for i in indices], [str(i) for i in range(len(indices))]
        )
        for batch in table.to_batches(max_chunksize=min(rows, _MEMORY_BATCH_ROWS)):
            yield batch.columns


def is_arrow_table(data: Any) -> bool:
    """Return whether an object gives its rows as Arrow: tables of pyarrow, pandas, polars."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def open_memory_table(data: Any, notes: list[str]) -> MemoryTable:
    """Open a table in memory.

    Raises:
        DataError: its Arrow form is damaged.
        UsageError: it is a single column.
    """
    try:
        if hasattr(data, "__arrow_c_stream__"):
            table = pa.RecordBatchReader.from_stream(data).read_all()
        else:
            table = pa.Table.from_batches([pa.record_batch(data)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        if isinstance(data, (pa.Array, pa.ChunkedArray)) or type(data).__name__ == "Series":
            raise UsageError(
                f"a {type(data).__module__}.{type(data).__qualname__} is one column, no table",
                hint="a table of rows: frame[['name']], or frame.iloc[[0]] for one row",
            ) from error
        raise unreadable(TABLE_IN_MEMORY, error) from error
    return MemoryTable(table, TABLE_IN_MEMORY, notes)


def _readable(kind: pa.DataType) -> pa.DataType:
    """Return the type to read: views, which few kernels know, become plain strings."""
    if hasattr(pa.types, "is_string_view") and pa.types.is_string_view(kind):
        return pa.large_string()
    return kind


def _bytes_per_cell(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _bytes_per_cell(kind.value_type)
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 32  # text and nested ones: a guess
