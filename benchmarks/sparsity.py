"""Measure sparse latents: share of exact zeros, active units and error, by penalty and weight.

    .venv/bin/python benchmarks/sparsity.py FOLDER TABLE [--seeds 0,1,2] VARIANT …

TABLE is digits (latent 64), mnist (10,000 rows, latent 64) or cardio (6_cardio of ADBench, latent
8). A VARIANT is options, as in `l1=0.1` or `topk=16`, and `none` for no penalty. The columns of
numbers are reconstructed on a fifth of the rows, drawn by the seed, that training does not have;
figures are means of the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

import aecli

LATENT = {"digits": 64, "mnist": 64, "cardio": 8}


def rows_of(folder: Path, name: str) -> pa.Table:
    """Return the rows of a table, without its label."""
    if name == "digits":
        return pacsv.read_csv(folder / "digits.csv").drop_columns(["label"])
    if name == "mnist":
        table = pq.read_table(folder / "mnist.parquet")
        table = table.filter(pc.equal(table["split"], "train")).drop_columns(["split", "label"])
        return table.take(np.random.default_rng(7).permutation(len(table))[:10_000])
    table = pq.read_table(folder / "adbench" / "6_cardio.parquet")
    return table.select([name for name in table.column_names if name != "anomaly"])


def measure(table: pa.Table, options: dict[str, Any], seed: int) -> list[float]:
    """Return zeros, active units, MSE of the held-out rows and CPU seconds of one training."""
    order = np.random.default_rng(seed).permutation(len(table))
    cut = len(table) * 4 // 5
    with tempfile.TemporaryDirectory() as place:
        model = f"{place}/model"
        began = time.process_time()
        aecli.train(table.take(order[:cut]), model=model, seed=seed, **options)
        seconds = time.process_time() - began
        result = aecli.evaluate(table.take(order[cut:]), model=model)
    error = result.losses["reconstruction"].value
    return [result.latent.zero_share, result.latent.active_share, error, seconds]


def main() -> None:
    """Print the figures of every variant, means of the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", choices=LATENT)
    parser.add_argument("variants", nargs="+", metavar="VARIANT")
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    table = rows_of(args.folder, args.table)
    for variant in args.variants:
        options: dict[str, Any] = {"latent": LATENT[args.table]}
        if variant != "none":
            options |= dict(pair.split("=") for pair in variant.split(","))
        seeds = [int(seed) for seed in args.seeds.split(",")]
        figures = zip(*(measure(table, options, seed) for seed in seeds), strict=True)
        zeros, active, error, seconds = (statistics.mean(values) for values in figures)
        print(
            f"{args.table} {variant:24} zeros {zeros:.3f}  active {active:.3f}  "
            f"MSE {error:.6f}  CPU {seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
