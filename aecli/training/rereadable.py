"""Open a table that training reads more than once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from aecli.schema.options import TrainOptions
from aecli.table.labels import with_written_label
from aecli.table.source import Data, Source, open_source
from aecli.training.memory import fits_in_memory


def open_rereadable(data: Data, options: TrainOptions) -> Source:
    """Open a table that can be read repeatedly: in memory if it fits into `--memory`.

    Raises:
        DataError: the table cannot be read.
    """
    source = open_source(data, options.read)
    if options.columns.label in source.names:
        source = with_written_label(source, options.columns.label)
    if not fits_in_memory(source.memory_bytes(), options):
        return source
    with _system_allocator():
        return source.in_memory()


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
    return sum(batch.num_rows for batch in source.batches())
