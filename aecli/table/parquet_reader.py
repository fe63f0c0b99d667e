"""Open Parquet files, and read them in constant memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
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
    Span,
    column_spans,
    footer_limits,
    read_footer_bytes,
    require_pages_in_chunk,
)
from aecli.table.row_filter import RowCondition
from aecli.table.row_groups import Conditions, FileRowGroups

_INT96_UNIT = "us"  # nanoseconds end in 2262
_BUFFER_BYTES, _SMALL_GROUP_BYTES = 1 << 16, 16 << 20
_MAX_REMOTE_BYTES = 64 << 20


class ParquetFooter(NamedTuple):
    """Footer of a Parquet file: schema, row groups and limits, and the size of the file in bytes.

    `spans` are the byte ranges of the pages of each leaf column, by row group.
    """

    metadata: pq.FileMetaData
    schema: pa.Schema
    spans: list[list[Span]]
    limits: dict[str, Any]
    size: int


def open_parquet(path: Path, name: str, notes: list[str]) -> BinaryFile:
    """Open a Parquet file, and read it in constant memory.

    Raises:
        DataError: it is damaged, or not a Parquet file.
    """

    def read(
        indices: Sequence[int], rows: int, groups: Sequence[int] | None = None
    ) -> Iterator[list[pa.Array]]:
        leaves = _leaves(metadata, schema.names, indices)
        spans = footer.spans if groups is None else [footer.spans[group] for group in groups]
        chunks = [[group[leaf] for leaf in leaves] for group in spans]
        with (
            open_file(path) as opened,
            pq.ParquetFile(
                opened,
                page_checksum_verification=True,
                coerce_int96_timestamp_unit=_INT96_UNIT,
                # Another request for the footer of a remote file would be slow.
                metadata=metadata if isinstance(path, RemotePath) else None,
                **_buffering(path, opened, chunks),
                **footer.limits,
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
        if isinstance(path, RemotePath):
            path.require_unchanged()

    footer = _read_footer(path, name)
    metadata, schema = footer.metadata, footer.schema
    n_rows = plausible_count(metadata.num_rows, footer.size)
    sizes = tuple(metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
    row_groups = FileRowGroups(
        sizes,
        tuple(range(len(sizes))),
        fulfilling=partial(_chosen_groups, metadata, schema),
        reader=lambda numbers: partial(read, groups=list(numbers)),
    )
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
                spans = column_spans(footer, metadata.num_columns)
                _require_one_parquet(opened, name, metadata, spans)
                return ParquetFooter(metadata, schema, spans, limits, opened.size())
        except pa.ArrowInvalid as error:
            raise _damaged_parquet_error(path, name) from error
        except UnicodeDecodeError as error:
            raise column_name_error(name, "a column", error) from error


def _chosen_groups(
    metadata: pq.FileMetaData, schema: pa.Schema, conditions: Conditions
) -> list[int]:
    """Return the row groups whose statistics leave open that rows fulfil all conditions."""
    leaves = {index: _leaves(metadata, schema.names, [index]) for index, _ in conditions}

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


def _buffering(path: Path, file: Any, chunks: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """Return how the columns of all row groups are read from a file.

    Small row groups on disk are read at once, large ones through a buffer for each column. Buffered
    columns allocate the page sizes in their headers, so these are checked first. From a remote
    file, whose requests are slow, a small selection is read in few requests, and a large one in
    one request for each column and row group.

    Raises:
        ArrowInvalid: a page or a column is larger than the file allows.
    """
    sizes = [sum(end - start for start, end in group) for group in chunks]
    if isinstance(path, RemotePath):
        return {"pre_buffer": sum(sizes) <= _MAX_REMOTE_BYTES, "buffer_size": 0}
    if max(sizes, default=0) <= _SMALL_GROUP_BYTES:
        return {"pre_buffer": False, "buffer_size": 0}
    for start, end in (span for group in chunks for span in group):
        require_pages_in_chunk(file, start, end)
    return {"pre_buffer": False, "buffer_size": _BUFFER_BYTES}


def _leaves(metadata: pq.FileMetaData, names: Sequence[str], indices: Sequence[int]) -> list[int]:
    """Return the indices of the leaf columns that these columns consist of."""
    chosen = {names[index] for index in indices}
    return [
        number
        for number in range(metadata.num_columns)
        if not chosen.isdisjoint(accumulate(_parts(metadata, number), "{}.{}".format))
    ]


def _parts(metadata: pq.FileMetaData, leaf: int) -> list[str]:
    """Return the parts of a leaf column's path; names may contain points themselves."""
    return str(metadata.schema.column(leaf).path).split(".")


def _require_one_parquet(
    file: Any, name: str, metadata: pq.FileMetaData, spans: Sequence[Sequence[Span]]
) -> None:
    """Check that the file is not several concatenated files.

    The offsets in a footer start at its own file: bytes that they do not cover are an index, or
    another file.
    """
    end = max((end for group in spans for _, end in group), default=len(PARQUET_MAGIC))
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
