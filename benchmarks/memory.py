"""Peak memory of commands on many rows, and on small files of many rows.

`numbers`: `encode` of 32 float32 columns. `constants`: a file of constant columns in one row group
of one page per column, less than a megabyte for 50 million rows. `training`: one epoch, at most a
minute, on 4 random columns and on a small file of runs of equal values. The peak includes the pages
of mapped files, which the system could take back. Files are written and commands started by other
processes, because the peak of a child includes the memory of its parent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Row, Run
from measures import in_process, run_aecli

WIDTH, NARROW = 32, 4
GROUP = 250_000
RUNS = 500
QUICK_ROWS = 10_000


def measure(run: Run) -> Iterator[Row]:
    """Yield the costs of each command of a case."""
    cases = {"numbers": numbers, "constants": constants, "training": training}
    with tempfile.TemporaryDirectory() as folder:
        yield from cases[run.case](Path(folder), run.quick)


def numbers(folder: Path, quick: bool) -> Iterator[Row]:
    """Yield the costs of encoding rows of 32 numbers by a model of 50,000 of them."""
    rows = QUICK_ROWS if quick else 5_000_000
    part, whole, model = folder / "part.parquet", folder / "whole.parquet", folder / "m"
    in_process(write_numbers, part, min(rows, 50_000))
    in_process(write_numbers, whole, rows)
    run_aecli("train", part, "-m", model, "--encoder", "64,32,8", "--epochs", "1", "-q")
    what = f"`encode`, {rows:,} × {WIDTH} float32, Parquet to Parquet"
    yield costs(what, "encode", whole, "-m", model, "-o", folder / "z.parquet", "-q")


def constants(folder: Path, quick: bool) -> Iterator[Row]:
    """Yield the costs of commands on a small file of equal rows, with a model of two numbers."""
    rows = QUICK_ROWS if quick else 50_000_000
    part, whole, model = folder / "numbers.parquet", folder / "constant.parquet", folder / "m"
    values = np.random.default_rng(0).integers(0, 9, 10_000)
    pq.write_table(pa.table({"x0": values / 4, "x1": values}), part)
    run_aecli("train", part, "-m", model, "--encoder", "8,2", "--epochs", "1", "-q")
    in_process(write_constants, whole, rows)
    size = f"a Parquet file of {whole.stat().st_size / 1e3:.0f} kB"
    yield costs(f"`inspect`, {rows:,} equal rows of 2 numbers, {size}", "inspect", whole)
    for command in ("encode", "score"):
        output = ["-m", model, "-o", folder / "z.parquet", "-q"]
        yield costs(f"`{command}`, the same file", command, whole, *output)


def training(folder: Path, quick: bool) -> Iterator[Row]:
    """Yield the costs of training on 4 random columns, and on runs of equal values."""
    for what, write, rows in (
        (f"{NARROW} columns", write_narrow, 100_000_000),
        ("2 columns of runs of equal values", write_runs, 50_000_000),
    ):
        path, rows = folder / "trained.parquet", QUICK_ROWS if quick else rows
        in_process(write, path, rows)
        options = ["--encoder", "16,2", "--epochs", "1", "--time-limit", "60s", "-q"]
        size = f"{path.stat().st_size / 1e6:,.1f} MB"
        title = f"`train`, {rows:,} rows, {what}, a Parquet file of {size}"
        yield costs(title, "train", path, "-m", folder / "trained", *options)


def costs(what: str, *command: object) -> Row:
    """Return the costs of a command."""
    cpu, seconds, peak = in_process(run_aecli, *command)
    return {"command": what, "seconds": seconds, "CPU s": cpu, "peak memory, MB": peak}


def write_numbers(path: Path, rows: int, width: int = WIDTH) -> None:
    """Write random rows in row groups of 250,000."""
    generator = np.random.default_rng(0)
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(width)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            columns = [generator.standard_normal(count, dtype=np.float32) for _ in range(width)]
            writer.write_table(pa.table(columns, schema=schema))


def write_constants(path: Path, rows: int) -> None:
    """Write the same row many times, in one row group and one page per column."""
    table = pa.table({"x0": pa.repeat(0.5, rows), "x1": pa.repeat(2, rows)})
    pq.write_table(table, path, row_group_size=rows, data_page_size=1 << 30, compression="zstd")


def write_narrow(path: Path, rows: int) -> None:
    """Write random rows of 4 columns."""
    write_numbers(path, rows, NARROW)


def write_runs(path: Path, rows: int) -> None:
    """Write columns in 500 runs of equal values, in one row group."""
    values = np.arange(rows) // (rows // RUNS)
    table = pa.table({"x0": values % 17, "x1": (values % 23).astype(np.float32)})
    pq.write_table(table, path, row_group_size=rows, compression="zstd")
