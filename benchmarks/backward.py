"""Time the backward pass written by hand (`nn/chain.py`) against autograd in the same loop.

    .venv/bin/python benchmarks/backward.py FOLDER [THREADS]

Both variants run aecli's own loop: cells staged once, batches gathered into one kept buffer, fused
AdamW, freed memory kept by the allocator. They differ in who computes the gradients. Rounds
alternate after one round of each that is not counted; CPU and wall seconds are those of the loop
alone. FOLDER holds letter.csv, adult.csv and digits.csv.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from speed import BATCH, SHAPES, rows

from aecli.schema.options import TrainOptions
from aecli.training import step
from aecli.training import trainer as loop
from aecli.training.train import train_in_memory

ROUNDS = 5
PLAIN = {"init": "default", "activation": "ReLU", "scale": "none", "lr": 1e-3, "clip": 0.0}
TABLES: dict[str, dict[str, Any]] = {
    "letter.csv": {"exclude": ["lettr"], "epochs": 10},
    "adult.csv": {"label": "income", "exclude": ["split"], "epochs": 4},
    "digits.csv": {"exclude": ["label"], "epochs": 30},
}
VARIANTS: dict[str, Callable[..., step.Step]] = {
    "by hand": step.make_step,
    "autograd": step._by_autograd,
}


def timed(data: Any, options: TrainOptions, make: Callable[..., step.Step]) -> tuple[float, float]:
    """Train once; return the CPU seconds and the wall seconds of the loop."""
    found = []
    fit = loop.Loop.fit

    def measured(self: loop.Loop, **given: Any) -> Any:
        began = time.process_time(), time.perf_counter()
        result = fit(self, **given)
        found.append((time.process_time() - began[0], time.perf_counter() - began[1]))
        return result

    loop.make_step, loop.Loop.fit = make, measured  # type: ignore[method-assign]
    try:
        train_in_memory(data, options)
    finally:
        loop.make_step, loop.Loop.fit = step.make_step, fit  # type: ignore[method-assign]
    return found[0]


def main() -> None:
    """Print a row per table: medians of both and their ratios."""
    folder, threads = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"torch {torch.__version__}, {threads} threads, medians of {ROUNDS} paired rounds")
    print("| table | by hand, CPU s | autograd, CPU s | ratio | wall ratio | lowest, highest |")
    print("|---|---|---|---|---|---|")
    for name in ("narrow", "wide", *TABLES):
        data, given = str(folder / name), TABLES.get(name)
        if given is None:
            count, width, widths, epochs = SHAPES[name]
            values = rows(count, width)
            data = pa.table({f"x{i}": values[:, i] for i in range(width)})
            given = PLAIN | {"encoder": widths, "epochs": epochs, "batch_size": BATCH}
            given |= {"valid": "none"}
        options = TrainOptions.from_flat({**given, "threads": threads, "patience": 0})
        pairs = []
        for number in range(ROUNDS + 1):
            order = list(VARIANTS.items())[:: 1 if number % 2 else -1]
            pair = {who: timed(data, options, make) for who, make in order}
            pairs += [pair] if number else []
        cpu = [pair["autograd"][0] / pair["by hand"][0] for pair in pairs]
        wall = [pair["autograd"][1] / pair["by hand"][1] for pair in pairs]
        hand, auto = (statistics.median(p[who][0] for p in pairs) for who in VARIANTS)
        shown = f"{statistics.median(cpu):.2f} | {statistics.median(wall):.2f}"
        print(
            f"| {name} | {hand:.2f} | {auto:.2f} | {shown} | {min(cpu):.2f}, {max(cpu):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
