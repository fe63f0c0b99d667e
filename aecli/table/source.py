"""Open a table wherever it is: files, folders, globs, standard input, memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from aecli.errors import DataError
from aecli.spec.options import ReadOptions
from aecli.table.binary import ArrowReader, ParquetReader
from aecli.table.delimited import CsvReader
from aecli.table.jsonl import JsonlReader
from aecli.table.located import StrPath, format_of, located
from aecli.table.reader import BATCH_ROWS, Reader, TableReader, Types

# Whatever has `__arrow_c_stream__` (pyarrow, pandas, polars, …) is a table in memory.
Data = StrPath | Sequence[StrPath] | Any


@dataclass(frozen=True)
class Source:
    """Hold an opened table, narrowed to selected columns; it can be read any number of times.

    `name` is what messages call it, `paths` are its files, `names` the selected columns.
    """

    name: str
    paths: tuple[Path, ...]
    format: str
    names: list[str]
    notes: list[str]
    _reader: Reader
    _types: Types = field(default_factory=dict)

    def select(
        self, names: Sequence[str], types: Mapping[str, pa.DataType] | None = None
    ) -> Source:
        """Return the same table with these columns only, some of them read as dictated types.

        Raises:
            DataError: there is no such column.
        """
        missing = [name for name in names if name not in set(self.names)]
        if missing:
            raise DataError(f"{self.name} has no column {missing[0]!r}")
        known = {name: kind for name, kind in self._types.items() if name in set(names)}
        return replace(self, names=list(names), _types=known | dict(types or {}))

    @property
    def schema(self) -> pa.Schema:
        """Return the columns' types; a text format finds them in a pass over all rows, once."""
        return self._reader.schema(self.names, self._types)

    @property
    def n_rows(self) -> int | None:
        """Return the number of rows where it is known without a pass."""
        return self._reader.n_rows()

    def memory_bytes(self) -> int | None:
        """Return about how much memory the whole table takes as Arrow."""
        return self._reader.memory_bytes()

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield batches of at most `rows` rows, always in the same order, in constant memory.

        Raises:
            DataError: the table is damaged, or a cell does not fit its dictated type.
        """
        return self._reader.batches(self.names, self._types, rows)

    def in_memory(self) -> Source:
        """Return the same rows held as one Arrow table, so that later passes need not parse."""
        schema = self.schema
        table = pa.Table.from_batches(self.batches(), schema=schema)
        return replace(self, _reader=TableReader(table), _types={})


def open_source(data: Data, options: ReadOptions | None = None) -> Source:
    """Open a table: find its files and its format, and read its column names.

    Args:
        data: a file, a folder, a glob, `-` for standard input, several of these, or a table in memory.
        options: the format, the encoding and the delimiter, where they are not to be found out.

    Raises:
        DataError: nothing is there, it is empty, or it is of no known format.
    """
    chosen = options or ReadOptions()
    if hasattr(data, "__arrow_c_stream__"):
        reader = TableReader(pa.table(data))
        return Source("the table", (), "memory", reader.names, reader.notes, reader)
    paths = located(data)
    formats = {
        path: format_of(path) if chosen.format == "auto" else chosen.format for path in paths
    }
    if len(set(formats.values())) > 1:
        other = next(path for path in paths if formats[path] != formats[paths[0]])
        raise DataError(
            "the files are of several formats",
            facts=[f"{path}: {formats[path]}" for path in (paths[0], other)],
            hint="name files of one format",
        )
    kind = formats[paths[0]]
    opened = READERS[kind](paths, chosen)
    return Source(_called(data, paths), tuple(paths), kind, opened.names, opened.notes, opened)


READERS: dict[str, Callable[[Sequence[Path], ReadOptions], Reader]] = {
    "parquet": lambda paths, _: ParquetReader(paths),
    "arrow": lambda paths, _: ArrowReader(paths),
    "csv": lambda paths, options: CsvReader(paths, options.encoding, options.delimiter),
    "jsonl": lambda paths, _: JsonlReader(paths),
}


def _called(data: Data, paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return paths[0].name
    named = os.fspath(data) if isinstance(data, (str, os.PathLike)) else f"{len(paths):,} files"
    return str(named)
