"""Open Parquet files, and read them in constant memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aecli.errors import DataError
from aecli.formatting import check_file_command
from aecli.table.arrow_reader import (
    BinaryFile,
    ColumnReader,
    Conditions,
    column_name_error,
    plausible_count,
    several_files_error,
)
from aecli.table.formats import reading
from aecli.table.parquet_pages import (
    Span,
    column_spans,
    footer_limits,
    require_pages_in_chunk,
)
from aecli.table.row_filter import RowCondition

_PARQUET = b"PAR1"
_INT96_UNIT = "us"  # nanoseconds end in 2262
_MAX_BUFFER_BYTES, _ALL_BUFFERS_BYTES = 1 << 18, 16 << 20


def open_parquet(path: Path, name: str, notes: list[str]) -> BinaryFile:
    """Open a Parquet file, and read it in constant memory.

    Raises:
        DataError: it is damaged, or not a Parquet file.
    """

    def read(
        indices: Sequence[int], rows: int, groups: Sequence[int] | None = None
    ) -> Iterator[list[pa.Array]]:
        leaves = _leaves(metadata, schema.names, indices)
        with pq.ParquetFile(
            path,
            pre_buffer=False,
            buffer_size=_buffer_bytes(path, leaves, spans, len(indices)),
            page_checksum_verification=True,
            coerce_int96_timestamp_unit=_INT96_UNIT,
            **footer_limits(path),
        ) as file:
            names = file.schema_arrow.names
            # A name is also a prefix of nested names: `a` would select `a.b` too.
            unique = len(set(names)) == len(names) and not any("." in name for name in names)
            selected = [names[index] for index in indices] if unique else None
            for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=selected):
                if selected is None:
                    yield [batch.column(index) for index in indices]
                else:
                    yield [batch.column(name) for name in selected]

    def row_groups(conditions: Conditions) -> tuple[int, ColumnReader]:
        chosen = _chosen_groups(metadata, schema, conditions)
        rows = sum(metadata.row_group(group).num_rows for group in chosen)
        return rows, partial(read, groups=chosen)

    with reading(name):
        try:
            limits = footer_limits(path)
            with pq.ParquetFile(path, coerce_int96_timestamp_unit=_INT96_UNIT, **limits) as file:
                metadata, schema = file.metadata, file.schema_arrow
            spans = column_spans(path, metadata.num_columns)
            _require_one_parquet(path, name, metadata, spans)
        except pa.ArrowInvalid as error:
            raise _damaged_parquet_error(path, name) from error
        except UnicodeDecodeError as error:
            raise column_name_error(name, "a column", error) from error
    n_rows = plausible_count(metadata.num_rows, path)
    return BinaryFile(name, "parquet", schema, n_rows, read, notes, row_groups=row_groups)


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


def _buffer_bytes(
    path: Path, leaves: Sequence[int], spans: Sequence[Sequence[Span]], n_columns: int
) -> int:
    """Return the buffer size for each column; 0 if small row groups are read at once.

    Buffered columns allocate the page sizes in their headers, so these are checked first.

    Raises:
        ArrowInvalid: a page or a column is larger than the file allows.
    """
    read = [[group[leaf] for leaf in leaves] for group in spans]
    if all(sum(end - start for start, end in group) <= _ALL_BUFFERS_BYTES for group in read):
        return 0
    for start, end in (span for group in read for span in group):
        require_pages_in_chunk(path, start, end)
    return max(1 << 16, min(_MAX_BUFFER_BYTES, _ALL_BUFFERS_BYTES // max(1, n_columns)))


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
    path: Path, name: str, metadata: pq.FileMetaData, spans: Sequence[Sequence[Span]]
) -> None:
    """Check that the file is not several concatenated files.

    The offsets in a footer start at its own file: bytes that they do not cover are an index, or
    another file.
    """
    end = max((end for group in spans for _, end in group), default=len(_PARQUET))
    footer = path.stat().st_size - metadata.serialized_size - 2 * len(_PARQUET)
    if footer <= end:
        return
    with open(path, "rb") as file:
        head = file.read(footer - end + len(_PARQUET))
    count, start = 1, 0
    for border in re.finditer(_PARQUET + _PARQUET, head):
        next_start = border.start() + len(_PARQUET)
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
    with open(path, "rb") as file:
        head = file.read(4)
    if head == _PARQUET:
        reason, fact = "is incomplete or damaged: its footer cannot be read", "copy it again"
    else:
        reason, fact = "is not a Parquet file", f"it begins with {head!r}, not b'PAR1'"
    hint = check_file_command(name) if head == _PARQUET else "--format csv, if it is text"
    return DataError(f"{name} {reason}", facts=[fact], hint=hint)
