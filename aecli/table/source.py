"""Open a table, from files or in memory, and read its rows as Arrow batches."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from aecli.errors import UsageError
from aecli.formatting import STANDARD_INPUT
from aecli.remote_files.path import shown_address
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_reader import BinaryFile, is_arrow_table, open_memory_table
from aecli.table.arrow_types import decoded_type, is_text
from aecli.table.cells.reading import Reading, read_cells
from aecli.table.column_readings import ColumnReadings, holds_text
from aecli.table.converted_column import converted_column
from aecli.table.downloads import Downloads
from aecli.table.format_options import require_fitting_marks
from aecli.table.partition import (
    Partition,
    common_types,
    constant_cell,
    make_partitions,
    require_same_columns,
)
from aecli.table.paths import STDIN, Spool, find_files, path_arguments, spool_streams
from aecli.table.readers import TableReader, no_columns_error, open_readers
from aecli.table.row_filter import RowCondition, no_rows_error, parse_conditions
from aecli.table.row_range import RowRange

Data: TypeAlias = Any
"""Path, glob, folder or `-`; a sequence of these; or a table with `__arrow_c_stream__`."""

BATCH_ROWS = 65_536
_BATCH_CELLS = 1 << 24
_COPY = "\0copy"


@dataclass(frozen=True)
class Source:
    """Table whose rows can be read repeatedly as Arrow batches, always in the same order.

    `names` are the selected columns; `given` are the readings of some of them; the text of the
    columns in `as_written` is not converted. `copies` are unconverted second copies of columns, by
    their names here. `conditions` choose the rows, and `row_range` consecutive ones of these.
    """

    name: str
    format: str
    paths: tuple[Path, ...]
    names: list[str]
    notes: list[str]
    partitions: tuple[Partition, ...]
    columns: ColumnReadings
    given: dict[str, Reading] = field(default_factory=dict)
    as_written: frozenset[str] = frozenset()
    copies: dict[str, str] = field(default_factory=dict)
    conditions: tuple[RowCondition, ...] = ()
    row_range: RowRange | None = None
    # Copies of standard input, pipes and remote files exist as long as a source that reads them.
    spools: tuple[Spool | Downloads, ...] = ()

    @cached_property
    def readings(self) -> dict[str, Reading]:
        """Return how each column is read; text formats are read in full to determine it.

        Raises:
            DataError: the files do not agree on a column's type.
        """
        names = [name for name in self.names if name not in self.copies]
        readings = self.columns.find(names, self.given, self.as_written)
        copied = [self.copies[name] for name in self.names if name in self.copies]
        copied_readings = self.columns.find(copied, {}, frozenset(copied))
        copies = {
            name: copied_readings[column]
            for name, column in self.copies.items()
            if column in copied_readings
        }
        return readings | copies

    @property
    def schema(self) -> pa.Schema:
        """Return the columns with their types; raises the same errors as `readings`."""
        return pa.schema([(name, self.readings[name].type) for name in self.names])

    @property
    def options(self) -> ReadOptions:
        """Return the options used to open it."""
        return self.columns.options

    @property
    def n_rows(self) -> int | None:
        """Return the number of rows if it is known without reading them."""
        if self.row_range is not None:
            return self.row_range.rows
        if self.conditions:
            return None
        counts = [partition.reader.n_rows for partition in self.partitions]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def partition_columns(self) -> set[str]:
        """Return the columns whose values are only in the names of folders."""
        return set.intersection(*(set(partition.constants) for partition in self.partitions))

    def select(self, names: Sequence[str], readings: Mapping[str, Reading] | None = None) -> Source:
        """Return the same rows with these columns only, in this order.

        Args:
            names: columns of this source.
            readings: how columns are read; other columns keep their readings.
        """
        known = {**self.given, **(readings or {})}
        given = {name: known[name] for name in names if name in known}
        return replace(self, names=list(names), given=given)

    def with_index(self) -> Source:
        """Return the same rows with the unnamed columns of the pandas index."""
        stored = [
            partition.reader.stored_names
            if isinstance(partition.reader, BinaryFile)
            else partition.reader.names
            for partition in self.partitions
        ]
        shared = set(self.names).union(set.intersection(*map(set, stored)))
        names = dict.fromkeys([*(name for name in stored[0] if name in shared), *self.names])
        return replace(self, names=list(names))

    @property
    def pandas_metadata(self) -> bytes | None:
        """Return the pandas metadata on index and types, if all files have the same."""
        readers = [partition.reader for partition in self.partitions]
        metadata = {r.pandas_metadata if isinstance(r, BinaryFile) else None for r in readers}
        return metadata.pop() if len(metadata) == 1 else None

    def with_texts(self, names: Iterable[str]) -> Source:
        """Return the same rows, with the text of only these columns not converted."""
        return replace(self, as_written=frozenset(names))

    def with_copies(self, names: Sequence[str]) -> Source:
        """Return the same rows, with an unconverted second copy of these columns."""
        copies = {name + _COPY: name for name in names}
        return replace(self, names=[*self.names, *copies], copies={**self.copies, **copies})

    def memory_bytes(self) -> int | None:
        """Return the approximate size of the columns in memory, in bytes; None if it is unknown."""
        sizes = [
            partition.reader.memory_bytes(dict.fromkeys(self.columns_in(partition), pa.null()))
            for partition in self.partitions
        ]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return None
        part = self.row_range
        return sum(known) if part is None else sum(known) * part.rows // max(1, part.total)

    def batches(self, rows: int = BATCH_ROWS) -> Generator[pa.RecordBatch]:
        """Yield at most `rows` rows at a time, fewer if there are many columns.

        Raises:
            DataError: a file is damaged, or a cell does not fit its column's type.
        """
        if self.row_range is not None:
            batches = replace(self, row_range=None).batches(rows)
            yield from self.row_range.cut(batches, self.name)
            return
        if self.conditions:
            yield from self._chosen_rows(rows)
            return
        if not self.names:
            # Batches without columns still have rows.
            for batch in self.select(self.partitions[0].reader.names[:1]).batches(rows):
                yield batch.select([])
            return
        schema, rows = self.schema, self.batch_rows(rows)
        for partition in self.partitions:
            yield from self._converted(partition, schema, rows)

    def batch_rows(self, rows: int = BATCH_ROWS) -> int:
        """Return the number of rows of a batch, at most `rows`, fewer if there are many columns."""
        cells = sum(getattr(kind, "list_size", 1) for kind in self.schema.types)
        return max(1, min(rows, _BATCH_CELLS // max(1, cells)))

    def parts(self) -> Iterator[Source]:
        """Yield the rows of each file as a table of its own, with the types of the whole table."""
        for path, partition in zip(self.paths, self.partitions, strict=True):
            yield replace(self, name=partition.reader.name, paths=(path,), partitions=(partition,))

    def columns_in(self, partition: Partition) -> list[str]:
        """Return the columns of a file that are read, by their names there."""
        names = dict.fromkeys(self.copies.get(name, name) for name in self.names)
        return [name for name in names if name not in partition.constants]

    def _chosen_rows(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows that fulfil the conditions."""
        compared = list(dict.fromkeys(condition.column for condition in self.conditions))
        names = list(dict.fromkeys([*self.names, *compared]))
        readings = self.columns.find(compared, {}, ())
        for batch in replace(self.select(names), conditions=()).batches(rows):
            chosen = np.ones(batch.num_rows, dtype=np.bool_)
            for condition in self.conditions:
                cells = batch.column(condition.column)
                # A model, or a command that writes text as it is, reads a column differently.
                if is_text(decoded_type(cells.type)):
                    cells = read_cells(cells, readings[condition.column])
                chosen &= condition.mask(cells).to_numpy(zero_copy_only=False)
            if chosen.any():
                yield batch.filter(pa.array(chosen)).select(self.names)

    def _converted(
        self, partition: Partition, schema: pa.Schema, rows: int
    ) -> Iterator[pa.RecordBatch]:
        reader, constants = partition.reader, partition.constants
        names = self.columns_in(partition) or reader.names[:1]
        types = {name: self._type_to_read(name, reader) for name in names}
        position = {name: index for index, name in enumerate(types)}
        columns = [(column, self.copies.get(column.name, column.name)) for column in schema]
        cells, readings = {}, {}
        for column, name in columns:
            if name in constants:
                cells[column.name] = constant_cell(partition, name, column.type)
            else:
                readings[column.name] = self._reading(column.name, reader)
        start = 0
        for batch in reader.batches(types, rows):
            arrays = [
                pa.repeat(cells[column.name], batch.num_rows)
                if name in constants
                else converted_column(
                    batch.column(position[name]), column, readings[column.name], reader, start,
                    self.columns.ambiguity(name),
                )
                for column, name in columns
            ]  # fmt: skip
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            start += batch.num_rows

    def _type_to_read(self, name: str, reader: TableReader) -> pa.DataType:
        """Return the type to request for a file's cells; text if several readings need it."""
        reading = self.readings.get(name)
        if reading is None or name + _COPY in self.copies:
            return pa.string() if reader.format == "csv" else reader.types([name])[name]
        as_text = reading.format is not None or reading.misfit is not None
        return pa.string() if as_text and holds_text(reader, name) else reading.type

    def _reading(self, name: str, reader: TableReader) -> Reading:
        """Return how a file's column is read; in files that quote all cells, "" is missing too."""
        reading = self.readings[name]
        if reading.format is not None and not holds_text(reader, self.copies.get(name, name)):
            reading = replace(reading, format=None)
        if not reader.quotes_all:
            return reading
        return replace(reading, null_values=reading.null_values | {""})


