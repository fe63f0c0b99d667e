"""Read a table into memory."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from aecli.table.arrow_reader import memory_reader
from aecli.table.column_groups import column_groups
from aecli.table.column_readings import ColumnReadings
from aecli.table.partition import Partition
from aecli.table.source import Source


def in_memory(source: Source) -> Source:
    """Return the same rows as one Arrow table in memory, so that later passes do not parse.

    Raises:
        DataError: as for `Source.batches`.
    """
    columns: list[pa.ChunkedArray] = []
    rows = source.batch_rows()
    for group in column_groups(source):
        columns += pa.Table.from_batches(group.batches(rows), group.schema).columns
    table = pa.table(columns, schema=source.schema)
    reader = memory_reader(table, source.name, [], checked=True)
    given = {name: replace(r, null_values=frozenset()) for name, r in source.readings.items()}
    partitions = (Partition(reader),)
    readings = ColumnReadings(partitions, source.options, [], evidence=source.columns.evidence)
    return replace(
        source, partitions=partitions, columns=readings, given=given, copies={}, conditions=(),
        row_range=None, format=reader.format, spools=(),
    )  # fmt: skip
