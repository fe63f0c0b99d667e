"""Measure the peak memory of encoding many rows, and of a small file of many equal rows.

    .venv/bin/python benchmarks/memory.py [ROWS [CONSTANT_ROWS]]

Writes a Parquet file of float32 columns to a temporary folder, trains for one epoch on a part of
it, and runs `aecli encode` as a process of its own, whose peak resident memory is what counts. Then
does the same with a file of constant columns in one row group of one page per column, which takes
less than a megabyte for 50 million rows, and runs `inspect` and `score` over it as well.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTH = 32
GROUP = 250_000


def write_table(path: Path, rows: int) -> None:
    """Write random rows in row groups of 250,000."""
    generator = np.random.default_rng(0)
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(WIDTH)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            columns = [generator.standard_normal(count, dtype=np.float32) for _ in range(WIDTH)]
            writer.write_table(pa.table(columns, schema=schema))


def write_constant_table(path: Path, rows: int) -> None:
    """Write the same row many times, in one row group and one page per column."""
    table = pa.table({"x0": pa.repeat(0.5, rows), "x1": pa.repeat(2, rows)})
    pq.write_table(table, path, row_group_size=rows, data_page_size=1 << 30, compression="zstd")


def write_elsewhere(write: Callable[[Path, int], None], path: Path, rows: int) -> None:
    """Write a table in a process of its own: a child's peak counts what its parent held."""
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, rows))
    writer.start()
    writer.join()
    assert writer.exitcode == 0, path


def run_aecli(*arguments: object) -> tuple[float, float]:
    """Run a command, and return its seconds and its peak resident memory in MB."""
    aecli = Path(sys.executable).with_name("aecli")
    began = time.perf_counter()
    process = subprocess.Popen([aecli, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def measure_numbers(folder: Path, rows: int) -> None:
    """Train on 50,000 rows, and encode all."""
    part, whole = folder / "part.parquet", folder / "whole.parquet"
    write_elsewhere(write_table, part, 50_000)
    write_elsewhere(write_table, whole, rows)
    model = ["-m", folder / "model"]
    run_aecli("train", part, *model, "--encoder", "64,32,8", "--epochs", "1", "-q")
    seconds, peak = run_aecli("encode", whole, *model, "-o", folder / "z.parquet", "-q")
    print(f"encode {rows:,} x {WIDTH}: {seconds:.1f} s, peak {peak:.0f} MB", flush=True)
    assert pq.read_metadata(folder / "z.parquet").num_rows == rows


def measure_constants(folder: Path, rows: int) -> None:
    """Train on two numbers, and inspect, encode and score a file of constant columns."""
    whole, model = folder / "constant.parquet", ["-m", folder / "numbers"]
    numbers = np.random.default_rng(0).integers(0, 9, 10_000)
    part = pa.table({"x0": numbers / 4, "x1": numbers})
    pq.write_table(part, folder / "numbers.parquet")
    small = ["--encoder", "8,2", "--epochs", "1", "-q"]
    run_aecli("train", folder / "numbers.parquet", *model, *small)
    write_elsewhere(write_constant_table, whole, rows)
    output = ["-o", folder / "z.parquet", "-q"]
    for command in (
        ["inspect", whole],
        ["encode", whole, *model, *output],
        ["score", whole, *model, *output],
    ):
        seconds, peak = run_aecli(*command)
        size = whole.stat().st_size / 1000
        what = f"{command[0]} {rows:,} equal rows, a file of {size:.0f} kB"
        print(f"{what}: {seconds:.1f} s, peak {peak:.0f} MB", flush=True)


def main() -> None:
    """Print the seconds and the peak of each command."""
    sizes = [int(text) for text in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        measure_numbers(Path(folder), sizes[0] if sizes else 5_000_000)
        measure_constants(Path(folder), sizes[1] if len(sizes) > 1 else 50_000_000)


if __name__ == "__main__":
    main()
