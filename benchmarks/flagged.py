"""Measure how many ordinary rows are flagged, and how far their scores spread, with defaults only.

    .venv/bin/python benchmarks/flagged.py FOLDER [--seeds 5] [TABLE …]

Each of 20 tables, of FOLDER or generated here, is divided by the seed: two thirds of its rows, at
most as many as `TABLES` says, are trained on with defaults, and up to 1,000 others of the same
distribution are scored. Of a table with marked anomalies the ordinary rows are divided so, and its
anomalies are scored with them for the AUROC. All figures but the AUROC are of ordinary rows only,
the seeds together: the share above the default threshold, the 99th percentile over the median, and
the largest score.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from outliers import auroc

import aecli

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.int64]
Read = Callable[[Path, int], tuple[pa.Table, Marks | None]]
SCORED_ROWS = 1_000


def stored(name: str, folder: Path, seed: int) -> tuple[pa.Table, Marks | None]:
    """Return a table of the folder without its label or its marks, and the marks of its rows."""
    path = folder / name
    table = pq.read_table(path) if path.suffix == ".parquet" else pacsv.read_csv(path)
    marks = table["anomaly"].to_numpy().astype(int) if "anomaly" in table.column_names else None
    left_out = {"anomaly", "label", "split", "UDI", "UID", "Product ID", "date", "t"}
    return table.drop_columns([n for n in table.column_names if n in left_out]), marks


def rare(rows: int, folder: Path, seed: int) -> tuple[pa.Table, Marks | None]:
    """Return three normal numbers and five that are 0 in 99.6 % of the rows."""
    random = np.random.default_rng(seed)
    columns = {name: random.normal(size=rows) for name in "xyz"}
    for i in range(5):
        values = random.integers(1, 9, rows)
        columns[f"refunds{i}"] = np.where(random.random(rows) < 0.004, values, 0)
    return pa.table(columns), None


def orders(rows: int, folder: Path, seed: int) -> tuple[pa.Table, Marks | None]:
    """Return a shop's orders, where `paid` nearly follows from `status`; one total is absurd."""
    random = np.random.default_rng(seed)
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
    read: Read
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
    Table("orders", partial(orders, 4_000)),
    Table("rare", partial(rare, 4_000)),
    file("adbench/6_cardio.parquet"),
    file("adbench/40_vowels.parquet", name="40_vowels"),
    Table("rare, 600 rows", partial(rare, 4_000), 600),
    Table("orders, 500 rows", partial(orders, 4_000), 500),
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


def scores_of(train: pa.Table, test: pa.Table, seed: int) -> tuple[Floats, float]:
    """Train with defaults; return the scores of the other rows, and the threshold."""
    with tempfile.TemporaryDirectory() as place:
        result = aecli.train(train, model=f"{place}/m", seed=seed)
        scored = aecli.load(f"{place}/m").score(test, explain=0)
    calibration = result.spec.calibration
    assert calibration is not None, "a training calibrates"
    return scored["score"].to_numpy(), calibration.scales["mean"].threshold


def measure(table: Table, folder: Path, seeds: int) -> tuple[int, Floats]:
    """Return the training rows, and flagged share, p99 / median, largest score, AUROC, seconds."""
    ordinary, above, curves, spent = [], [], [], 0.0
    for seed in range(seeds):
        train, test, marks = divided(*table.read(folder, seed), table.most, seed)
        began = time.perf_counter()
        scores, threshold = scores_of(train, test, seed)
        spent += time.perf_counter() - began
        ordinary.append(scores[marks == 0])
        above.append(ordinary[-1] > threshold)
        if marks.any():
            curves.append(auroc(marks, scores))
    scores = np.concatenate(ordinary)
    spread = np.quantile(scores, 0.99) / np.median(scores)
    area = float(np.mean(curves)) if curves else np.nan
    share = 100 * float(np.concatenate(above).mean())
    return train.num_rows, np.array([share, spread, scores.max(), area, spent / seeds])


def main() -> None:
    """Print a line per table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    print("| table | trained rows | flagged % | p99 / median | largest | AUROC | seconds |")
    print("|---|---|---|---|---|---|---|")
    for table in TABLES:
        if given.tables and table.name not in given.tables:
            continue
        rows, (share, spread, largest, area, spent) = measure(table, given.folder, given.seeds)
        known = "" if np.isnan(area) else f"{area:.3f}"
        figures = f"{share:.2f} | {spread:.1f} | {largest:.4g} | {known} | {spent:.1f}"
        print(f"| {table.name} | {rows:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
