"""Read Parquet and Arrow files, one or several with one schema, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aecli.errors import DataError
from aecli.table.reader import Types, conformed, dictated, distinct

READ_BUFFER = 1 << 20
"""Bytes read at a time per column: streaming 5 million rows takes half the memory of `pre_buffer`."""


class BinaryReader:
    """Read files that carry their own schema; the formats differ in how one file is opened."""

    kind = ""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        schemas = [self._schema_of(path) for path in self._paths]
        self._file_names = schemas[0].names
        self.names, self.notes = distinct(self._file_names)
        self._schema = _agreed(self._paths, schemas).with_metadata(None)
        self._schema = pa.schema(
            [field.with_name(name) for field, name in zip(self._schema, self.names, strict=True)]
        )

    def schema(self, names: Sequence[str], types: Types) -> pa.Schema:
        """Return the schema of the named columns; `types` dictates some of their types."""
        return dictated(pa.schema([self._schema.field(name) for name in names]), types)

    def batches(self, names: Sequence[str], types: Types, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, of at most `rows` rows each."""
        schema = self.schema(names, types)
        positions = [self.names.index(name) for name in names]
        for path in self._paths:
            try:
                for batch in self._read(path, positions, rows):
                    yield conformed(batch, schema, str(path))
            except (pa.ArrowException, OSError) as error:
                raise self._damaged(path, error) from error

    def n_rows(self) -> int | None:
        """Return the number of rows, where the files say it."""
        return None

    def memory_bytes(self) -> int | None:
        """Return about how much memory the table takes as Arrow."""
        return None

    def _schema_of(self, path: Path) -> pa.Schema:
        raise NotImplementedError

    def _read(self, path: Path, positions: list[int], rows: int) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def _damaged(self, path: Path, error: Exception) -> DataError:
        if isinstance(error, PermissionError):
            return DataError(f"{path} may not be read", hint=f"chmod +r {path}")
        return DataError(
            f"{path} is no readable {self.kind} file",
            facts=[(str(error).splitlines() or ["truncated or damaged"])[0][:160]],
            hint=f"write {path.name} again, or leave it out; it may be truncated",
        )


class ParquetReader(BinaryReader):
    """Read Parquet files."""

    kind = "Parquet"

    def _open(self, path: Path) -> Any:
        try:
            return pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BUFFER)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(path, error) from error

    def _schema_of(self, path: Path) -> pa.Schema:
        with self._open(path) as file:
            return file.schema_arrow

    def _read(self, path: Path, positions: list[int], rows: int) -> Iterator[pa.RecordBatch]:
        names = self._file_names
        with self._open(path) as file:
            in_file = file.schema_arrow.names
            if in_file != names and len(set(names)) == len(names):
                positions = [in_file.index(names[p]) for p in positions]
            wanted = [in_file[position] for position in positions]
            # With two columns of one name, names cannot choose: read all and pick by position.
            unique = len(set(in_file)) == len(in_file)
            groups = range(file.metadata.num_row_groups)
            if not wanted:
                for group in groups:
                    yield _rows_only(file.metadata.row_group(group).num_rows)
                return
            columns = wanted if unique else None
            for batch in file.iter_batches(rows, columns=columns, use_threads=True):
                yield batch.select(wanted if unique else positions)

    def n_rows(self) -> int | None:
        """Return the number of rows that the footers say."""
        return sum(self._footer(path).num_rows for path in self._paths)

    def memory_bytes(self) -> int | None:
        """Return the uncompressed size that the footers say, or 8 bytes a cell if that is more."""
        total = 0
        for path in self._paths:
            footer = self._footer(path)
            groups = (footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
            # Dictionary and run-length encodings make the size on disk far smaller than in memory.
            total += max(sum(groups), 8 * footer.num_rows * footer.num_columns)
        return total

    def _footer(self, path: Path) -> Any:
        with self._open(path) as file:
            return file.metadata


class ArrowReader(BinaryReader):
    """Read Arrow IPC files and streams (Feather version 2 is the former)."""

    kind = "Arrow"

    def _open(self, path: Path) -> Any:
        try:
            mapped = pa.memory_map(str(path))
            if mapped.read(6) == b"ARROW1":
                return pa.ipc.open_file(mapped)
            mapped.seek(0)
            return pa.ipc.open_stream(mapped)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(path, error) from error

    def _schema_of(self, path: Path) -> pa.Schema:
        return self._open(path).schema

    def _read(self, path: Path, positions: list[int], rows: int) -> Iterator[pa.RecordBatch]:
        file = self._open(path)
        if file.schema.names != self._file_names:
            positions = [file.schema.names.index(self._file_names[p]) for p in positions]
        for batch in _batches_of(file):
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows).select(positions)

    def memory_bytes(self) -> int | None:
        """Return the size of the files, four times for the compression they may have."""
        return 4 * sum(path.stat().st_size for path in self._paths)


def _batches_of(file: Any) -> Iterator[pa.RecordBatch]:
    if hasattr(file, "num_record_batches"):
        return (file.get_batch(index) for index in range(file.num_record_batches))
    return iter(file)


def _rows_only(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(rows)], names=["rows"]).select([])


def _agreed(paths: Sequence[Path], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return one schema for all files: numbers widened, null and dictionaries as the others' type."""
    first = schemas[0]
    agreed = first
    for path, schema in zip(paths[1:], schemas[1:], strict=True):
        if sorted(schema.names) != sorted(first.names):
            raise _other_columns(paths[0], first, path, schema)
        fields = []
        for position, field in enumerate(agreed):
            same_order = schema.names == first.names
            other = schema.field(position) if same_order else schema.field(field.name)
            fields.append(_wider(field, other, paths[0], path))
        agreed = pa.schema(fields)
    return agreed


def _wider(field: pa.Field, other: pa.Field, path: Path, other_path: Path) -> pa.Field:
    pair = [_plain(field.type), _plain(other.type)] if field.type != other.type else [field.type]
    try:
        schemas = [pa.schema([pa.field(field.name, kind)]) for kind in pair]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0)
    except pa.ArrowException as error:
        raise DataError(
            f"{path} and {other_path} disagree about column {field.name!r}",
            facts=[f"{path.name}: {field.type}", f"{other_path.name}: {other.type}"],
            hint=f"leave {other_path.name} out, or write the column with one type",
        ) from error


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _other_columns(path: Path, schema: pa.Schema, other_path: Path, other: pa.Schema) -> DataError:
    facts = []
    for lacking, has in (
        (other_path, set(schema.names) - set(other.names)),
        (path, set(other.names) - set(schema.names)),
    ):
        if has:
            facts.append(f"{lacking.name} lacks {', '.join(sorted(has)[:8])}")
    return DataError(
        f"{path} and {other_path} have different columns",
        facts=facts or ["one has a column twice"],
        hint=f"leave {other_path.name} out, or read the files one by one",
    )
