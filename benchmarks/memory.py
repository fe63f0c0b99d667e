"""Measure the peak memory of encoding 5 million rows of 32 numbers.

    .venv/bin/python benchmarks/memory.py [ROWS]

Writes a Parquet file of float32 columns to a temporary folder, trains for one epoch on a part of
it, and runs `aecli encode` as a process of its own, whose peak resident memory is what counts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
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


def main() -> None:
    """Train on 50,000 rows, encode all, and print the seconds and the peak."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    aecli = Path(sys.executable).with_name("aecli")
    with tempfile.TemporaryDirectory() as folder:
        part, whole = Path(folder) / "part.parquet", Path(folder) / "whole.parquet"
        write_table(part, 50_000)
        write_table(whole, rows)
        model = ["-m", f"{folder}/model"]
        train = [aecli, "train", part, *model, "--encoder", "64,32,8", "--epochs", "1", "-q"]
        subprocess.run(train, check=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        began = time.perf_counter()
        encode = [aecli, "encode", whole, *model, "-o", f"{folder}/z.parquet", "-q"]
        subprocess.run(encode, check=True)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        more = "" if peak > before else " (at most: training on the part took as much)"
        print(f"encode {rows:,} x {WIDTH}: {seconds:.1f} s, peak {peak / 1024:.0f} MB{more}")
        assert pq.read_metadata(f"{folder}/z.parquet").num_rows == rows


if __name__ == "__main__":
    main()