def open_source(data: Data, options: ReadOptions | None = None) -> Source:
    """Open a table: detect its format and read its columns' names.

    Args:
        data: one or several paths, globs, folders or `-`; or a table in memory.
        options: how files are read.

    Raises:
        DataError: a file does not exist, is empty or damaged, or files do not match.
        UsageError: `data` is not a table, or an option is invalid.
    """
    notes: list[str] = []
    options = options or ReadOptions()
    require_fitting_marks(options)
    if not isinstance(data, (str, os.PathLike)) and is_arrow_table(data):
        table = open_memory_table(data, notes)
        if not table.names:
            raise no_columns_error(table.name)
        partitions: tuple[Partition, ...] = (Partition(table),)
        columns = ColumnReadings(partitions, options, notes)
        source = Source(table.name, table.format, (), table.names, notes, partitions, columns)
        return replace(source, conditions=parse_conditions(options.where, table.names))
    source = _open_files(path_arguments(data), options, notes)
    if not source.partitions[0].reader.text and len(source.partitions) > 1:
        common_types(source.partitions, source.names)  # raises if files have different types
    return _with_conditions(source, options.where)


def _with_conditions(source: Source, text: str | None) -> Source:
    """Return the rows that fulfil the conditions in a text, without files that have none of them.

    Raises:
        UsageError: the text is not a condition, or names a column that is not in the table.
        DataError: no file may have such rows.
    """
    conditions = parse_conditions(text, source.names)
    if text is None or not conditions:
        return source
    spooled = len(source.paths) != len(source.partitions)
    paths: Sequence[Path | None] = [None] * len(source.partitions) if spooled else source.paths
    pairs = zip(source.partitions, paths, strict=True)
    chosen = [(part.within(conditions), path) for part, path in pairs if part.may_have(conditions)]
    if not chosen:
        raise no_rows_error(text, source.name)
    partitions = tuple(partition for partition, _ in chosen)
    names = source.paths if spooled else tuple(path for _, path in chosen if path is not None)
    return replace(source, conditions=conditions, partitions=partitions, paths=names)


