"""Options and their alternatives: each variant is trained and measured on the same rows.

A case is a table with its shared options. Choices of defaults are measured on a random fifth of the
training rows, held out from the training; what the defaults come to on the test rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness import Row, Run
from measures import of_columns, of_label, trained
from tables import FAILURES, IDENTIFIERS, Parts, halves, held_out, read, shuffled, without

import aecli

Options = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A table, the options of all its models, and its variants by title."""

    file: str
    shared: Options
    variants: dict[str, Options]
    left_out: list[str] = field(default_factory=list)
    of: Callable[[Run, Parts], Parts] = lambda run, parts: parts


def on_held_out(run: Run, parts: Parts) -> Parts:
    """Return training rows and a fifth of them, held out."""
    return held_out(parts[0], run.seed)


def of_thousand(run: Run, parts: Parts) -> Parts:
    """Return 1,000 training rows, and the test rows."""
    return shuffled(parts[0], 0).slice(0, 1_000), parts[1]


def compare(cases: dict[str, Comparison], run: Run) -> Iterator[Row]:
    """Yield the figures of every variant of a case."""
    case = cases[run.case]
    table = without(read(run, case.file), *case.left_out)
    train, test = case.of(run, halves(table))
    for title, options in case.variants.items():
        with trained(run, train, **case.shared | _with_epochs(options, len(train))) as model:
            found = aecli.evaluate(test, model=model.model)
        pca = {f"{name}, PCA": value for name, value in of_columns(found, "pca").items()}
        figures = of_columns(found) | pca | of_label(found) | {"CPU s": model.seconds}
        yield {"table": run.case, "options": title, **figures}


def _with_epochs(options: Options, rows: int) -> Options:
    """Return options where `visits` of rows are a number of epochs."""
    if "visits" not in options:
        return options
    return {"epochs": math.ceil(options["visits"] / (0.9 * rows))}


MNIST = "mnist.parquet"
PIXELS: Options = {"encoder": [512, 256, 64], "l1": 1e-4, "label": "label"}
ADULT: Options = {"label": "income", "latent": 8}
CUT: Options = {"label": "cut", "latent": 4}
NUMBER_WEIGHTS: dict[str, Options] = {
    "`--number-weight 1`": {"number_weight": 1},
    "the default": {},
}
STARTS: dict[str, Options] = {
    "`--init default`": {"init": "default"},
    "`--init pca`": {"init": "pca"},
}
RATES: dict[str, Options] = {
    "`--lr 0.002 --output linear`": {"lr": 2e-3, "output": "linear"},
    "`--lr 0.004 --output linear`": {"lr": 4e-3, "output": "linear"},
    "the default": {},
}
LENGTHS: dict[str, Options] = {
    f"{visits:,} rows visited": {"visits": visits} for visits in (300_000, 500_000, 1_000_000)
}


def task_weights(*weights: float) -> dict[str, Options]:
    """Return variants of the weight of the reconstruction."""
    return {f"`--reconst-weight {weight}`": {"reconst_weight": weight} for weight in weights}


WEIGHTS = {
    "adult-label-16": Comparison("adult.csv", ADULT | {"latent": 16}, NUMBER_WEIGHTS),
    "adult-label-8": Comparison("adult.csv", ADULT, NUMBER_WEIGHTS),
    "diamonds-label-4": Comparison("diamonds.csv", CUT, NUMBER_WEIGHTS),
}
SMALL = {
    "adult": Comparison("adult.csv", {"latent": 8}, NUMBER_WEIGHTS, ["income"], of_thousand),
    "adult-label": Comparison("adult.csv", ADULT, NUMBER_WEIGHTS, of=of_thousand),
    "diamonds-label": Comparison("diamonds.csv", CUT, NUMBER_WEIGHTS, of=of_thousand),
}
TASKS = {
    "adult-label": Comparison("adult.csv", ADULT, task_weights(1, 2), of=on_held_out),
    "diamonds-label": Comparison("diamonds.csv", CUT, task_weights(1, 2), of=on_held_out),
    "ai4i-label": Comparison(
        "ai4i2020.csv", {"label": "Machine failure"}, task_weights(0.5, 1, 2),
        IDENTIFIERS + FAILURES, on_held_out,
    ),
}  # fmt: skip
INIT = {
    **{
        name: Comparison(f"{name}.csv", options, STARTS, left_out, on_held_out)
        for name, options, left_out in (
            ("adult", {"latent": 16}, ["income"]), ("diamonds", {}, []), ("ai4i2020", {}, []),
            ("letter", {}, []), ("penguins", {}, []), ("digits", {}, []), ("etth1", {}, []),
        )
    },
}  # fmt: skip
LABELLED_INIT = {
    "letter-label": Comparison("letter.csv", {"label": "lettr"}, STARTS, of=on_held_out),
    "digits-label": Comparison("digits.csv", {"label": "label"}, STARTS, of=on_held_out),
    "mnist-label": Comparison(MNIST, PIXELS, STARTS, of=on_held_out),
}
IMAGE_INIT = {
    f"mnist-{k}": Comparison(MNIST, {"latent": k}, STARTS, ["label"], on_held_out)
    for k in (12, 32, 64)
}
RATE = {
    f"mnist-{k}": Comparison(MNIST, {"latent": k}, RATES, ["label"], on_held_out)
    for k in (12, 32, 64)
}
LENGTH = {
    "letter": Comparison("letter.csv", {}, LENGTHS, of=on_held_out),
    "etth1": Comparison("etth1.csv", {}, LENGTHS, of=on_held_out),
    "diamonds": Comparison("diamonds.csv", {}, LENGTHS, of=on_held_out),
    "adult-label": Comparison("adult.csv", ADULT | {"latent": 16}, LENGTHS, of=on_held_out),
    "mnist-32": Comparison(MNIST, {"latent": 32}, LENGTHS, ["label"], on_held_out),
}

number_weights = partial(compare, WEIGHTS)
small_tables = partial(compare, SMALL)
tasks = partial(compare, TASKS)
starts = partial(compare, INIT)
labelled_starts = partial(compare, LABELLED_INIT)
image_starts = partial(compare, IMAGE_INIT)
rates = partial(compare, RATE)
lengths = partial(compare, LENGTH)
