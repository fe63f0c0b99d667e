"""Peak memory of commands on many rows, and on small files of many rows.

`numbers`: `encode` of 32 float32 columns. `constants`: a file of constant columns in one row group
of one page per column, less than a megabyte for 50 million rows. `training`: one epoch, at most 45
seconds of it, with `--memory 2GB`, on 4 random columns and on a small file of runs of equal values.
`wide`: the same on 784 columns, in several row groups and in one. `ranks`: the same, with
`--memory 1GB`, by two ranks of torchrun, on 10 files whose cells take 3 GB; the peaks are those of
the larger rank. `texts`: training on a column of distinct texts, and `encode` of these. The peak
includes the pages of mapped files, which the system could take back; that of anonymous memory does
not. Files are written and commands started by other processes, because the peak of a child includes
the memory of its parent.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Row, Run
from measures import AECLI, in_process, peak_anonymous, run_aecli

WIDTH, NARROW, WIDE = 32, 4, 784
GROUP = 250_000
RUNS = 500
QUICK_ROWS = 10_000
FILES = 10


def measure(run: Run) -> Iterator[Row]:
    """Yield the costs of each command of a case."""
    cases = {
        "numbers": numbers, "constants": constants, "training": training, "wide": wide,
        "ranks": ranks, "texts": texts,
    }  # fmt: skip
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
    """Yield the peaks of training on random columns, and on runs of equal values."""
    for what, write, rows in (
        (f"{NARROW} columns", write_narrow, 100_000_000),
        ("2 columns of runs of equal values", write_runs, 50_000_000),
    ):
        yield of_file(what, write, folder, QUICK_ROWS if quick else rows)


def wide(folder: Path, quick: bool) -> Iterator[Row]:
    """Yield the peaks of training on many columns, in several row groups and in one."""
    rows = QUICK_ROWS if quick else 600_000
    for what, write in (("", write_wide), (" in one row group", write_group)):
        yield of_file(f"{WIDE} columns{what}", write, folder, rows)


def of_file(what: str, write: Callable[[Path, int], None], folder: Path, rows: int) -> Row:
    """Return the peaks of training on a file that a function writes."""
    path = folder / "trained.parquet"
    in_process(write, path, rows)
    return trained(f"{rows:,} rows, {what}", path, "2GB", AECLI)


def ranks(folder: Path, quick: bool) -> Iterator[Row]:
    """Yield the peaks of the larger of two ranks on a table of three times their memory."""
    table, rows = folder / "table", (QUICK_ROWS if quick else 24_000_000) // FILES
    table.mkdir()
    for number in range(FILES):
        in_process(write_numbers, table / f"{number}.parquet", rows)
    torchrun = [Path(sys.executable).with_name("torchrun"), "--standalone", "--no-python"]
    what = f"two ranks, {FILES} files of {rows:,} rows, {WIDTH} columns"
    yield trained(what, table, "1GB", [*torchrun, "--nproc-per-node", "2", *AECLI])


def trained(what: str, table: Path, memory: str, program: Sequence[object]) -> Row:
    """Return the peaks of a training."""
    options = ["--encoder", "16,2", "--epochs", "1", "--time-limit", "45s", "--memory", memory]
    command = [*program, "train", table, "-m", table.with_name("trained"), *options, "-q"]
    began = time.perf_counter()
    anonymous, peak = in_process(peak_anonymous, [*map(str, command)])
    files = table.iterdir() if table.is_dir() else [table]
    return {
        "command": f"`train --memory {memory}`, {what}",
        "files, MB": sum(file.stat().st_size for file in files) / 1e6,
        "seconds": time.perf_counter() - began,
        "anonymous memory, MB": anonymous,
        "peak memory, MB": peak,
    }


def texts(folder: Path, quick: bool) -> Iterator[Row]:
    """Yield the costs of training on distinct texts, and of encoding them."""
    rows = QUICK_ROWS if quick else 10_000_000
    path, model = folder / "texts.parquet", folder / "m"
    in_process(write_texts, path, rows)
    what = f"{rows:,} distinct texts of three words"
    options = ["--text", "x0", "--epochs", "1", "--time-limit", "60s", "-q"]
    yield costs(f"`train`, {what}", "train", path, "-m", model, *options)
    yield costs(f"`encode`, {what}", "encode", path, "-m", model, "-o", folder / "z.parquet", "-q")


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


def write_wide(path: Path, rows: int) -> None:
    """Write random rows of many columns."""
    write_numbers(path, rows, WIDE)


def write_group(path: Path, rows: int) -> None:
    """Write random rows of many columns in one row group."""
    generator = np.random.default_rng(0)
    columns = [generator.standard_normal(rows, dtype=np.float32) for _ in range(WIDE)]
    pq.write_table(pa.table(columns, [f"x{i}" for i in range(WIDE)]), path, row_group_size=rows)


def write_runs(path: Path, rows: int) -> None:
    """Write columns in 500 runs of equal values, in one row group."""
    values = np.arange(rows) // (rows // RUNS)
    table = pa.table({"x0": values % 17, "x1": (values % 23).astype(np.float32)})
    pq.write_table(table, path, row_group_size=rows, compression="zstd")


def write_texts(path: Path, rows: int) -> None:
    """Write texts of two random words of two syllables and the number of the row."""
    draws = np.random.default_rng(0)
    syllables = np.array(["ka", "ro", "mi", "tel", "san", "dor", "vi", "lun", "ber", "nix"])
    with pq.ParquetWriter(path, pa.schema([("x0", pa.string())])) as writer:
        for start in range(0, rows, GROUP):
            numbers = range(start, min(rows, start + GROUP))
            a, b, c, d = draws.choice(syllables, (4, len(numbers))).tolist()
            parts = zip(a, b, c, d, numbers, strict=True)
            values = [f"{a}{b} {c}{d} {number:07x}" for a, b, c, d, number in parts]
            writer.write_table(pa.table({"x0": values}))
