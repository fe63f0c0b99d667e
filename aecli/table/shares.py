"""Divide the rows of a table among ranks, each of which reads consecutive ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from aecli.errors import DataError, UsageError
from aecli.formatting import STANDARD_INPUT, TABLE_IN_MEMORY
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_reader import is_arrow_table
from aecli.table.csv.reader import CsvFile
from aecli.table.partition import Partition
from aecli.table.paths import STDIN, Spool, path_arguments
from aecli.table.row_range import RowRange
from aecli.table.source import Data, Source, open_source


@dataclass(frozen=True)
class Share:
    """Rows of a table that one rank reads: `source`, the `rows` of `whole`.

    `total` is the number of rows of `whole`, None if one rank reads them and they are not counted.
    """

    whole: Source
    source: Source
    rows: slice
    total: int | None = None

    @property
    def before(self) -> int:
        """Return the number of rows before those of the rank."""
        return self.rows.start or 0


def open_for_ranks(data: Data, options: ReadOptions, ranks: Ranks) -> Source:
    """Open a table that each rank reads a part of.

    Raises:
        DataError: as for `open_source`, or the ranks do not open the same files.
        UsageError: as for `open_source`, or the table is not in files that each rank can open.
    """
    if ranks.size == 1:
        return open_source(data, options)
    if not isinstance(data, (str, os.PathLike)) and is_arrow_table(data):
        raise _not_in_files(TABLE_IN_MEMORY, ranks)
    if STDIN in path_arguments(data):
        raise _not_in_files(STANDARD_INPUT, ranks)
    source = open_source(data, options)
    if any(isinstance(spool, Spool) for spool in source.spools):
        raise _not_in_files(source.name, ranks)
    files = [(part.reader.name, part.reader.n_rows) for part in source.partitions]
    tables = ranks.gather((source.names, files))
    if any(table != tables[0] for table in tables):
        raise DataError(
            f"{source.name} is not the same table for all {ranks.size:,} processes",
            facts=["they see other files, rows or columns"],
            hint="a copy that no other process changes",
        )
    return source


def _not_in_files(name: str, ranks: Ranks) -> UsageError:
    return UsageError(
        f"{name} cannot be read by {ranks.size:,} processes",
        facts=["each of them reads its part of the rows from files"],
        hint="a Parquet file, or train in one process",
    )


def share_of(source: Source, ranks: Ranks) -> Share:
    """Return the rows of one rank; ranks differ by at most one row.

    The files whose rows are not counted in their metadata are each counted by one rank.

    Raises:
        DataError: a file cannot be read.
    """
    if ranks.size == 1:
        return Share(source, source, slice(None))
    counts = _row_counts(source, ranks)
    total = sum(counts)
    start, stop = (total * rank // ranks.size for rank in (ranks.rank, ranks.rank + 1))
    return Share(source, _between(source, counts, start, stop), slice(start, stop), total)


def share_types(source: Source, ranks: Ranks) -> None:
    """Infer the types of CSV files, which takes a reading: each file is read by one rank."""
    files = [p.reader for p in source.partitions if isinstance(p.reader, CsvFile)]
    if ranks.size == 1 or not files:
        return
    own = files[ranks.rank :: ranks.size]
    for file in own:
        file.types(file.names)
    for rank, inferred in enumerate(ranks.gather([file.inferred for file in own])):
        for file, facts in zip(files[rank :: ranks.size], inferred, strict=True):
            file.inferred = facts


def share_formats(source: Source, ranks: Ranks) -> None:
    """Find the formats of numbers and dates in text columns, each of which is read by one rank.

    Raises:
        DataError: the files do not agree on a column's type.
    """
    source.columns.ranks = ranks
    source.columns.find(source.names, source.given, source.as_written)
    # Later readings are not those of the same columns on all ranks.
    source.columns.ranks = ONE_PROCESS


def _row_counts(source: Source, ranks: Ranks) -> list[int]:
    """Return the number of rows of each file."""
    files = [replace(source, partitions=(part,)).select([]) for part in source.partitions]
    counts = [None if source.conditions else file.n_rows for file in files]
    unknown = [at for at, rows in enumerate(counts) if rows is None]
    own = unknown[ranks.rank :: ranks.size]
    counted = {at: sum(batch.num_rows for batch in files[at].batches()) for at in own}
    for other in ranks.gather(counted):
        for at, rows in other.items():
            counts[at] = rows
    return [rows or 0 for rows in counts]


def _between(source: Source, counts: Sequence[int], start: int, stop: int) -> Source:
    """Return the rows from `start` to `stop`, by the number of rows of each file."""
    chosen: list[Partition] = []
    before = total = 0
    ends = list(accumulate(counts))
    for part, rows, end in zip(source.partitions, counts, ends, strict=True):
        first = end - rows
        if stop <= first or end <= start or start == stop:
            continue
        skipped = 0
        if not source.conditions:
            part, skipped = part.between(max(0, start - first), min(stop - first, rows))
            rows = part.reader.n_rows or rows
        before = first + skipped if not chosen else before
        chosen.append(part)
        total += rows
    if not chosen:
        return replace(source, partitions=source.partitions[:1], row_range=RowRange(0, 0, 0))
    row_range = RowRange(stop - start, start - before, total)
    return replace(source, partitions=tuple(chosen), row_range=row_range)
