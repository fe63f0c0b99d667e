"""Open a table, of one or several files or in memory, and read its rows as Arrow batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from aecli.errors import DataError, UsageError
from aecli.formatting import STANDARD_INPUT, shell_name
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_types import type_name, type_noun
from aecli.table.csv_reader import CsvFile, lacks_headers
from aecli.table.format_options import require_fitting_options
from aecli.table.formats import detect_format
from aecli.table.jsonl_reader import JsonlFile
from aecli.table.parquet_arrow import (
    BinaryFile,
    is_arrow_table,
    memory_reader,
    open_arrow,
    open_memory_table,
    open_parquet,
)
from aecli.table.paths import NULL_PARTITION, STDIN, FoundFile, Spool, find_files
from aecli.table.type_inference import convert, first_misfit, infer_text, join_types

TableReader: TypeAlias = BinaryFile | CsvFile | JsonlFile
"""Reader of a file, or of a table in memory; its batches may have other types than asked for."""

Data: TypeAlias = Any
"""A path, glob, folder or `-`; a sequence of these; or a table with `__arrow_c_stream__`."""

BATCH_ROWS = 65_536
_BATCH_CELLS = 1 << 24


@dataclass(frozen=True)
class Partition:
    """Reader of some rows of a table, and the cells that its folders' names give all of them.

    `constant_types` are the types that the names of all folders of the table agree on.
    """

    reader: TableReader
    constants: dict[str, str | None] = field(default_factory=dict)
    constant_types: dict[str, pa.DataType] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Table whose rows can be read repeatedly as Arrow batches, in the same order each time.

    `names` are the selected columns; cells are converted to `cast_types`.
    """

    name: str
    format: str
    paths: tuple[Path, ...]
    names: list[str]
    notes: list[str]
    partitions: tuple[Partition, ...]
    cast_types: dict[str, pa.DataType] = field(default_factory=dict)
    # The copy of standard input lives as long as any source that reads it.
    spool: Spool | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """Return the columns with their types; text formats are read in full to infer them.

        Raises:
            DataError: the files do not agree on a column's type.
        """
        inferred = [name for name in self.names if name not in self.cast_types]
        types = {**self.cast_types, **_common_types(self.partitions, inferred)}
        return pa.schema([(name, types[name]) for name in self.names])

    @property
    def n_rows(self) -> int | None:
        """Return the number of rows where it is known without reading them."""
        counts = [partition.reader.n_rows for partition in self.partitions]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def partition_columns(self) -> set[str]:
        """Return the columns whose cells stand in the names of folders, in none of the files."""
        return set.intersection(*(set(partition.constants) for partition in self.partitions))

    def select(
        self, names: Sequence[str], types: Mapping[str, pa.DataType] | None = None
    ) -> Source:
        """Return the same rows with these columns only, in this order.

        Args:
            names: columns of this source.
            types: types that cells are converted to; for the others, what this source has.
        """
        known = {**self.cast_types, **(types or {})}
        cast_types = {name: known[name] for name in names if name in known}
        return replace(self, names=list(names), cast_types=cast_types)

    def memory_bytes(self) -> int | None:
        """Return the approximate bytes that the columns take in memory; None where unknown."""
        sizes = [
            partition.reader.memory_bytes(dict.fromkeys(self._columns_in(partition), pa.null()))
            for partition in self.partitions
        ]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield at most `rows` rows at a time, fewer where there are many columns.

        Raises:
            DataError: a file is damaged, or a cell does not fit its column's type.
        """
        if not self.names:
            # Batches without columns still have rows.
            for batch in self.select(self.partitions[0].reader.names[:1]).batches(rows):
                yield batch.select([])
            return
        schema = self.schema
        cells = sum(getattr(kind, "list_size", 1) for kind in schema.types)
        rows = max(1, min(rows, _BATCH_CELLS // cells))
        for partition in self.partitions:
            yield from self._converted(partition, schema, rows)

    def in_memory(self) -> Source:
        """Return the same rows as one Arrow table in memory, so that later passes do not parse."""
        table = pa.Table.from_batches(self.batches(), self.schema)
        reader = memory_reader(table, self.name, [])
        return replace(
            self, format=reader.format, partitions=(Partition(reader),), cast_types={}, spool=None
        )

    def _columns_in(self, partition: Partition) -> list[str]:
        return [name for name in self.names if name not in partition.constants]

    def _converted(
        self, partition: Partition, schema: pa.Schema, rows: int
    ) -> Iterator[pa.RecordBatch]:
        names = self._columns_in(partition) or partition.reader.names[:1]
        known = dict(zip(schema.names, schema.types, strict=True))
        types = {name: known[name] for name in names if name in known}
        types = types or partition.reader.types(names)
        position = {name: index for index, name in enumerate(types)}
        constants = {
            column.name: _constant_cell(partition, column)
            for column in schema
            if column.name in partition.constants
        }
        start = 0
        for batch in partition.reader.batches(types, rows):
            arrays = []
            for column in schema:
                if column.name in constants:
                    arrays.append(pa.repeat(constants[column.name], batch.num_rows))
                else:
                    array = batch.column(position[column.name])
                    arrays.append(_cast_column(array, column, partition.reader, start))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            start += batch.num_rows


def open_source(data: Data, options: ReadOptions | None = None) -> Source:
    """Open a table: detect its format and read its columns' names.

    Args:
        data: paths, globs, folders or `-`, one or several; or a table in memory.
        options: how files are read.

    Raises:
        DataError: a file does not exist, is empty or damaged, or several do not agree.
        UsageError: `data` is not a table, or an option is invalid.
    """
    notes: list[str] = []
    if not isinstance(data, (str, os.PathLike)) and is_arrow_table(data):
        table = open_memory_table(data, notes)
        return Source(table.name, table.format, (), table.names, notes, (Partition(table),))
    arguments = _path_arguments(data)
    spool = Spool() if STDIN in arguments else None
    if spool is not None and len(arguments) > 1:
        raise UsageError("- cannot be combined with other files", hint="cat the files into -")
    files = [(spool.path, {})] if spool else find_files(arguments, notes)
    names = [STANDARD_INPUT] if spool else [str(path) for path, _ in files]
    options = options or ReadOptions()
    readers = _readers([path for path, _ in files], names, options, notes)
    partitions = _partitions(readers, files)
    _require_same_columns(partitions)
    columns = list(dict.fromkeys([*readers[0].names, *partitions[0].constants]))
    source = Source(
        name=names[0] if len(names) == 1 else f"{arguments[0]} ({len(names):,} files)",
        format=readers[0].format,
        paths=() if spool else tuple(path for path, _ in files),
        names=columns,
        notes=notes,
        partitions=partitions,
        spool=spool,
    )
    if not readers[0].text and len(partitions) > 1:
        _ = source.schema  # raises at once where the files have different types
    return source


def _path_arguments(data: Any) -> list[str]:
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


def _readers(
    paths: Sequence[Path], names: Sequence[str], options: ReadOptions, notes: list[str]
) -> list[TableReader]:
    found: list[str] = []
    readers = [_reader(p, n, options, found) for p, n in zip(paths, names, strict=True)]
    if lacks_headers(readers):
        options, found = options.model_copy(update={"header": "none"}), []
        readers = [_reader(p, n, options, found) for p, n in zip(paths, names, strict=True)]
        found.append("first lines hold data and no names: columns are called column_1 and so on")
    notes.extend(found)
    return readers


def _reader(path: Path, name: str, options: ReadOptions, notes: list[str]) -> TableReader:
    format = detect_format(path, name, options.format)
    require_fitting_options(format, name, options)
    match format:
        case "parquet":
            return open_parquet(path, name, notes)
        case "arrow":
            return open_arrow(path, name, notes)
        case "jsonl":
            return JsonlFile(path, name, options)
        case "csv":
            return CsvFile(path, name, options, notes)


def _partitions(
    readers: Sequence[TableReader], files: Sequence[FoundFile]
) -> tuple[Partition, ...]:
    types: dict[str, pa.DataType] = {}
    for key in dict.fromkeys(key for _, values in files for key in values):
        texts = pa.array([values.get(key) for _, values in files], pa.string())
        types[key] = infer_text(texts, pa.null())
    partitions = []
    for reader, (_, values) in zip(readers, files, strict=True):
        constants = {key: values.get(key) for key in types if key not in reader.names}
        partitions.append(Partition(reader, constants, {key: types[key] for key in constants}))
    return tuple(partitions)


def _require_same_columns(partitions: Sequence[Partition]) -> None:
    first = partitions[0]
    columns = {*first.reader.names, *first.constants}
    for partition in partitions[1:]:
        others = {*partition.reader.names, *partition.constants}
        if partition.reader.format != first.reader.format:
            raise DataError(
                f"{partition.reader.name} is {partition.reader.format}, {first.reader.name} is "
                f"{first.reader.format}; one table is of one format",
                hint="convert them to one format",
            )
        if others != columns:
            lacks, has = sorted(columns - others), sorted(others - columns)
            facts = [f"it lacks: {', '.join(lacks[:8])}"] if lacks else []
            facts += [f"it alone has: {', '.join(has[:8])}"] if has else []
            raise DataError(
                f"{partition.reader.name} has other columns than {first.reader.name}",
                facts=facts,
                hint=f"aecli inspect {shell_name(partition.reader.name)}",
            )


def _common_types(partitions: Sequence[Partition], names: Sequence[str]) -> dict[str, pa.DataType]:
    """Return the type of each column that holds its values in all files."""
    common: dict[str, pa.DataType] = {}
    first_file: dict[str, str] = {}
    for partition in partitions:
        reader = partition.reader
        types = reader.types([name for name in names if name not in partition.constants])
        path_types = partition.constant_types
        types |= {name: kind for name, kind in path_types.items() if name in names}
        for name, kind in types.items():
            joined = join_types(common.get(name, pa.null()), kind)
            if joined is None and reader.text:
                joined = pa.string()
            if joined is None:
                raise DataError(
                    f"the files do not agree on column {name!r}: {type_name(kind)} in "
                    f"{reader.name}, {type_name(common[name])} in {first_file[name]}",
                    hint=f"convert {name!r} to one type",
                )
            common[name] = joined
            first_file.setdefault(name, reader.name)
    return common


def _constant_cell(partition: Partition, column: pa.Field) -> pa.Scalar:
    """Return the cell that a folder's name gives all rows of a file, as the column's type."""
    text = partition.constants[column.name]
    try:
        return convert(pa.array([text], pa.string()), column.type)[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise DataError(
            f"{partition.reader.name}: its folder {column.name}={text} gives no "
            f"{type_noun(column.type)}",
            facts=[f"column {column.name!r} is {type_name(column.type)}"],
            hint=f"rename the folder, or {column.name}={NULL_PARTITION} for a missing value",
        ) from error


def _cast_column(array: pa.Array, column: pa.Field, reader: TableReader, before: int) -> pa.Array:
    """Return a batch's column as its type; `before` rows of the file came earlier."""
    try:
        return convert(array, column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        at = first_misfit(array, column.type)
        value = str(array[at].as_py())
        shown = repr(value if len(value) <= 40 else value[:40] + "…")
        raise DataError(
            f"{reader.name}, {reader.row_location(before + at)}, column {column.name!r}: "
            f"{shown} is no {type_noun(column.type)}",
            facts=[f"the column is {type_name(column.type)}"],
            hint="correct the cell, or empty it: empty cells are missing",
        ) from error
