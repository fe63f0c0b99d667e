"""Ordinary rows that are flagged, and the spread of their scores, with defaults only.

Each of 20 tables, stored or generated, is divided by the seed: two thirds of its rows, at most as
many as `TABLES` says, are trained on, and up to 1,000 others of the same distribution are scored.
Of a table with marked anomalies the ordinary rows are divided so, and its anomalies are scored with
them for the AUROC. All figures but the AUROC are of ordinary rows: the share above the default
threshold, the 99th percentile over the median, and the largest score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from harness import Row, Run
from measures import trained
from sklearn.metrics import roc_auc_score
from tables import read, without

import aecli

Marks = npt.NDArray[np.int64]
Marked = tuple[pa.Table, Marks | None]
GENERATED_ROWS = 4_000
SCORED_ROWS = 1_000


def stored(name: str, run: Run) -> Marked:
    """Return a table of the folder without its label or its marks, and the marks of its rows."""
    table = read(run, name)
    marks = table["anomaly"].to_numpy().astype(int) if "anomaly" in table.column_names else None
    left_out = ("anomaly", "label", "split", "UDI", "UID", "Product ID", "date", "t")
    return without(table, *left_out), marks


def rare(run: Run) -> Marked:
    """Return three normal numbers and five that are 0 in 99.6 % of the rows."""
    random, rows = np.random.default_rng(run.seed), GENERATED_ROWS
    columns = {name: random.normal(size=rows) for name in "xyz"}
    for i in range(5):
        values = random.integers(1, 9, rows)
        columns[f"refunds{i}"] = np.where(random.random(rows) < 0.004, values, 0)
    return pa.table(columns), None


def orders(run: Run) -> Marked:
    """Return a shop's orders, where `paid` nearly follows from `status`; one total is absurd."""
    random, rows = np.random.default_rng(run.seed), GENERATED_ROWS
    status = random.choice(["shipped", "open", "returned"], rows, p=[0.7, 0.2, 0.1])
    paid = np.where(status == "open", "no", "yes")
    paid[random.random(rows) < 0.004] = "no"
    price, quantity = random.gamma(3, 20, rows).round(2), random.integers(1, 6, rows)
    total, marks = (price * quantity).round(2), np.zeros(rows, dtype=int)
    total[rows // 2], marks[rows // 2] = 99_999.0, 1
    countries = random.choice(["DE", "US", "FR", "NO", "NA"], rows, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    columns = {"country": countries, "status": status, "paid": paid}
    return pa.table(columns | {"price": price, "quantity": quantity, "total": total}), marks


@dataclass(frozen=True)
class Table:
    """A table by name: how it is read, and the most rows that are trained on."""

    name: str
    read: Callable[[Run], Marked]
    most: int = 3_000


def file(path: str, most: int = 3_000, name: str | None = None) -> Table:
    """Return a table of the folder."""
    return Table(name or Path(path).stem, partial(stored, path), most)


TABLES = [
    file("adbench/23_mammography.parquet"),
    file("adbench/24_mnist.parquet", 2_000),
    file("adbench/26_optdigits.parquet", 2_000),
    file("adbench/28_pendigits.parquet"),
    file("adbench/2_annthyroid.parquet"),
    file("adbench/32_shuttle.parquet"),
    file("mnist.parquet", 2_000),
    file("adult.csv"),
    file("ai4i2020.csv"),
    file("diamonds.csv"),
    file("letter.csv"),
    Table("orders", orders),
    Table("rare", rare),
    file("adbench/6_cardio.parquet"),
    file("adbench/40_vowels.parquet", name="40_vowels"),
    Table("rare, 600 rows", rare, 600),
    Table("orders, 500 rows", orders, 500),
    file("adult.csv", 400, "adult, 400 rows"),
    file("diamonds.csv", 250, "diamonds, 250 rows"),
    file("penguins.csv"),
]


def divided(
    table: pa.Table, marks: Marks | None, most: int, seed: int
) -> tuple[pa.Table, pa.Table, Marks]:
    """Return the rows to train on, the rows to score, and the marks of these."""
    known = np.zeros(table.num_rows, dtype=int) if marks is None else marks
    ordinary = np.random.default_rng(seed).permutation(np.flatnonzero(known == 0))
    count = min(most, 2 * len(ordinary) // 3)
    rest = np.concatenate([ordinary[count:][:SCORED_ROWS], np.flatnonzero(known == 1)])
    return table.take(np.sort(ordinary[:count])), table.take(rest), known[rest]


def measure(run: Run) -> Iterator[Row]:
    """Yield the figures of every table."""
    for table in TABLES:
        train, test, marks = divided(*table.read(run), table.most, run.seed)
        with trained(run, train) as model:
            scored = aecli.load(model.model).score(test, explain=0)
            threshold = model.result.spec.calibration.scales["mean"].threshold
        scores = np.asarray(scored["score"])
        ordinary = scores[marks == 0]
        row: Row = {
            "table": table.name,
            "training rows": train.num_rows,
            "flagged, %": 100 * float((ordinary > threshold).mean()),
            "p99 / median": float(np.quantile(ordinary, 0.99) / np.median(ordinary)),
            "largest": float(ordinary.max()),
        }
        if marks.any():
            row["AUROC"] = float(roc_auc_score(marks, scores))
        yield row | {"CPU s": model.seconds}
