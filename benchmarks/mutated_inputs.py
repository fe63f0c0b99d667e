"""Run commands on mutated files of all formats, and count exits 1, signals, time-outs, memory.

    .venv/bin/python benchmarks/mutated_inputs.py [COUNT] [SEED] [FORMAT …]

Flips bits of small valid files, overwrites, cuts and duplicates blocks, writes huge lengths and
long runs, and joins halves of two files, then runs a command on each: in a child forked from this
process, 3 % in a Python of their own. An input counts where its changed bytes reached a reader.
Each input that ends as none should is kept in the folder `mutated_inputs`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a thread pool does not survive a fork
sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.reliability.mutated_runs import Trial, import_everything, trials

KEPT = Path("mutated_inputs")
DEFAULT_COUNT = 5_000
PROGRESS_STEP = 250


def main() -> None:
    """Run, and print each failure and the counts."""
    arguments = [int(text) if text.isdigit() else text for text in sys.argv[1:]]
    numbers = [value for value in arguments if isinstance(value, int)]
    formats = [value for value in arguments if isinstance(value, str)]
    count, seed = (*numbers, *(DEFAULT_COUNT, 0)[len(numbers) :])
    import_everything()
    codes: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    files: Counter[str] = Counter()
    peak = slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials(count, seed, Path(folder), formats):
            if not trial.reached:
                codes["not read"] += 1
                continue
            files[trial.file.name] += 1
            codes[f"exit {trial.run.code}" if trial.run.code >= 0 else "killed"] += 1
            failures.update(trial.failures)
            peak, slowest = max(peak, trial.run.peak), max(slowest, trial.run.seconds)
            if trial.failures:
                keep(trial, sum(failures.values()))
            if sum(files.values()) % PROGRESS_STEP == 0:
                print(f"{sum(files.values()):,} done", file=sys.stderr, flush=True)
    print(f"{sum(files.values()):,} mutated inputs of {len(files)} files")
    print(", ".join(f"{what} {number:,}" for what, number in sorted(codes.items())))
    print(f"peak {peak / 1e6:,.0f} MB, slowest {slowest:.1f} s")
    print(f"failures: {dict(failures) or 'none'}")


def keep(trial: Trial, number: int) -> None:
    """Keep a mutated file whose run failed, and print the command."""
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{number:04}-{trial.file.name}"
    path.write_bytes(trial.file.content)
    run = trial.run
    print(f"{path}: {', '.join(trial.failures)} ({trial.file.kind})", flush=True)
    print(f"  {trial.command}: {run.peak / 1e6:,.0f} MB, {run.seconds:.1f} s", flush=True)
    print("  " + run.err.strip().replace("\n", "\n  ")[:600], flush=True)


if __name__ == "__main__":
    main()
