"""Read Arrow files and streams, and tables in memory, batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from aecli.errors import DataError, UsageError
from aecli.formatting import TABLE_IN_MEMORY
from aecli.table.arrow_types import bytes_per_cell, is_list
from aecli.table.arrow_validation import another_copy, require_valid_columns
from aecli.table.column_names import is_pandas_index, unique_names
from aecli.table.formats import reading, unreadable
from aecli.table.row_filter import RowCondition
from aecli.table.row_groups import ColumnReader, FileRowGroups

_ARROW_CONTINUATION = b"\xff\xff\xff\xff"
_MEMORY_BATCH_ROWS = 1 << 20
_ROWS_PER_BYTE = 1_000
MAX_SCALE = 200
"""Maximum scale of a decimal: 10^200 times the largest decimal is still a float64."""


class BinaryFile:
    """Reader of one file, or of one table in memory, that contains its schema.

    Args:
        name: of the table in messages.
        format: of the file.
        schema: of all columns.
        n_rows: the number of rows, None if it is unknown.
        read_columns: reads columns by their positions in `schema`.
        column_bytes: returns the size of such a column in memory, if it is known.
        notes: list to which messages for the user are added.
        checked: whether `read_columns` validates its columns.
        row_groups: of the file, where the format has some.
    """

    text = False
    quotes_all = False
    untyped: frozenset[str] = frozenset()

    def __init__(
        self,
        name: str,
        format: str,
        schema: pa.Schema,
        n_rows: int | None,
        read_columns: ColumnReader,
        notes: list[str],
        *,
        column_bytes: Callable[[int], int] | None = None,
        checked: bool = False,
        row_groups: FileRowGroups | None = None,
    ) -> None:
        self.name = name
        self.format = format
        self.n_rows = n_rows
        self._read_columns = read_columns
        self._column_bytes = column_bytes
        self._checked = checked
        self._row_groups = row_groups
        unique = unique_names(_column_names(schema, name), name, notes)
        self._fields: dict[str, tuple[int, pa.DataType]] = {
            new: (index, _readable(schema.field(index).type)) for index, new in enumerate(unique)
        }
        self.stored_names = unique
        self.names = [
            new for new, (index, _) in self._fields.items()
            if not is_pandas_index(schema.field(index).name)
        ]  # fmt: skip
        self.pandas_metadata = (schema.metadata or {}).get(b"pandas")
        if len(self.names) < len(unique):
            notes.append(f"{name}: the unnamed pandas index is left out")

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of columns."""
        return {name: self._fields[name][1] for name in names}

    def within(self, conditions: Sequence[RowCondition]) -> BinaryFile:
        """Return the same columns, without row groups of which no row fulfils the conditions."""
        if self._row_groups is None or not conditions:
            return self
        at = [(self._fields[condition.column][0], condition) for condition in conditions]
        return self._with_groups(self._row_groups.within(at))

    def between(self, start: int, stop: int) -> tuple[BinaryFile, int]:
        """Return the same columns in the row groups with rows from `start` to `stop`.

        The number is that of the rows before these groups.
        """
        if self._row_groups is None or self.n_rows is None:
            return self, 0
        groups, before = self._row_groups.between(start, stop)
        return self._with_groups(groups), before

    def _with_groups(self, groups: FileRowGroups) -> BinaryFile:
        reader = copy.copy(self)
        reader._row_groups, reader._read_columns, reader.n_rows = groups, groups.read(), groups.rows
        return reader

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, at most `rows` rows at a time."""
        indices = [self._fields[name][0] for name in types]
        read_types = [self._fields[name][1] for name in types]
        schema = pa.schema(list(zip(types, read_types, strict=True)))
        before = 0
        with reading(self.name):
            for columns in self._read_columns(indices, rows):
                if not self._checked:
                    require_valid_columns(columns, list(types), self.name, before)
                before += len(columns[0])
                cast = [
                    c if c.type == t else c.cast(t)
                    for c, t in zip(columns, read_types, strict=True)
                ]
                batch = pa.RecordBatch.from_arrays(cast, schema=schema)
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)
        if self.n_rows not in (None, before):
            raise DataError(
                f"{self.name} is damaged: it has {before:,} rows, not {self.n_rows:,}",
                hint=another_copy(self.name),
            )

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the approximate size of the columns in memory, in bytes; None if it is unknown."""
        if self._column_bytes is not None:
            return sum(self._column_bytes(self._fields[name][0]) for name in types)
        if self.n_rows is None:
            return None
        return self.n_rows * sum(bytes_per_cell(self._fields[name][1]) for name in types)

    def column_memory(self, names: Sequence[str], limit: int) -> list[int]:
        """Return the bytes that are held of each column besides a batch while rows are read.

        They are upper bounds, and more exact if their sum exceeds the limit.
        """
        if self._row_groups is None:
            return [0] * len(names)
        indices = [self._fields[name][0] for name in names]
        with reading(self.name):
            return self._row_groups.column_memory(indices, limit)

    @property
    def in_memory(self) -> bool:
        """Return whether all of it is in memory, not only the columns that are read."""
        return self._column_bytes is not None

    def row_location(self, row: int) -> str:
        """Return the location of a row, counted from 0, for messages."""
        return f"row {(self._row_groups.position(row) if self._row_groups else row) + 1:,}"


