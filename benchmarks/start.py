"""Compare a start at PCA with torch's own start, and short trainings with long ones.

    .venv/bin/python benchmarks/start.py FOLDER [tables] [mnist] [labelled] [lengths] [rates]

`tables` are trained without a label on nine tenths of their rows and compared on the tenth that
training held out, which chose the epoch for both starts. `mnist` trains latents of 12, 32 and 64 on
`split=train` with defaults only and measures `split=test`: pixels in 0..1, over all 784, and as
`aecli reconstruct` writes them, whole and within 0..255; with k = 32 also the accuracy of 5 nearest
neighbours on the latents. `labelled` adds a classifier. `lengths` trains for fewer and
for more epochs, and compares the losses of the rows that training held out. `rates` sets the rate
and the cut of numbers to 0..1, compared with earlier defaults: on MNIST's test rows, and with a
label on the sample of Adult.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import torch
from torch import Tensor

import aecli

Data = str | pa.Table

STARTS = ("default", "pca")
TABLES: dict[str, dict[str, Any]] = {
    "adult.csv": {"exclude": ["split", "income"], "latent": 16},
    "diamonds.csv": {},
    "ai4i2020.csv": {},
    "letter.csv": {},
    "penguins.csv": {},
    "digits.csv": {},
    "etth1.csv": {},
}


def tables(folder: Path) -> None:
    """Print the held-out losses of every table from both starts."""
    print("| table | start | loss | scaled MSE | accuracy | PCA: scaled MSE | accuracy |")
    print("|---|---|---|---|---|---|---|")
    for name, options in TABLES.items():
        for start in STARTS:
            with tempfile.TemporaryDirectory() as model:
                found = aecli.train(str(folder / name), model=f"{model}/m", init=start, **options)
            summary = found.spec.summary
            own, pca = (row for row in summary.baselines if row.name != "column means")
            figures = [summary.valid["total"], own.mse, own.accuracy, pca.mse, pca.accuracy]
            shown = ["–" if value is None else f"{value:.4f}" for value in figures]
            print(f"| {name} | {start} | {' | '.join(shown)} |", flush=True)


def halves(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the training and the test rows."""
    train, test = (table.filter(pc.equal(table["split"], part)) for part in ("train", "test"))
    return train.drop_columns(["split"]), test.drop_columns(["split"])


def matrix(table: pa.Table) -> np.ndarray:
    """Return a table of numbers as `(n_rows, n_columns)`."""
    return np.stack([column.to_numpy() for column in table.columns], axis=1).astype(np.float32)


def mnist(folder: Path) -> None:
    """Print the test error of the pixels for three latent sizes and both starts."""
    train, test = halves(pq.read_table(folder / "mnist.parquet"))
    print("| latent | start | CPU seconds | MSE | MSE as written | 5-NN accuracy |")
    print("|---|---|---|---|---|---|")
    for latent in (12, 32, 64):
        for start in STARTS:
            with tempfile.TemporaryDirectory() as place:
                print(mnist_row(train, test, latent, start, Path(place)), flush=True)


def nearest(known: Tensor, asked: Tensor, labels: Tensor, truth: Tensor) -> float:
    """Return the share of rows that most of their 5 nearest known rows name rightly."""
    right = 0
    for rows, wanted in zip(asked.split(500), truth.split(500), strict=True):
        votes = labels[torch.cdist(rows, known).topk(5, largest=False).indices]
        right += int((votes.mode(dim=1).values == wanted).sum())
    return right / len(asked)


def mnist_row(train: pa.Table, test: pa.Table, latent: int, start: str, place: Path) -> str:
    """Train and measure one model; return a line of the table."""
    how = {"model": place / "m"}
    began = time.process_time()
    aecli.train(train, exclude=["label"], latent=latent, init=start, **how)
    seconds = time.process_time() - began
    found = aecli.evaluate(test, **how)
    aecli.reconstruct(test, str(place / "rows.parquet"), **how)
    pixels = matrix(test.drop_columns(["label"]))
    error = (matrix(pq.read_table(place / "rows.parquet")) - pixels) / 255
    neighbours = "–"
    if latent == 32:
        parts = []
        for rows in (train, test):
            aecli.encode(rows, str(place / "z.parquet"), **how)
            parts.append(matrix(pq.read_table(place / "z.parquet")))
        labels = [torch.from_numpy(rows["label"].to_numpy()) for rows in (train, test)]
        neighbours = f"{nearest(*map(torch.from_numpy, parts), *labels):.4f}"
    mse = (found.number_mse or 0.0) * len(found.columns) / pixels.shape[1]
    written = float(np.square(error).mean())
    return f"| {latent} | {start} | {seconds:.0f} | {mse:.5f} | {written:.5f} | {neighbours} |"


