"""Measure the scores of outliers on labelled tables, with defaults only.

    .venv/bin/python benchmarks/outliers.py FOLDER [adbench[:TABLE]] [skab] [nab]

`adbench` reads FOLDER/adbench/*.parquet (label `anomaly`), three seeds: `semi` trains on half of
the normal rows and scores the rest, `unsup` trains on everything and scores it. `skab` reads
FOLDER/skab.parquet and trains a model on the first 400 rows of each run that has anomalies, in
windows of 60; the rest is scored row by row, and all runs make one ranking. `nab` reads
FOLDER/nab/*.csv, trains on a whole file in windows of 48 without its label, and scores its rows.
Figures are AUROC, of ADBench average precision, too. Isolation forest and the Mahalanobis distance
of the inputs are next to them where scikit-learn can be imported.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

import aecli

try:
    from sklearn.covariance import EmpiricalCovariance
    from sklearn.ensemble import IsolationForest
except ImportError:
    EmpiricalCovariance = IsolationForest = None

Floats = npt.NDArray[np.float64]
Fit = Callable[[Floats, Floats, int], Floats]
SEEDS = (0, 1, 2)
NAB_WINDOW = 48


def auroc(marks: Floats, scores: Floats) -> float:
    """Return the Mann-Whitney statistic, ties counted half."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[places]
    positive = int(marks.sum())
    wins = ranks[marks == 1].sum() - positive * (positive + 1) / 2
    return float(wins / (positive * (len(marks) - positive)))


def average_precision(marks: Floats, scores: Floats) -> float:
    """Return the mean precision at the anomalies' scores; equal scores have one precision."""
    values, places = np.unique(-scores, return_inverse=True)
    counts = np.bincount(places, minlength=len(values)).cumsum()
    hits = np.bincount(places, weights=marks, minlength=len(values))
    return float((hits * hits.cumsum() / counts).sum() / hits.sum())


def matrix(table: pa.Table) -> Floats:
    """Return a table of numbers as `(n_rows, n_columns)`."""
    return np.stack([column.to_numpy() for column in table.columns], axis=1).astype(float)


