"""Phases of `aecli train`: what it costs besides its epochs, as `--debug` prints it.

Each table is trained with default options in a process of its own, and the wide one also without
bf16, which not every processor has. A seed is a round.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from harness import Row, Run
from measures import AECLI
from speed import QUICK_ROWS, SHAPES
from tables import curved, read, table_of

LINE = re.compile(r"debug: (.+?) +(-?[\d.]+) +(-?[\d.]+)$")
EPOCHS, SUM = "epochs", "sum"
FP32 = " fp32"


def measure(run: Run) -> Iterator[Row]:
    """Yield the seconds of each phase, and those of all but the epochs as a share of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(run, Path(folder))
        phases = train(path, run, Path(folder))
    phases.pop(SUM, None)
    around = [sum(of[i] for name, of in phases.items() if name != EPOCHS) for i in (0, 1)]
    shares = [around[i] / phases[EPOCHS][i] for i in (0, 1)]
    phases |= {"all but the epochs": (around[0], around[1])}
    phases |= {"the same as a share of the epochs": (shares[0], shares[1])}
    for name, (wall, cpu) in phases.items():
        yield {"table": run.case, "phase": name, "seconds": wall, "CPU s": cpu}


def written(run: Run, folder: Path) -> Path:
    """Write the table of a case, as CSV or Parquet."""
    table_name = run.case.removesuffix(FP32)
    name, _, kind = table_name.partition(".")
    if name in SHAPES:
        rows, width, _, _ = SHAPES[name]
        table = table_of(curved(QUICK_ROWS if run.quick else rows, width))
    else:
        table = read(run, table_name)
    path = folder / f"table.{kind or 'parquet'}"
    if kind == "csv":
        pacsv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=100_000)
    return path


def train(path: Path, run: Run, folder: Path) -> dict[str, tuple[float, float]]:
    """Train once; return the seconds and CPU seconds by phase that `--debug` prints."""
    command = [*AECLI, "train", str(path), "-m", str(folder / "m")]
    command += ["--debug", "--seed", str(run.seed), *(["--epochs", "1"] if run.quick else [])]
    command += ["--precision", "fp32"] if run.case.endswith(FP32) else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [match for line in done.stderr.splitlines() if (match := LINE.match(line))]
    return {name: (float(wall), float(cpu)) for name, wall, cpu in (m.groups() for m in found)}
