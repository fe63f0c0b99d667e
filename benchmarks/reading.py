"""Compare reading a CSV file with pyarrow.csv alone, which knows the types: CPU seconds, memory.

    .venv/bin/python benchmarks/reading.py [ROWS]

Writes 20 columns of floats, 8 of integers and 4 of text to a temporary folder, and reads them in
turns, each time in a process of its own: by pyarrow.csv with known types, by aecli with the types
of a model, and by aecli without any, which reads the file twice.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

TURNS = 5
KINDS = {"f": pa.float64(), "i": pa.int64(), "s": pa.string()}
NAMES = [*(f"f{i}" for i in range(20)), *(f"i{i}" for i in range(8)), *(f"s{i}" for i in range(4))]
TYPES = {name: KINDS[name[0]] for name in NAMES}


def write_table(path: Path, rows: int) -> None:
    """Write random cells."""
    rng = np.random.default_rng(0)
    words = np.array(["alpha", "beta", "gamma", "delta"])
    make = {
        "f": lambda: rng.standard_normal(rows).round(6),
        "i": lambda: rng.integers(0, 100_000, rows),
        "s": lambda: words[rng.integers(0, len(words), rows)],
    }
    pacsv.write_csv(pa.table({name: make[name[0]]() for name in NAMES}), path)


def read(path: str, reader: str) -> None:
    """Read all rows, and print the CPU seconds that it took and the peak of resident memory."""
    from aecli.table.cells.reading import Reading
    from aecli.table.source import open_source

    began = cpu_seconds()
    if reader == "pyarrow":
        options = pacsv.ConvertOptions(column_types=TYPES)
        rows = sum(batch.num_rows for batch in pacsv.open_csv(path, convert_options=options))
    else:
        source = open_source(path)
        if reader == "aecli":
            source = source.select(NAMES, {name: Reading(kind) for name, kind in TYPES.items()})
        rows = sum(batch.num_rows for batch in source.batches())
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(rows, cpu_seconds() - began, peak)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process, of all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Read in turns, and print the medians."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seconds: dict[str, list[float]] = {"pyarrow": [], "aecli": [], "aecli, types found": []}
    peaks: dict[str, list[float]] = {reader: [] for reader in seconds}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_table(path, rows)
        for _ in range(TURNS):
            for reader in seconds:
                command = [sys.executable, __file__, "--read", str(path), reader]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                count, took, peak = done.stdout.split()
                assert int(count) == rows, "every row is read"
                seconds[reader].append(float(took))
                peaks[reader].append(float(peak))
    base = statistics.median(seconds["pyarrow"])
    for reader, took_all in seconds.items():
        took = statistics.median(took_all)
        peak = statistics.median(peaks[reader])
        print(f"{reader:20s} {took:5.2f} CPU s  {took / base:4.2f}x  peak {peak:4.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(*sys.argv[2:])
    else:
        main()
