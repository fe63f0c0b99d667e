"""Measure reconstruction next to classification: weight of numbers, start, small tables.

    .venv/bin/python benchmarks/balance.py FOLDER weights|tasks|starts|pixels|small [NAME…]

Means of seeds 0, 1 and 2; test rows are seen once. `weights` trains Adult and diamonds with their
label, with and without the weight of numbers that training chooses (names: adult16, adult8,
diamonds4). `tasks` trains mixed tables with other weights of the reconstruction, and `starts`
tables with their label from random weights and as PCA; both evaluate a fifth of the training rows,
held out, because they decide a default. `pixels` does so with MNIST and its test rows. `small`
trains on 1,000 rows of mixed tables, with the label and without it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

import aecli

SEEDS = range(3)

FAILURES = ("TWF", "HDF", "PWF", "OSF", "RNF")
"""Columns of ai4i2020.csv that the label is computed from."""

FIGURES = ("R²", "PCA's R²", "categories", "PCA's", "scaled MSE", "AUROC", "accuracy", "CPU s")

Parts = tuple[pa.Table, pa.Table]


def halves(table: pa.Table, test: int = 4) -> Parts:
    """Return training and test rows: those of `split`, else every `test`-th shuffled row."""
    if "split" in table.column_names:
        parts = (table.filter(pc.equal(table["split"], part)) for part in ("train", "test"))
        train, held_out = (part.drop_columns(["split"]) for part in parts)
        return train, held_out
    order = np.random.default_rng(0).permutation(len(table))
    return table.take(order[len(table) // test :]), table.take(order[: len(table) // test])


def tables(folder: Path) -> dict[str, tuple[Parts, str, dict[str, Any]]]:
    """Return mixed tables with their label and the options of their model."""
    failures = pacsv.read_csv(folder / "ai4i2020.csv").drop_columns(
        [*FAILURES, "UID", "Product ID"]
    )
    return {
        "adult": (halves(pacsv.read_csv(folder / "adult.csv")), "income", {"latent": 8}),
        "diamonds": (halves(pacsv.read_csv(folder / "diamonds.csv")), "cut", {"latent": 4}),
        "ai4i2020": (halves(failures), "Machine failure", {}),
        "letter": (halves(pacsv.read_csv(folder / "letter.csv")), "lettr", {}),
        "digits": (halves(pacsv.read_csv(folder / "digits.csv")), "label", {}),
    }


def measure(parts: Parts, seed: int, options: dict[str, Any]) -> list[float | None]:
    """Return the figures of one model on the test rows."""
    train, test = parts
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        aecli.train(train, model=f"{folder}/m", seed=seed, **options)
        seconds = time.process_time() - began
        found = aecli.evaluate(test, model=f"{folder}/m")
    scores = [score for score in found.columns if score.metric == "accuracy"]
    own, pca = ([getattr(s, who) for s in scores] for who in ("value", "pca"))
    head = found.classification
    return [
        found.number_r2,
        found.number_r2_pca,
        statistics.mean(own) if own else None,
        statistics.mean(pca) if pca else None,
        found.number_mse,
        None if head is None else head.auroc,
        None if head is None else head.accuracy,
        seconds,
    ]


def row(name: str, parts: Parts, options: dict[str, Any], seeds: Sequence[int] = SEEDS) -> None:
    """Print the means of some seeds as a row of a table."""
    found = [measure(parts, seed, options) for seed in seeds]
    shown = []
    for values in zip(*found, strict=True):
        known = [value for value in values if value is not None]
        shown.append(f"{statistics.mean(known):.4f}" if known else "–")
    print(f"| {name} | {' | '.join(shown)} |", flush=True)


def header(first: str) -> None:
    """Print the head of a table."""
    print(f"| {first} | {' | '.join(FIGURES)} |\n|---|{'---|' * len(FIGURES)}")


def weights(folder: Path, chosen: Sequence[str]) -> None:
    """Print the trade of numbers and categories by the weight of numbers."""
    known = tables(folder)
    header("table, number weight")
    for name, latent in (("adult", 16), ("adult", 8), ("diamonds", 4)):
        parts, label, _ = known[name]
        if f"{name}{latent}" not in chosen and chosen:
            continue
        for weight in (1, "auto"):
            options = {"label": label, "latent": latent, "number_weight": weight}
            row(f"{name}, latent {latent}, {weight}", parts, options)


def tasks(folder: Path, chosen: Sequence[str]) -> None:
    """Print the trade of the reconstruction and the label by the weight of the reconstruction."""
    known = tables(folder)
    header("table, weight of the reconstruction")
    for name, tried in (("adult", (1, 2)), ("diamonds", (1, 2)), ("ai4i2020", (0.5, 1, 2))):
        (train, _), label, more = known[name]
        if name not in chosen and chosen:
            continue
        for weight in tried:
            options = {"label": label, "reconst_weight": weight, **more}
            row(f"{name}, {weight}", halves(train, 5), options)


def starts(folder: Path, chosen: Sequence[str]) -> None:
    """Print the figures of both starts with a label."""
    header("table, start")
    for name, ((train, _), label, more) in tables(folder).items():
        if name not in chosen and chosen:
            continue
        for start in ("default", "pca"):
            row(f"{name}, {start}", halves(train, 5), {"label": label, "init": start, **more})


def pixels(folder: Path, chosen: Sequence[str]) -> None:
    """Print the same for MNIST and its test rows, with one seed."""
    parts = halves(pq.read_table(folder / "mnist.parquet"))
    options = {"label": "label", "encoder": [512, 256, 64], "l1": 1e-4}
    header("start")
    for start in chosen or ("default", "auto"):
        row(start, parts, options | {"init": start}, seeds=(0,))


def small(folder: Path, chosen: Sequence[str]) -> None:
    """Print the figures of models of 1,000 rows, with and without a label and a raised weight."""
    header("table, label, number weight")
    for name in ("adult", "diamonds", "ai4i2020"):
        if name not in chosen and chosen:
            continue
        (train, test), label, more = tables(folder)[name]
        few = train.take(np.random.default_rng(0).permutation(len(train))[:1_000])
        for weight in (1, "auto"):
            options = {"number_weight": weight, **more}
            row(f"{name}, {label}, {weight}", (few, test), {"label": label, **options})
            row(f"{name}, none, {weight}", (few, test), {"exclude": [label], **options})


def main() -> None:
    """Run one part, for all of its tables or the named ones."""
    parts = {"weights": weights, "tasks": tasks, "starts": starts, "pixels": pixels, "small": small}
    parts[sys.argv[2]](Path(sys.argv[1]), sys.argv[3:])


if __name__ == "__main__":
    main()
