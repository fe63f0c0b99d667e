"""Sparse latents: share of exact zeros, active units and error, by penalty and weight.

The columns of numbers are reconstructed on a fifth of the rows, drawn by the seed, that training
does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from harness import Row, Run
from measures import trained
from tables import held_out, mnist, read, shuffled, without

import aecli

PIXELS: list[dict[str, Any]] = [
    {}, {"init": "default"}, {"l1": 0.03}, {"l1": 0.12}, {"l0": 0.01}, {"topk": 16},
]  # fmt: skip
CASES: dict[str, tuple[int, list[dict[str, Any]]]] = {
    "digits": (64, PIXELS),
    "mnist": (64, PIXELS),
    "cardio": (8, [{}, {"init": "default"}, {"l1": 0.3}, {"l0": 0.1}]),
}
"""Latent and variants of each table."""


def rows_of(run: Run) -> pa.Table:
    """Return the rows of a table, without its label."""
    if run.case == "digits":
        return without(read(run, "digits.csv"), "label")
    if run.case == "mnist":
        return shuffled(without(mnist(run)[0], "label"), 7).slice(0, 10_000)
    return without(read(run, "adbench/6_cardio.parquet"), "anomaly")


def measure(run: Run) -> Iterator[Row]:
    """Yield zeros, active units and the error of the held-out rows of every variant."""
    latent, variants = CASES[run.case]
    train, test = held_out(rows_of(run), run.seed)
    for options in variants:
        with trained(run, train, latent=latent, **options) as model:
            found = aecli.evaluate(test, model=model.model)
        named = ", ".join(f"`--{name} {value}`" for name, value in options.items())
        yield {
            "table": f"{run.case}, latent {latent}",
            "options": named or "the default",
            "exact zeros": found.latent.zero_share,
            "active units": found.latent.active_share,
            "MSE": found.losses["reconstruction"].value,
            "CPU s": model.seconds,
        }