def _open_files(arguments: Sequence[str], options: ReadOptions, notes: list[str]) -> Source:
    if STDIN in arguments and len(arguments) > 1:
        raise UsageError("- cannot be combined with other files", hint="cat the files into -")
    found_files = [(Path(STDIN), {})] if STDIN in arguments else find_files(arguments, notes)
    names = [STANDARD_INPUT if STDIN in arguments else str(path) for path, _ in found_files]
    paths = [path for path, _ in found_files]
    spools = {Path(STDIN): Spool()} if STDIN in arguments else spool_streams(paths)
    downloads = Downloads(paths, options.format)
    local = {path: spool.path for path, spool in spools.items()} | downloads.local
    files = [(local.get(path, path), cells) for path, cells in found_files]
    readers = open_readers([path for path, _ in files], names, options, notes)
    partitions = make_partitions(readers, files)
    require_same_columns(partitions)
    several = f"{shown_address(arguments[0])} ({len(names):,} files)"
    return Source(
        name=several if len(names) > 1 else names[0],
        format=readers[0].format,
        paths=tuple(path for path in paths if path not in spools),
        names=list(dict.fromkeys([*readers[0].names, *partitions[0].constants])),
        notes=notes,
        partitions=partitions,
        columns=ColumnReadings(partitions, options, notes),
        spools=(*spools.values(), downloads),
    )
