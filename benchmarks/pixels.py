"""Trainings of a classifier of images: noise, label smoothing, moves and other options.

A variant says what differs from the default: the `noise` on pixels, the `smoothing` of labels, the
share of a batch that is `decoded`, `shift` 0 to move no images, and options of `train`. The figures
are those of rows that training held out, 10,000 of MNIST's `split=train` and a fifth of digits, at
the epoch that they choose; the cross-entropy is at the best temperature. No test row is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from harness import Row, Run
from measures import cpu_seconds
from tables import halves, read, shuffled

from aecli.progress import SILENT
from aecli.training import build
from aecli.training.data import PreparedTable, prepare
from aecli.training.fit import configure_process, fit
from aecli.training.interrupt import Interrupt
from aecli.training.train import parse_options

WIDE: dict[str, Any] = {"encoder": [512, 256, 64], "l1": 1e-4}

TABLES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "mnist": ("mnist.parquet", 50_000, WIDE),
    "digits": ("digits.csv", 1_078, {}),
}
"""File, training rows and options of each table."""

HELD_OUT = {"mnist": 10_000, "digits": 359}
"""Held-out rows; a fifth of digits is in neither."""

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "mnist": {
        "the default": {},
        "no moves": {"shift": 0},
        "no batch norm": {"norm": "none"},
        "neither moves nor batch norm": {"shift": 0, "norm": "none"},
        "all rows decoded": {"decoded": 1},
    },
    "digits": {
        "the default": {},
        "neither noise nor smoothed labels": {"noise": 0, "smoothing": 0},
        "no batch norm": {"norm": "none"},
        "noise 0.2": {"noise": 0.2},
        "all rows decoded": {"decoded": 1},
    },
}


def divided(run: Run) -> tuple[pa.Table, pa.Table]:
    """Return training rows and held-out rows."""
    file, rows, _ = TABLES[run.case]
    table = read(run, file)
    table = shuffled(halves(table)[0] if "split" in table.column_names else table, 7)
    cut = len(table) // 2 if run.quick else rows
    return table.slice(0, cut), table.slice(cut, HELD_OUT[run.case])


CONSTANTS = {
    "noise": "PIXEL_NOISE",
    "smoothing": "LABEL_SMOOTHING",
    "decoded": "DECODED_SHARE",
}
"""Names of constants of `aecli.training.build` in variants."""


@contextmanager
def changed(variant: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Change the constants that a variant names, for a while; yield its other options."""
    before = {name: getattr(build, name) for name in (*CONSTANTS.values(), "image_shift")}
    options = dict(variant)
    for name, constant in CONSTANTS.items():
        if name in options:
            setattr(build, constant, float(options.pop(name)))
    if options.pop("shift", 1) == 0:
        build.image_shift = lambda *_: None
    yield options
    for name, value in before.items():
        setattr(build, name, value)


def measure(run: Run) -> Iterator[Row]:
    """Yield the figures of every variant."""
    train, held_out = divided(run)
    with tempfile.TemporaryDirectory() as place:
        pq.write_table(held_out, f"{place}/held_out.parquet")
        fixed = {"label": "label", "valid": f"{place}/held_out.parquet", **TABLES[run.case][2]}
        fixed |= {"seed": run.seed} | ({"epochs": 1} if run.quick else {})
        prepared = prepare(train, parse_options(fixed), SILENT)
        for title, variant in VARIANTS[run.case].items():
            with changed(variant) as options:
                figures = of_training(prepared, fixed | options)
            yield {"table": run.case, "variant": title, **figures}


def of_training(prepared: PreparedTable, options: dict[str, Any]) -> Row:
    """Return accuracy, cross-entropy, error of the pixels and CPU seconds of one training."""
    chosen = parse_options(options)
    device = configure_process(chosen)
    began = cpu_seconds()
    fitted = fit(prepared, chosen, device, interrupt=Interrupt(listen=False))
    seconds = cpu_seconds() - began
    best = fitted.result.best
    assert best.valid is not None, "rows are held out"
    return {
        "accuracy": best.metrics["accuracy"],
        "cross-entropy": fitted.result.criterion.classification,
        "MSE": best.valid["reconstruction"],
        "CPU s": seconds,
    }
