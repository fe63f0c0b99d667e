"""Measure what checking the cells of Arrow and Parquet files costs, compared with reading alone.

    .venv/bin/python benchmarks/validation.py [ROWS]

Reads all columns of a file with the checks and without them, in turns in one process, and prints
the medians of the CPU seconds and their ratio.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aecli.table import arrow_reader, parquet_reader
from aecli.table.source import open_source

TURNS = 7
BATCH = 65_536


def table_of(rows: int) -> pa.Table:
    """Return 20 columns of floats, 8 of integers with missing cells, 4 of text, 2 categories."""
    rng = np.random.default_rng(0)
    words = np.array([f"word {number}" for number in range(1_000)])
    columns = {f"f{i}": pa.array(rng.standard_normal(rows)) for i in range(20)}
    for i in range(8):
        missing = rng.random(rows) < 0.1
        columns[f"i{i}"] = pa.array(rng.integers(0, 10_000, rows), mask=missing)
    for i in range(4):
        columns[f"s{i}"] = pa.array(words[rng.integers(0, len(words), rows)])
    for i in range(2):
        columns[f"c{i}"] = columns[f"s{i}"].dictionary_encode()
    return pa.table(columns)


def ignore(*arguments: object) -> None:
    """Check nothing."""


def cpu_seconds(path: Path, checked: bool) -> float:
    """Return the CPU seconds of reading a file in batches."""
    began = time.process_time()
    if checked:
        for _ in open_source(path).batches(BATCH):
            pass
    else:
        with (
            mock.patch.object(arrow_reader, "require_valid_columns", ignore),
            mock.patch.object(parquet_reader, "require_pages_in_chunk", ignore),
        ):
            for _ in open_source(path).batches(BATCH):
                pass
    return time.process_time() - began


def main() -> None:
    """Write the files, read them in turns and print the medians."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    table = table_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("t.parquet", "t.arrow", "lz4.feather")]
        pq.write_table(table, paths[0])
        for path, compression in ((paths[1], None), (paths[2], "lz4")):
            options = pa.ipc.IpcWriteOptions(compression=compression)
            with pa.ipc.new_file(path, table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=BATCH)
        for path in paths:
            cpu_seconds(path, True)  # the first reading fills caches
            turns = [(cpu_seconds(path, True), cpu_seconds(path, False)) for _ in range(TURNS)]
            checked, alone = (statistics.median(side) for side in zip(*turns, strict=True))
            ratio = statistics.median(a / b for a, b in turns)
            print(f"{path.name:12s} {alone:5.2f} s alone, {checked:5.2f} s checked, {ratio:.2f}x")


if __name__ == "__main__":
    main()
