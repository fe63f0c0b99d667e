"""Cost of reading tables: CSV next to pyarrow.csv, and the checks of Arrow and Parquet files.

Readers of CSV read 20 columns of floats, 8 of integers and 4 of text, in turns and each time in a
process of its own: pyarrow.csv with known types, aecli with the types of a model, and aecli that
infers types, which reads the file twice. A seed is a turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from harness import Row, Run
from measures import in_process, median_cpu, seconds_of

from aecli.table import arrow_reader, parquet_reader
from aecli.table.cells.reading import Reading
from aecli.table.source import open_source

KINDS = {"f": pa.float64(), "i": pa.int64(), "s": pa.string()}
NAMES = [*(f"f{i}" for i in range(20)), *(f"i{i}" for i in range(8)), *(f"s{i}" for i in range(4))]
TYPES = {name: KINDS[name[0]] for name in NAMES}
READERS = ("pyarrow.csv with known types", "aecli with the types of a model", "aecli")
TURNS = 7
BATCH = 65_536


def csv(run: Run) -> Iterator[Row]:
    """Yield the CPU seconds and the peak memory of each reader."""
    rows = 1_000 if run.quick else 1_000_000
    base = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        in_process(write_csv, path, rows)
        for reader in READERS:
            seconds, peak = in_process(read_csv, path, reader, rows)
            base = base or seconds
            ratio = seconds / base
            yield {"reader": reader, "CPU s": seconds, "ratio": ratio, "peak memory, MB": peak}


def write_csv(path: Path, rows: int) -> None:
    """Write random cells."""
    rng = np.random.default_rng(0)
    words = np.array(["alpha", "beta", "gamma", "delta"])
    make = {
        "f": lambda: rng.standard_normal(rows).round(6),
        "i": lambda: rng.integers(0, 100_000, rows),
        "s": lambda: words[rng.integers(0, len(words), rows)],
    }
    pacsv.write_csv(pa.table({name: make[name[0]]() for name in NAMES}), path)


def read_csv(path: Path, reader: str, rows: int) -> tuple[float, float]:
    """Read all rows; return the CPU seconds and the peak of resident memory in MB."""
    counts = []

    def read() -> None:
        if reader == READERS[0]:
            options = pacsv.ConvertOptions(column_types=TYPES)
            batches = pacsv.open_csv(path, convert_options=options)
        else:
            source = open_source(str(path))
            if reader == READERS[1]:
                source = source.select(NAMES, {name: Reading(kind) for name, kind in TYPES.items()})
            batches = source.batches()
        counts.append(sum(batch.num_rows for batch in batches))

    seconds, _ = seconds_of(read)
    assert counts == [rows], "every row is read"
    status = Path("/proc/self/status").read_text()
    return seconds, int(status.split("VmHWM:")[1].split()[0]) / 1024


def checks(run: Run) -> Iterator[Row]:
    """Yield the CPU seconds of reading with and without checks of offsets, indices and texts."""
    table = checked_table(2_000 if run.quick else 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        for title, path in written(table, Path(folder)).items():
            read_all(path)  # the first reading fills caches
            with (
                mock.patch.object(arrow_reader, "require_valid_columns", ignore),
                mock.patch.object(parquet_reader, "page_memory", ignore),
            ):
                alone = median_cpu(lambda path=path: read_all(path), TURNS)
            checked = median_cpu(lambda path=path: read_all(path), TURNS)
            yield {
                "file": title,
                "CPU s alone": alone,
                "checked": checked,
                "ratio": checked / alone,
            }


def ignore(*arguments: object) -> None:
    """Check nothing; a mock with a return value would keep every batch that it is called with."""


def checked_table(rows: int) -> pa.Table:
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


def written(table: pa.Table, folder: Path) -> dict[str, Path]:
    """Write the files, and return them by title."""
    paths = {
        "Parquet": folder / "t.parquet",
        "Arrow, not compressed": folder / "t.arrow",
        "Feather, lz4": folder / "lz4.feather",
    }
    pq.write_table(table, paths["Parquet"])
    for path, compression in zip(list(paths.values())[1:], (None, "lz4"), strict=True):
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_file(path, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=BATCH)
    return paths


def read_all(path: Path) -> None:
    """Read a file in batches."""
    for _ in open_source(str(path)).batches(BATCH):
        pass
