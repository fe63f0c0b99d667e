"""Divide the memory of `--memory` between the table, its cells and the rest of the process."""

from __future__ import annotations

import pyarrow as pa

from aecli.device import return_freed_memory
from aecli.schema.options import TrainOptions
from aecli.table.arrow_reader import BinaryFile
from aecli.table.source import Source

UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}

PROCESS_BYTES = 500_000_000
"""Memory of Python, torch, Arrow and the buffers of a batch; wide tables take more."""

TABLE_FACTOR = 1.6
"""Memory of a table per byte of its columns: Arrow allocates more than it fills."""

BYTES_PER_ROW = 2
"""Memory of a row's side of the split."""

BYTES_PER_LABEL = 16
"""Memory of a row's label code in the order of the table and in that of the staged rows."""


def fits_in_memory(size: int | None, options: TrainOptions) -> bool:
    """Return whether a table of this size in bytes, None if unknown, is read into memory."""
    return size is not None and TABLE_FACTOR * size <= _memory(options) - PROCESS_BYTES


def cell_memory(source: Source, options: TrainOptions, rows: int, *, held: int = 0) -> int:
    """Return the bytes that are left for the cells of a table; `held` are those of other tables."""
    per_row = BYTES_PER_ROW + (0 if options.columns.label is None else BYTES_PER_LABEL)
    others = PROCESS_BYTES + table_memory(source) + per_row * rows + held
    return max(0, _memory(options) - others)


def table_memory(source: Source) -> int:
    """Return the bytes of the parts of a table that are in memory."""
    readers = [partition.reader for partition in source.partitions]
    in_memory = [r for r in readers if isinstance(r, BinaryFile) and r.in_memory]
    table = sum(reader.memory_bytes(reader.types(reader.names)) or 0 for reader in in_memory)
    return int(TABLE_FACTOR * table)


def release_table() -> None:
    """Return the memory of tables that are no longer used to the system."""
    pa.default_memory_pool().release_unused()
    return_freed_memory()


def _memory(options: TrainOptions) -> int:
    """Return the bytes of a size such as 4GB."""
    text = options.training.memory
    return int(float(text[:-2]) * UNITS[text[-2:]])