def scaled(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Standardise both by the training rows; constant columns become 0."""
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = np.inf
    return (train - mean) / deviation, (test - mean) / deviation


def forest(train: Floats, test: Floats, seed: int) -> Floats:
    """Return the scores of an isolation forest."""
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def mahalanobis(train: Floats, test: Floats, seed: int) -> Floats:
    """Return squared Mahalanobis distances of the inputs."""
    train, test = scaled(train, test)
    return EmpiricalCovariance().fit(train).mahalanobis(test)


def pca(train: Floats, test: Floats, seed: int) -> Floats:
    """Return the squared errors that the components for 90 % of the variance leave."""
    train, test = scaled(train, test)
    values, vectors = np.linalg.eigh(np.cov(train.T))
    kept = vectors[:, ::-1][:, : 1 + int((values[::-1].cumsum() < 0.9 * values.sum()).sum())]
    return np.square(test - test @ kept @ kept.T).sum(1)


PEERS: dict[str, Fit] = {}
if IsolationForest is not None:
    PEERS = {"isolation forest": forest, "Mahalanobis": mahalanobis}


def own(train: pa.Table, test: pa.Table, seed: int, keep: list[str], **options: object) -> pa.Table:
    """Train with defaults, and return the scores of the other table."""
    with tempfile.TemporaryDirectory() as place:
        aecli.train(train, model=f"{place}/m", seed=seed, **options)
        unit = "row" if "window" in options else "window"
        aecli.score(
            test, f"{place}/s.parquet", model=f"{place}/m", explain=0, score_unit=unit, keep=keep
        )
        return pq.read_table(f"{place}/s.parquet")


def protocols(table: pa.Table, seed: int) -> Iterator[tuple[str, pa.Table, pa.Table]]:
    """Yield each protocol with its training and its test table."""
    yield "unsup", table, table
    marks = table["anomaly"].to_numpy()
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(marks == 0))
    half = len(normal) // 2
    test = np.sort(np.concatenate([normal[half:], np.flatnonzero(marks == 1)]))
    yield "semi", table.take(np.sort(normal[:half])), table.take(test)


def adbench(folder: Path, only: str = "") -> None:
    """Print the mean AUROC and average precision of every table, in both protocols."""
    means: dict[str, list[Floats]] = {}
    names = ["aecli", *PEERS, *(f"{name}, AP" for name in ("aecli", *PEERS))]
    print(f"| table | protocol | {' | '.join(names)} | seconds |")
    print("|---|---|" + "---|" * (len(names) + 1))
    for path in sorted((folder / "adbench").glob(f"*{only}*.parquet")):
        table = pq.read_table(path)
        found: dict[str, list[list[float]]] = {}
        began = time.perf_counter()
        for seed in SEEDS:
            for protocol, train, test in protocols(table, seed):
                found.setdefault(protocol, []).append(figures_of(train, test, seed))
        for protocol, figures in sorted(found.items()):
            means.setdefault(protocol, []).append(np.mean(figures, axis=0))
            line = " | ".join(f"{value:.3f}" for value in means[protocol][-1])
            seconds = time.perf_counter() - began
            print(f"| {path.stem} | {protocol} | {line} | {seconds:.0f} |", flush=True)
    for protocol, values in sorted(means.items()):
        line = " | ".join(f"{value:.4f}" for value in np.mean(values, axis=0))
        print(f"| **mean** | {protocol} | {line} | |")


def figures_of(train: pa.Table, test: pa.Table, seed: int) -> list[float]:
    """Return the AUROC of aecli and its peers, then their average precision."""
    marks = test["anomaly"].to_numpy()
    rows, asked = train.drop_columns(["anomaly"]), test.drop_columns(["anomaly"])
    scores = [own(rows, asked, seed, [])["score"].to_numpy()]
    assert np.isfinite(scores[0]).all(), "a score is not a number"
    scores += [fit(matrix(rows), matrix(asked), seed) for fit in PEERS.values()]
    return [measure(marks, of) for measure in (auroc, average_precision) for of in scores]


def skab(folder: Path) -> None:
    """Print the pooled AUROC of the rows after the first 400 of each run."""
    table = pq.read_table(folder / "skab.parquet")
    print("| architecture | AUROC of each seed | mean | seconds |\n|---|---|---|---|")
    for arch in ("vanilla", "conv1d"):
        began, found = time.perf_counter(), []
        for seed in SEEDS:
            found.append(auroc(*skab_scores(table, arch, seed)))
        each = ", ".join(f"{value:.3f}" for value in found)
        seconds = time.perf_counter() - began
        print(f"| {arch} | {each} | {np.mean(found):.3f} | {seconds:.0f} |", flush=True)


def skab_scores(table: pa.Table, arch: str, seed: int) -> tuple[Floats, Floats]:
    """Return the marks and the scores of the rows after the first 400 of all runs."""
    table = table.drop_columns(["changepoint"])
    marks, scores = [], []
    for run in table["run"].unique().to_pylist():
        if "anomaly-free" in run:
            continue
        rows = table.filter(pc.equal(table["run"], run)).sort_by("datetime")
        train = rows.slice(0, 400).drop_columns(["anomaly", "run"])
        how = {"arch": arch, "window": 60, "time": "datetime"}
        rest = own(train, rows, seed, ["anomaly"], **how).slice(400)
        marks.append(rest["anomaly"].to_numpy())
        scores.append(rest["score"].to_numpy())
    return np.concatenate(marks), np.concatenate(scores)


def nab(folder: Path) -> None:
    """Print the AUROC of every file's rows next to windowed PCA and an isolation forest."""
    size, means = NAB_WINDOW, []
    peers = {"windowed PCA": pca} | ({"isolation forest": forest} if PEERS else {})
    print(f"| file | aecli | {' | '.join(peers)} |\n|---|---|{'---|' * len(peers)}")
    for path in sorted((folder / "nab").glob("*.csv")):
        table = pacsv.read_csv(path)
        marks = table["anomaly"].to_numpy()
        rows = table.drop_columns(["anomaly"])
        how = {"window": size, "time": rows.column_names[0]}
        found = [own(rows, rows, seed, [], **how)["score"].to_numpy() for seed in SEEDS]
        figures = [float(np.mean([auroc(marks, scores) for scores in found]))]
        windows = np.lib.stride_tricks.sliding_window_view(table["value"].to_numpy(), size)
        for fit in peers.values():
            figures.append(auroc(marks, spread(fit(windows, windows, 0), size)))
        means.append(figures)
        line = " | ".join(f"{value:.3f}" for value in figures)
        print(f"| {path.stem} | {line} |", flush=True)
    print(f"| **mean** | {' | '.join(f'{value:.3f}' for value in np.mean(means, axis=0))} |")


def spread(scores: Floats, size: int) -> Floats:
    """Return each row's mean over the windows that it lies in."""
    sums = np.convolve(scores, np.ones(size))
    return sums / np.convolve(np.ones(len(scores)), np.ones(size))


def main() -> None:
    """Run what is asked for, everything unless something is."""
    folder = Path(sys.argv[1])
    parts = {"adbench": adbench, "skab": skab, "nab": nab}
    for name in sys.argv[2:] or parts:
        part, _, only = name.partition(":")
        parts[part](folder, *([only] if only else []))


if __name__ == "__main__":
    main()