def labelled(folder: Path) -> None:
    """Print what both starts come to with a classifier."""
    adult = halves(pacsv.read_csv(folder / "adult.csv"))
    digits = halves(pq.read_table(folder / "mnist.parquet"))
    wide = {"label": "label", "encoder": [512, 256, 64], "l1": 1e-4, "epochs": 15}
    runs = {"Adult": (adult, {"label": "income", "latent": 16}), "MNIST": (digits, wide)}
    print("| table | start | accuracy | AUROC | scaled MSE |\n|---|---|---|---|---|")
    for name, ((train, test), options) in runs.items():
        for start in STARTS:
            with tempfile.TemporaryDirectory() as place:
                aecli.train(train, model=f"{place}/m", init=start, **options)
                found = aecli.evaluate(test, model=f"{place}/m")
            head = found.classification
            assert head is not None, "both tables have a label"
            figures = f"{head.accuracy:.4f} | {head.auroc:.4f} | {found.number_mse:.5f}"
            print(f"| {name} | {start} | {figures} |", flush=True)


def lengths(folder: Path) -> None:
    """Print held-out losses after fewer and after more visits of rows, means of 3 seeds."""
    adult = halves(pacsv.read_csv(folder / "adult.csv"))[0]
    digits = halves(pq.read_table(folder / "mnist.parquet"))[0]
    census: dict[str, Any] = {"label": "income", "latent": 16}
    pixels: dict[str, Any] = {"exclude": ["label"], "latent": 32}
    runs: list[tuple[str, Data, dict[str, Any], int]] = [
        *((name, str(folder / name), TABLES[name], 3) for name in LENGTHENED),
        ("Adult with its label, cross-entropy", adult, census, 3),
        ("MNIST, latent 32, one seed", digits, pixels, 1),
    ]
    print("| table |" + "".join(f" {visits:,} |" for visits in VISITS))
    print("|---|" + "---|" * len(VISITS))
    for name, data, options, seeds in runs:
        shown = [f"{held_out(data, visits, seeds, options):.4f}" for visits in VISITS]
        print(f"| {name} | {' | '.join(shown)} |", flush=True)


LENGTHENED = ("letter.csv", "etth1.csv", "diamonds.csv")

VISITS = (300_000, 500_000, 1_000_000)


def held_out(data: Data, visits: int, seeds: int, options: dict[str, Any]) -> float:
    """Return the mean loss of the held-out rows, of the label where there is one."""
    found = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            how = {"model": f"{place}/m", "seed": seed, **options}
            rows = data.num_rows if isinstance(data, pa.Table) else pacsv.read_csv(data).num_rows
            made = aecli.train(data, epochs=math.ceil(visits / (0.9 * rows)), **how)
        valid = made.spec.summary.valid
        found.append(valid.get("classification", valid["total"]))
    return statistics.mean(found)


def rates(folder: Path) -> None:
    """Print what the learning rate, and numbers that are not cut to 0..1, come to on test rows."""
    train, test = halves(pq.read_table(folder / "mnist.parquet"))
    former: dict[str, Any] = {"output": "linear"}
    print("| latent | 0.002, not cut | 0.004, not cut | 0.004, cut |\n|---|---|---|---|")
    for latent in (12, 32, 64):
        runs = [former | {"lr": 2e-3}, former | {"lr": 4e-3}, {"lr": 4e-3}]
        shown = [f"{pixel_error(train, test, latent, how):.5f}" for how in runs]
        print(f"| {latent} | {' | '.join(shown)} |", flush=True)
    print("\n| Adult, 2,000 rows: rate | AUROC of seeds 0, 1, 2 |\n|---|---|")
    for rate in (2e-3, 4e-3):
        shown = [f"{sample_auroc(rate, seed):.3f}" for seed in range(3)]
        print(f"| {rate} | {', '.join(shown)} |", flush=True)


def pixel_error(train: pa.Table, test: pa.Table, latent: int, how: dict[str, Any]) -> float:
    """Return the squared error of test pixels in 0..1, over all 784."""
    with tempfile.TemporaryDirectory() as place:
        aecli.train(train, exclude=["label"], latent=latent, model=f"{place}/m", **how)
        found = aecli.evaluate(test, model=f"{place}/m")
    return (found.number_mse or 0.0) * len(found.columns) / 784


def sample_auroc(rate: float, seed: int) -> float:
    """Return the test AUROC of the label of the sample of Adult."""
    rows = Path(__file__).parent.parent / "sample_data"
    how: dict[str, Any] = {"label": "income", "latent": 8, "lr": rate, "seed": seed}
    with tempfile.TemporaryDirectory() as place:
        aecli.train(str(rows / "adult_train.csv"), model=f"{place}/m", **how)
        head = aecli.evaluate(str(rows / "adult_test.csv"), model=f"{place}/m").classification
    assert head is not None, "the sample has a label"
    return head.auroc or 0.0


def main() -> None:
    """Run what is asked for, everything unless something is."""
    folder = Path(sys.argv[1])
    parts = {
        "tables": tables,
        "mnist": mnist,
        "labelled": labelled,
        "lengths": lengths,
        "rates": rates,
    }
    for name in sys.argv[2:] or parts:
        parts[name](folder)


if __name__ == "__main__":
    main()
