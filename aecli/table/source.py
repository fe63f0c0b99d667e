"""Say what the reader of every format offers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from aecli.errors import DataError, UsageError
from aecli.schema.options import ReadOptions
from aecli.table.arrow_types import is_plain_number, is_text, type_name
from aecli.table.csv_reader import CsvFile
from aecli.table.formats import detect_format
from aecli.table.jsonl_reader import JsonlFile
from aecli.table.parquet_arrow import ArrowFile, MemoryTable, ParquetFile
from aecli.table.paths import STDIN, FoundFile, Spool, find_files
from aecli.table.read_errors import STANDARD_INPUT, TABLE_IN_MEMORY, shell_name, unreadable
from aecli.table.type_inference import convert, first_misfit, infer_text, join_types


class TableReader(Protocol):
    """Read one file, or one table in memory."""

    name: str
    format: str
    text: bool
    names: list[str]
    n_rows: int | None

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of columns."""

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, not always of these types."""

    def size(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the bytes that columns take in memory, roughly."""

    def place(self, row: int) -> str:
        """Say where a row, counted from 0, is."""


Data: TypeAlias = Any
"""A path, glob, folder or `-`; a sequence of these; or a table with `__arrow_c_stream__`."""

BATCH_ROWS = 65_536
_BATCH_CELLS = 1 << 24


