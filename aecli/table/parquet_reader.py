"""Open Parquet files, and read them in constant memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from aecli.errors import DataError
from aecli.formatting import check_file_command
from aecli.remote_files.path import RemotePath
from aecli.table.arrow_reader import (
    BinaryFile,
    column_name_error,
    plausible_count,
    several_files_error,
)
from aecli.table.formats import PARQUET_MAGIC, open_file, reading
from aecli.table.parquet_pages import (
    ColumnChunk,
    column_chunks,
    footer_limits,
    page_memory,
    read_footer_bytes,
)
from aecli.table.row_filter import RowCondition
from aecli.table.row_groups import Conditions, FileRowGroups

_INT96_UNIT = "us"  # nanoseconds end in 2262
_BUFFER_BYTES, _SMALL_GROUP_BYTES = 1 << 16, 16 << 20
_MAX_REMOTE_BYTES = 64 << 20


class ParquetFooter(NamedTuple):
    """Footer of a Parquet file: schema, row groups and limits, and the size of the file in bytes.

    `chunks` are the pages of each leaf column, by row group.
    """

    metadata: pq.FileMetaData
    schema: pa.Schema
    chunks: list[list[ColumnChunk]]
    limits: dict[str, Any]
    size: int


class ParquetColumns:
    """Columns of a Parquet file, read in constant memory, and the memory that this takes."""

    def __init__(self, path: Path, footer: ParquetFooter) -> None:
        self._path = path
        self._footer = footer
        self._page_bytes: dict[ColumnChunk, int] = {}

    def read(
        self, indices: Sequence[int], rows: int, groups: Sequence[int]
    ) -> Iterator[list[pa.Array]]:
        """Yield the columns at some positions in some row groups, about `rows` rows at a time."""
        metadata = self._footer.metadata
        leaves = self.leaves(indices)
        chunks = [[self._footer.chunks[group][leaf] for leaf in leaves] for group in groups]
        with (
            open_file(self._path) as opened,
            pq.ParquetFile(
                opened,
                page_checksum_verification=True,
                coerce_int96_timestamp_unit=_INT96_UNIT,
                # Another request for the footer of a remote file would be slow.
                metadata=metadata if isinstance(self._path, RemotePath) else None,
                **self._buffering(opened, chunks),
                **self._footer.limits,
            ) as file,
        ):
            names = file.schema_arrow.names
            # A name is also a prefix of nested names: `a` would select `a.b` too.
            unique = len(set(names)) == len(names) and not any("." in name for name in names)
            selected = [names[index] for index in indices] if unique else None
            for batch in _batches(file, rows, groups, selected):
                if selected is None:
                    yield [batch.column(index) for index in indices]
                else:
                    yield [batch.column(name) for name in selected]
        if isinstance(self._path, RemotePath):
            self._path.require_unchanged()

    def memory(self, groups: Sequence[int], indices: Sequence[int], limit: int) -> list[int]:
        """Return the bytes that Arrow holds of each column in the row group with most of them.

        These are complete columns of a row group, as transferred from remote files; of local files
        they are pages, whose headers are read only if complete columns exceed the limit.
        """
        leaves = self.leaves(indices)
        chunks = [self._footer.chunks[group] for group in groups]

        def of_columns(bytes_of: Callable[[ColumnChunk], int]) -> list[int]:
            columns = [0] * len(indices)
            for leaf, column in leaves.items():
                columns[column] += max((bytes_of(group[leaf]) for group in chunks), default=0)
            return columns

        complete = of_columns(lambda chunk: chunk.uncompressed + max(0, chunk.end - chunk.start))
        if isinstance(self._path, RemotePath) or sum(complete) <= limit:
            return complete
        with open_file(self._path) as file:
            return of_columns(lambda chunk: self._pages(file, chunk) + _BUFFER_BYTES)

    def leaves(self, indices: Sequence[int]) -> dict[int, int]:
        """Return the leaf columns of some columns, each with the position of its column."""
        names = self._footer.schema.names
        chosen = {names[index]: position for position, index in enumerate(indices)}
        return {
            leaf: next(chosen[name] for name in path if name in chosen)
            for leaf, path in enumerate(self._leaf_paths)
            if not chosen.keys().isdisjoint(path)
        }

    @cached_property
    def _leaf_paths(self) -> list[list[str]]:
        """Return the columns that each leaf column may be of: its name, or the start of its path.

        Names may contain points themselves.
        """
        schema = self._footer.metadata.schema
        paths = (str(schema.column(leaf).path) for leaf in range(len(schema)))
        return [list(accumulate(path.split("."), "{}.{}".format)) for path in paths]

    def _buffering(self, file: Any, chunks: Sequence[Sequence[ColumnChunk]]) -> dict[str, Any]:
        """Return how the columns of all row groups are read from a file.

        Small row groups on disk are read at once, large ones through a buffer for each column.
        Buffered columns allocate the page sizes in their headers, so these are checked first. From
        a remote file, whose requests are slow, a small selection is read in few requests, and a
        large one in one request for each column and row group.

        Raises:
            ArrowInvalid: a page or a column is larger than the file allows.
        """
        sizes = [sum(chunk.end - chunk.start for chunk in group) for group in chunks]
        if isinstance(self._path, RemotePath):
            return {"pre_buffer": sum(sizes) <= _MAX_REMOTE_BYTES, "buffer_size": 0}
        if max(sizes, default=0) <= _SMALL_GROUP_BYTES:
            return {"pre_buffer": False, "buffer_size": 0}
        for group in chunks:
            for chunk in group:
                self._pages(file, chunk)
        return {"pre_buffer": False, "buffer_size": _BUFFER_BYTES}

    def _pages(self, file: Any, chunk: ColumnChunk) -> int:
        """Return the bytes of the pages that Arrow holds at once; their headers are read once."""
        if chunk not in self._page_bytes:
            self._page_bytes[chunk] = page_memory(file, chunk)
        return self._page_bytes[chunk]


def open_parquet(path: Path, name: str, notes: list[str]) -> BinaryFile:
    """Open a Parquet file, and read it in constant memory.

    Raises:
        DataError: it is damaged, or not a Parquet file.
    """
    footer = _read_footer(path, name)
    metadata, schema = footer.metadata, footer.schema
    columns = ParquetColumns(path, footer)
    n_rows = plausible_count(metadata.num_rows, footer.size)
    sizes = tuple(metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
    row_groups = FileRowGroups(
        sizes,
        tuple(range(len(sizes))),
        fulfilling=partial(_chosen_groups, metadata, schema, columns),
        reader=lambda numbers: partial(columns.read, groups=list(numbers)),
        memory=columns.memory,
    )
    read = row_groups.read()
    return BinaryFile(name, "parquet", schema, n_rows, read, notes, row_groups=row_groups)


def _batches(
    file: pq.ParquetFile, rows: int, groups: Sequence[int] | None, names: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    # On one processor, one thread would wait for another for each column.
    use_threads = pa.cpu_count() > 1
    yield from file.iter_batches(rows, row_groups=groups, columns=names, use_threads=use_threads)


def _read_footer(path: Path, name: str) -> ParquetFooter:
    with reading(name):
        try:
            with open_file(path) as opened:
                footer, unit = read_footer_bytes(opened), _INT96_UNIT
                limits = footer_limits(footer)
                with pq.ParquetFile(opened, coerce_int96_timestamp_unit=unit, **limits) as file:
                    metadata, schema = file.metadata, file.schema_arrow
                chunks = column_chunks(footer, metadata.num_columns)
                _require_one_parquet(opened, name, metadata, chunks)
                return ParquetFooter(metadata, schema, chunks, limits, opened.size())
        except pa.ArrowInvalid as error:
            raise _damaged_parquet_error(path, name) from error
        except UnicodeDecodeError as error:
            raise column_name_error(name, "a column", error) from error


def _chosen_groups(
    metadata: pq.FileMetaData, schema: pa.Schema, columns: ParquetColumns, conditions: Conditions
) -> list[int]:
    """Return the row groups whose statistics leave open that rows fulfil all conditions."""
    leaves = {index: list(columns.leaves([index])) for index, _ in conditions}

    def may_hold(group: int, index: int, condition: RowCondition) -> bool:
        if len(leaves[index]) != 1:
            return True
        statistics = metadata.row_group(group).column(leaves[index][0]).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        try:
            bounds = pa.array([statistics.min, statistics.max], schema.field(index).type)
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            return True  # a type whose statistics Arrow does not convert, such as nanoseconds
        return condition.may_hold(bounds)

    groups = range(metadata.num_row_groups)
    return [group for group in groups if all(may_hold(group, *pair) for pair in conditions)]


def _require_one_parquet(
    file: Any, name: str, metadata: pq.FileMetaData, chunks: Sequence[Sequence[ColumnChunk]]
) -> None:
    """Check that the file is not several concatenated files.

    The offsets in a footer start at its own file: bytes that they do not cover are an index, or
    another file.
    """
    end = max((chunk.end for group in chunks for chunk in group), default=len(PARQUET_MAGIC))
    footer = file.size() - metadata.serialized_size - 2 * len(PARQUET_MAGIC)
    if footer <= end:
        return
    file.seek(0)
    head = file.read(footer - end + len(PARQUET_MAGIC))
    count, start = 1, 0
    for border in re.finditer(PARQUET_MAGIC + PARQUET_MAGIC, head):
        next_start = border.start() + len(PARQUET_MAGIC)
        if _is_parquet(head[start:next_start]):
            count, start = count + 1, next_start
    if count > 1:
        raise several_files_error(name, f"{count:,} Parquet files")


def _is_parquet(content: bytes) -> bool:
    try:
        pq.read_metadata(pa.BufferReader(content))
    except (pa.ArrowException, OSError):
        return False
    return True


def _damaged_parquet_error(path: Path, name: str) -> DataError:
    with open_file(path) as file:
        head = file.read(4)
    if head == PARQUET_MAGIC:
        reason, fact = "is incomplete or damaged: its footer cannot be read", "copy it again"
    else:
        reason, fact = "is not a Parquet file", f"it begins with {head!r}, not b'PAR1'"
    hint = check_file_command(name) if head == PARQUET_MAGIC else "--format csv, if it is text"
    return DataError(f"{name} {reason}", facts=[fact], hint=hint)