def open_arrow(path: Path, name: str, notes: list[str]) -> BinaryFile:
    """Open an Arrow IPC file (Feather) or stream.

    Raises:
        DataError: the file is damaged.
    """

    def read(indices: Sequence[int], rows: int) -> Iterator[list[pa.Array]]:
        chosen = sorted(set(indices))
        options = pa.ipc.IpcReadOptions(included_fields=chosen, use_threads=True)
        positions = [chosen.index(index) for index in indices]
        opener: Callable[..., Any] = pa.ipc.open_stream if is_stream else pa.ipc.open_file
        with pa.OSFile(str(path)) as file, opener(file, options=options) as reader:
            batches = (
                reader
                if is_stream
                else (reader.get_batch(number) for number in range(reader.num_record_batches))
            )
            for batch in batches:
                yield [batch.column(position) for position in positions]
            if is_stream and file.read(4) == _ARROW_CONTINUATION:
                raise several_files_error(name, "several Arrow streams")

    with reading(name):
        with open(path, "rb") as file:
            is_stream = file.read(6) != b"ARROW1"
        schema, n_rows = _stream_schema(path) if is_stream else _arrow_file_schema(path)
        n_rows = plausible_count(n_rows, path.stat().st_size)
    return BinaryFile(name, "arrow", schema, n_rows, read, notes)


def plausible_count(n_rows: int | None, size: int) -> int | None:
    """Return the number of rows in the metadata of a file of `size` bytes; None if implausible."""
    likely = n_rows is not None and 0 <= n_rows <= _ROWS_PER_BYTE * size
    return n_rows if likely else None


def several_files_error(name: str, what: str) -> DataError:
    """Return the error of a file to which other files were appended."""
    return DataError(
        f"{name} contains {what}",
        facts=["only one of them would be read"],
        hint="separate files: aecli … a.parquet b.parquet",
    )


def _stream_schema(path: Path) -> tuple[pa.Schema, int | None]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        return reader.schema, None


def _arrow_file_schema(path: Path) -> tuple[pa.Schema, int | None]:
    """Return the schema and the number of rows."""
    import pyarrow.dataset as ds  # counts rows without reading them
    from pyarrow.fs import LocalFileSystem

    fragment = ds.IpcFileFormat().make_fragment(str(path), LocalFileSystem())
    n_rows = int(fragment.count_rows())
    return fragment.physical_schema, n_rows