@dataclass(frozen=True)
class Partition:
    """Hold a part, and the cells that its folders' names give all of its rows."""

    part: TableReader
    constants: dict[str, pa.Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Yield a table's rows as Arrow batches, as often as wanted, in the same order each time.

    `names` are the chosen columns; `dictated` types are what cells are converted to.
    """

    name: str
    format: str
    paths: tuple[Path, ...]
    names: list[str]
    notes: list[str]
    pieces: tuple[Partition, ...]
    dictated: dict[str, pa.DataType] = field(default_factory=dict)
    # What standard input was spooled into lives as long as any source that reads it.
    spool: Spool | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """Return the chosen columns with their types; text formats are read through for them.

        Raises:
            DataError: the files do not agree on a column's type.
        """
        open_names = [name for name in self.names if name not in self.dictated]
        types = {**self.dictated, **_agreed(self.pieces, open_names)}
        return pa.schema([(name, types[name]) for name in self.names])

    @property
    def n_rows(self) -> int | None:
        """Return the number of rows where it is known without a pass over them."""
        counts = [piece.part.n_rows for piece in self.pieces]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def select(
        self, names: Sequence[str], types: Mapping[str, pa.DataType] | None = None
    ) -> Source:
        """Return the same rows with these columns only, in this order.

        Args:
            names: columns of this source.
            types: types that cells are converted to; for the others, what this source has.
        """
        dictated = {**self.dictated, **(types or {})}
        chosen = {name: dictated[name] for name in names if name in dictated}
        return replace(self, names=list(names), dictated=chosen)

    def memory_bytes(self) -> int | None:
        """Return the bytes that the chosen columns take in memory, roughly; None if unknown."""
        sizes = [
            piece.part.size(dict.fromkeys(self._own(piece), pa.null())) for piece in self.pieces
        ]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield at most `rows` rows at a time, fewer where there are many columns.

        Raises:
            DataError: a file is damaged, or a cell does not fit its column's type.
        """
        if not self.names:
            # Batches without columns, which still have rows.
            for batch in self.select(self.pieces[0].part.names[:1]).batches(rows):
                yield batch.select([])
            return
        schema = self.schema
        cells = sum(getattr(kind, "list_size", 1) for kind in schema.types)
        rows = max(1, min(rows, _BATCH_CELLS // cells))
        for piece in self.pieces:
            yield from self._converted(piece, schema, rows)

    def in_memory(self) -> Source:
        """Return the same rows held as one Arrow table, so that later passes do not parse."""
        table = pa.Table.from_batches(self.batches(), self.schema)
        part = MemoryTable(table, self.name, [])
        return replace(self, format=part.format, pieces=(Partition(part),), dictated={}, spool=None)

    def _own(self, piece: Partition) -> list[str]:
        return [name for name in self.names if name not in piece.constants]

    def _converted(
        self, piece: Partition, schema: pa.Schema, rows: int
    ) -> Iterator[pa.RecordBatch]:
        own = self._own(piece) or piece.part.names[:1]
        known = dict(zip(schema.names, schema.types, strict=True))
        types = {name: known[name] for name in own if name in known}
        types = types or piece.part.types(own)
        places = {name: place for place, name in enumerate(types)}
        start = 0
        for batch in piece.part.batches(types, rows):
            arrays = []
            for column in schema:
                if column.name in piece.constants:
                    cell = piece.constants[column.name].cast(column.type)
                    arrays.append(pa.repeat(cell, batch.num_rows))
                else:
                    array = batch.column(places[column.name])
                    arrays.append(_fitted(array, column, piece.part, start))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            start += batch.num_rows


def open_source(data: Data, options: ReadOptions | None = None) -> Source:
    """Open a table: look at what it is and read its columns' names.

    Args:
        data: paths, globs, folders or `-`, one or several; or a table in memory.
        options: how files are read.

    Raises:
        DataError: a file does not exist, is empty or damaged, or several do not agree.
        UsageError: `data` is no table, or an option makes no sense.
    """
    notes: list[str] = []
    if not isinstance(data, (str, os.PathLike)) and _holds_arrow(data):
        return _from_memory(data, notes)
    given = _given(data)
    spool = Spool() if STDIN in given else None
    if spool is not None and len(given) > 1:
        raise UsageError("- cannot be combined with other files", hint="cat the files into -")
    found = [FoundFile(spool.path)] if spool else find_files(given, notes)
    names = [STANDARD_INPUT] if spool else [str(item.path) for item in found]
    opened = options or ReadOptions()
    parts = [_part(f.path, n, opened, notes) for f, n in zip(found, names, strict=True)]
    pieces = _with_partitions(parts, found)
    _require_same_columns(pieces)
    columns = list(dict.fromkeys([*parts[0].names, *pieces[0].constants]))
    source = Source(
        name=names[0] if len(names) == 1 else f"{given[0]} ({len(names):,} files)",
        format=parts[0].format,
        paths=() if spool else tuple(item.path for item in found),
        names=columns,
        notes=notes,
        pieces=pieces,
        spool=spool,
    )
    if not parts[0].text and len(pieces) > 1:
        _ = source.schema  # the files say at once whether they agree
    return source


def _holds_arrow(data: Any) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _from_memory(data: Any, notes: list[str]) -> Source:
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
    part = MemoryTable(table, TABLE_IN_MEMORY, notes)
    return Source(part.name, part.format, (), part.names, notes, (Partition(part),))


def _given(data: Any) -> list[str]:
    items = [data] if isinstance(data, (str, os.PathLike)) else data
    listed = isinstance(items, Sequence) and not isinstance(items, (bytes, bytearray))
    if not listed or not all(isinstance(item, (str, os.PathLike)) for item in items):
        raise UsageError(
            f"a {type(data).__module__}.{type(data).__qualname__} is no table",
            facts=["tables are paths, globs, folders, -, or Arrow, pandas and polars tables"],
            hint="'data.parquet', or an Arrow table",
        )
    if not items:
        raise UsageError("no table is named", hint="aecli … data.csv")
    return [os.fspath(item) for item in items]


def _part(path: Path, name: str, options: ReadOptions, notes: list[str]) -> TableReader:
    match detect_format(path, name, options.format):
        case "parquet":
            return ParquetFile(path, name, "parquet", notes)
        case "arrow":
            return ArrowFile(path, name, "arrow", notes)
        case "jsonl":
            return JsonlFile(path, name, options, notes)
        case "csv":
            return CsvFile(path, name, options, notes)


def _with_partitions(
    parts: Sequence[TableReader], found: Sequence[FoundFile]
) -> tuple[Partition, ...]:
    keys = dict.fromkeys(key for item in found for key in item.partition)
    constants: list[dict[str, pa.Scalar]] = [{} for _ in parts]
    for key in keys:
        texts = pa.array([item.partition.get(key) for item in found], pa.string())
        cells = convert(texts, infer_text(texts, pa.null()))
        for part, own, cell in zip(parts, constants, cells, strict=True):
            if key not in part.names:
                own[key] = cell
    return tuple(Partition(part, own) for part, own in zip(parts, constants, strict=True))


def _require_same_columns(pieces: Sequence[Partition]) -> None:
    first = pieces[0]
    columns = {*first.part.names, *first.constants}
    for piece in pieces[1:]:
        others = {*piece.part.names, *piece.constants}
        if piece.part.format != first.part.format:
            raise DataError(
                f"{piece.part.name} is {piece.part.format}, {first.part.name} is "
                f"{first.part.format}; one table is of one format",
                hint="convert them to one format",
            )
        if others != columns:
            lacks, has = sorted(columns - others), sorted(others - columns)
            facts = [f"it lacks: {', '.join(lacks[:8])}"] if lacks else []
            facts += [f"it alone has: {', '.join(has[:8])}"] if has else []
            raise DataError(
                f"{piece.part.name} has other columns than {first.part.name}",
                facts=facts,
                hint=f"aecli inspect {shell_name(piece.part.name)}",
            )


def _agreed(pieces: Sequence[Partition], names: Sequence[str]) -> dict[str, pa.DataType]:
    """Return the type of each column that holds its values in all files."""
    agreed: dict[str, pa.DataType] = {}
    where: dict[str, str] = {}
    for piece in pieces:
        part = piece.part
        own = part.types([name for name in names if name not in piece.constants])
        own |= {name: cell.type for name, cell in piece.constants.items() if name in names}
        for name, kind in own.items():
            joined = join_types(agreed.get(name, pa.null()), kind)
            if joined is None and part.text:
                joined = pa.string()
            if joined is None:
                raise DataError(
                    f"the files do not agree on column {name!r}: {type_name(kind)} in "
                    f"{part.name}, {type_name(agreed[name])} in {where[name]}",
                    hint=f"convert {name!r} to one type",
                )
            agreed[name] = joined
            where.setdefault(name, part.name)
    return agreed


def _fitted(array: pa.Array, column: pa.Field, part: TableReader, before: int) -> pa.Array:
    """Return a batch's column as its type; `before` rows of the part came earlier."""
    try:
        return convert(array, column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        at = first_misfit(array, column.type)
        value = str(array[at].as_py())
        shown = repr(value if len(value) <= 40 else value[:40] + "…")
        raise DataError(
            f"{part.name}, {part.place(before + at)}, column {column.name!r}: "
            f"{shown} is no {_described(column.type)}",
            facts=[f"the column is {type_name(column.type)}"],
            hint="correct the cell, or empty it: empty cells are missing",
        ) from error


def _described(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "whole number"
    if is_plain_number(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date or time"
    return "text" if is_text(kind) else type_name(kind)
