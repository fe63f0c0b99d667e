"""Open a table that training reads more than once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.options import TrainOptions
from aecli.table.in_memory import in_memory
from aecli.table.labels import with_written_label
from aecli.table.shares import Share, open_for_ranks, share_formats, share_of, share_types
from aecli.table.source import Data, Source
from aecli.training.memory import fits_in_memory


def open_share(data: Data | Source, options: TrainOptions, ranks: Ranks = ONE_PROCESS) -> Share:
    """Open the rows of a rank, to be read repeatedly: in memory if they fit into `--memory`.

    Raises:
        DataError: the table cannot be read, or the ranks do not read the same one.
        UsageError: several ranks cannot read the table.
    """
    if isinstance(data, Source):
        return Share(data, data, slice(None))
    source = open_for_ranks(data, options.read, ranks)
    share_types(source, ranks)
    if ranks.size > 1:
        share_formats(source, ranks)
    if options.columns.label in source.names:
        source = with_written_label(source, options.columns.label)
    share = share_of(source, ranks)
    if not fits_in_memory(share.source.memory_bytes(), options):
        return share
    with _system_allocator():
        own = in_memory(share.source)
    return replace(share, source=own, whole=own if ranks.size == 1 else share.whole)


def open_rereadable(data: Data, options: TrainOptions) -> Source:
    """Open a table that can be read repeatedly: in memory if it fits into `--memory`.

    Raises:
        DataError: the table cannot be read.
    """
    return open_share(data, options).source


@contextmanager
def _system_allocator() -> Iterator[None]:
    """Let Arrow allocate by malloc.

    Arrow's usual allocator returns freed pages to the system, and page faults took two thirds of
    the time of reading a table of many columns into memory.
    """
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)


def count_rows(source: Source) -> int:
    """Return the number of rows of a table, which are read if it is not known."""
    if source.n_rows is not None:
        return source.n_rows
    return sum(batch.num_rows for batch in source.select([]).batches())
