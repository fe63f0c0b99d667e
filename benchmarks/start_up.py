"""Small commands next to the imports that they need: 200 rows of 32 numbers.

Every command and every import is a process of its own. A seed is a round.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from harness import Row, Run
from measures import AECLI, in_process, run_process
from tables import curved, table_of

ROWS, WIDTH = 200, 32
COMMANDS = {
    "`import click`": [sys.executable, "-c", "import click"],
    "`aecli --help`": [*AECLI, "--help"],
    "`aecli train --help`": [*AECLI, "train", "--help"],
    "`aecli inspect MODEL`": [*AECLI, "inspect", "-m", "m"],
    "`import torch`": [sys.executable, "-c", "import torch"],
    "`aecli encode`, Parquet": [*AECLI, "encode", "t.parquet", "-m", "m", "-o", "z.parquet", "-q"],
    "`aecli encode`, CSV": [*AECLI, "encode", "t.csv", "-m", "m", "-o", "z.csv", "-q"],
}
"""Commands after the import that they are compared with."""


def measure(run: Run) -> Iterator[Row]:
    """Yield the costs of every command."""
    with tempfile.TemporaryDirectory() as folder:
        table = table_of(curved(ROWS, WIDTH))
        pq.write_table(table, f"{folder}/t.parquet")
        pacsv.write_csv(table, f"{folder}/t.csv")
        train = [*AECLI, "train", "t.parquet", "-m", "m", "--epochs", "1", "-q"]
        in_process(run_process, train, Path(folder))
        base = 0.0
        for title, command in COMMANDS.items():
            cpu, wall, peak = in_process(run_process, command, Path(folder))
            base = cpu if "import" in title else base
            costs = {"CPU s": cpu, "× import": cpu / base, "seconds": wall}
            yield {"command": title, **costs, "peak memory, MB": peak}