def memory_reader(
    table: pa.Table, name: str, notes: list[str], *, checked: bool = False
) -> BinaryFile:
    """Return a reader of a table in memory; its columns are `checked` or validated when read."""
    checked_columns = set(range(table.num_columns)) if checked else set()

    def read(indices: Sequence[int], rows: int) -> Iterator[list[pa.Array]]:
        for index in set(indices) - checked_columns:
            # Whole chunks: validating a slice of lists would validate all elements of its chunk.
            _require_valid_chunks(table.column(index), table.schema.names[index], name)
            checked_columns.add(index)
        # The reader needs unique names, even if columns of the table share a name.
        names = [str(position) for position in range(len(indices))]
        columns = pa.table([table.column(index) for index in indices], names)
        for batch in columns.to_batches(max_chunksize=min(rows, _MEMORY_BATCH_ROWS)):
            yield batch.columns

    def column_bytes(index: int) -> int:
        return int(table.column(index).nbytes)

    return BinaryFile(
        name,
        "arrow",
        table.schema,
        table.num_rows,
        read,
        notes,
        column_bytes=column_bytes,
        checked=True,
    )


def _require_valid_chunks(column: pa.ChunkedArray, name: str, table: str) -> None:
    before = 0
    for chunk in column.chunks:
        require_valid_columns([chunk], [name], table, before)
        before += len(chunk)


def is_arrow_table(data: Any) -> bool:
    """Return whether an object exports Arrow data: tables of pyarrow, pandas, polars."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def open_memory_table(data: Any, notes: list[str]) -> BinaryFile:
    """Open a table in memory.

    Raises:
        DataError: its Arrow data are damaged.
        UsageError: it is a single column.
    """
    try:
        table = _arrow_table(data)
        if any(len(column) != table.num_rows for column in table.columns):
            raise pa.ArrowInvalid("its columns have different lengths")
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(data, (pa.Array, pa.ChunkedArray)) or type(data).__name__ == "Series":
            raise UsageError(
                f"a {type(data).__module__}.{type(data).__qualname__} is one column, not a table",
                hint="a table of rows: frame[['name']], or frame.iloc[[0]] for one row",
            ) from error
        raise unreadable(TABLE_IN_MEMORY, error) from error
    return memory_reader(table, TABLE_IN_MEMORY, notes)


def _arrow_table(data: Any) -> pa.Table:
    # The C interface does not pass buffer sizes, which are needed to check offsets.
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data).read_all()
    return pa.Table.from_batches([pa.record_batch(data)])


def _column_names(schema: pa.Schema, file: str) -> list[str]:
    """Return the names of columns; raise if one, or one of a nested field, is not UTF-8."""
    names = []
    for position, field in enumerate(schema, start=1):
        try:
            names.append(field.name)
            _require_nested_names(field.type)
        except UnicodeDecodeError as error:
            raise column_name_error(file, f"column {position:,}", error) from error
        _require_scale(field, file)
    return names


def _require_scale(field: pa.Field, file: str) -> None:
    """Raise for decimals, alone or in lists, beyond the range of float64."""
    kind = field.type
    while is_list(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind) and abs(kind.scale) > MAX_SCALE:
        raise DataError(
            f"{file}, column {field.name!r}: a decimal of scale {kind.scale:,}",
            facts=[f"scales from -{MAX_SCALE} to {MAX_SCALE} are supported"],
            hint=f"leave {field.name!r} out, or {another_copy(file)}",
        )


def _require_nested_names(kind: pa.DataType) -> None:
    """Raise UnicodeDecodeError if a nested field of a type has a name that is not UTF-8."""
    if pa.types.is_struct(kind):
        for field in kind:
            _ = field.name
            _require_nested_names(field.type)
    elif is_list(kind):
        _require_nested_names(kind.value_type)


def column_name_error(file: str, column: str, error: UnicodeDecodeError) -> DataError:
    """Return the error of a name that is not valid UTF-8."""
    return DataError(
        f"{file}: the name of {column} is not valid UTF-8",
        facts=[repr(error.object)],
        hint="rename the column",
    )


def _readable(kind: pa.DataType) -> pa.DataType:
    """Return the type to read: string views, which few kernels support, become strings."""
    if hasattr(pa.types, "is_string_view") and pa.types.is_string_view(kind):
        return pa.large_string()
    return kind
