"""Training against a tutorial's loop, a lean loop and other libraries.

Each loop of loops.py runs in a process of its own, in turns, so that a noisy machine slows all; a
seed is a round. Only the training itself is timed: rows are standardised and in memory, and of
aecli the epochs count. The loss is the mean squared error of 20,000 training rows afterwards.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import loops
import numpy as np
from harness import Row, Run
from measures import in_process
from tables import curved

SHAPES = {"wide": (60_000, 784, [512, 256, 64], 3), "narrow": (1_000_000, 32, [64, 32, 8], 1)}
QUICK_ROWS = 4_096
COMPARED_ROWS = 20_000
LOOPS: dict[str, tuple[loops.Loop, str]] = {
    "tutorial's DataLoader loop": (loops.tutorial, "torch"),
    "lean loop": (loops.lean, "torch"),
    "aecli": (loops.own, "torch"),
    "aecli, `--precision fp32`": (loops.own_fp32, "torch"),
    "scikit-learn, MLPRegressor": (loops.scikit_learn, "sklearn"),
    "PyOD, AutoEncoder": (loops.pyod, "pyod"),
    "skorch": (loops.skorch, "skorch"),
    "Lightning": (loops.lightning, "lightning"),
    "Keras on torch": (loops.keras, "keras"),
}
"""Loops by title, each with the package that it needs."""


def measure(run: Run) -> Iterator[Row]:
    """Yield the rows trained per second and the loss of every loop, in one round."""
    rows, width, widths, epochs = SHAPES[run.case]
    if run.quick:
        rows, epochs = QUICK_ROWS, 1
    base = 0.0
    for title, (loop, package) in LOOPS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{title} is left out: {package} is not installed (peers.txt)", file=sys.stderr)
            continue
        seconds, loss = in_process(timed, loop, rows, width, widths, epochs)
        base = base or seconds
        yield {
            "table": f"{rows:,} × {width}, `--encoder {','.join(map(str, widths))}`",
            "training": title,
            "rows/s": rows * epochs / seconds,
            "× tutorial": base / seconds,
            "loss": loss,
        }


def timed(
    loop: loops.Loop, rows: int, width: int, widths: list[int], epochs: int
) -> tuple[float, float]:
    """Return the seconds of a training, and its loss."""
    values = curved(rows, width)
    loop(values[: 2 * loops.BATCH], widths, 1)  # what the first call imports is not training
    seconds, reconstruct = loop(values, widths, epochs)
    compared = values[:COMPARED_ROWS]
    return seconds, float(np.square(reconstruct(compared) - compared).mean())
