"""Anomaly scores of labelled tables with defaults only, next to detectors of scikit-learn.

`adbench`: ten tables of ADBench; normal rows: trained on half of the normal rows, the rest is
scored; all rows: trained on and scored, without the label. `series`: rows of the files of NAB, each
trained on in windows of 48 without its label, and of SKAB, where the first 400 rows of each run
with anomalies are trained on in windows of 60 and the rest of all runs makes one ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from harness import Row, Run
from measures import trained
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from tables import Floats, adbench, matrix, protocols, read

import aecli

Series = tuple[str, pa.Table, pa.Table, Floats, int]
"""Name, rows to train on, rows to score, marks of the latter, and the rows of a window."""

NAB_WINDOW, SKAB_WINDOW, SKAB_ROWS = 48, 60, 400
ISOLATED = "aecli, `--drop-isolated 0.1`"


def tables(run: Run) -> Iterator[Row]:
    """Yield the figures of aecli and its peers on every table of ADBench."""
    for name, table in adbench(run).items():
        for protocol, parts in protocols(table, run.seed).items():
            marks = parts[1]["anomaly"].to_numpy()
            rows, scored = (part.drop_columns(["anomaly"]) for part in parts)
            for who, (scores, seconds) in scores_of(run, protocol, rows, scored).items():
                figures = detection(marks, scores) | {"CPU s": seconds}
                yield {"table": name, "trained on": protocol, "scores": who, **figures}


def scores_of(
    run: Run, protocol: str, rows: pa.Table, scored: pa.Table
) -> dict[str, tuple[Floats, float | None]]:
    """Return the scores of each detector, and aecli's CPU seconds."""
    found: dict[str, tuple[Floats, float | None]] = {"aecli": own(run, rows, scored)}
    if protocol == "all rows":
        found[ISOLATED] = own(run, rows, scored, drop_isolated=0.1)
    for name, fit in PEERS.items():
        found[name] = (fit(matrix(rows), matrix(scored), run.seed), None)
    return found


def own(run: Run, rows: pa.Table, scored: pa.Table, **options: Any) -> tuple[Floats, float]:
    """Train with defaults; return the scores of the other rows, and the CPU seconds of training."""
    with trained(run, rows, **options) as model:
        unit = "row" if "window" in options else "window"
        output = f"{model.model}/../scores.parquet"
        aecli.score(scored, output, model=model.model, explain=0, score_unit=unit)
        scores: Floats = pq.read_table(output)["score"].to_numpy()
    assert np.isfinite(scores).all(), "a score is not a number"
    return scores, model.seconds


def detection(marks: Floats, scores: Floats) -> Row:
    """Return AUROC and average precision of scores."""
    return {
        "AUROC": float(roc_auc_score(marks, scores)),
        "average precision": float(average_precision_score(marks, scores)),
    }


def scaled(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Standardise both by the training rows; constant columns become 0."""
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = np.inf
    return (train - mean) / deviation, (test - mean) / deviation


def forest(train: Floats, test: Floats, seed: int) -> Floats:
    """Return the scores of an isolation forest."""
    scores: Floats = -IsolationForest(random_state=seed).fit(train).score_samples(test)
    return scores


def mahalanobis(train: Floats, test: Floats, seed: int) -> Floats:
    """Return squared Mahalanobis distances of the inputs."""
    train, test = scaled(train, test)
    distances: Floats = EmpiricalCovariance().fit(train).mahalanobis(test)
    return distances


def pca(train: Floats, test: Floats, seed: int) -> Floats:
    """Return the squared errors that the components for 90 % of the variance leave."""
    train, test = scaled(train, test)
    values, vectors = np.linalg.eigh(np.cov(train.T))
    kept = vectors[:, ::-1][:, : 1 + int((values[::-1].cumsum() < 0.9 * values.sum()).sum())]
    errors: Floats = np.square(test - test @ kept @ kept.T).sum(1)
    return errors


PEERS: dict[str, Callable[[Floats, Floats, int], Floats]] = {
    "isolation forest": forest,
    "Mahalanobis": mahalanobis,
}


def series(run: Run) -> Iterator[Row]:
    """Yield the AUROC of the rows of series, and of peers on the windows of NAB."""
    pooled: dict[str, list[tuple[Floats, Floats]]] = {}
    for name, train, rows, marks, window in SOURCES[run.case](run):
        scores, _ = own(run, train, rows, window=window, time=rows.column_names[0])
        tested = ~np.isnan(marks)
        pooled.setdefault(name, []).append((marks[tested], scores[tested]))
        if run.case == "nab":
            yield from peers_of_windows(run, name, rows, marks)
    for name, pairs in pooled.items():
        marks, scores = (np.concatenate(side) for side in zip(*pairs, strict=True))
        area = float(roc_auc_score(marks, scores))
        yield {"source": run.case, "series": name, "scores": "aecli", "AUROC": area}


def peers_of_windows(run: Run, name: str, rows: pa.Table, marks: Floats) -> Iterator[Row]:
    """Yield the AUROC of windowed PCA and of an isolation forest on a file of NAB."""
    values = rows["value"].to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(values, NAB_WINDOW)
    for who, fit in (("windowed PCA", pca), ("isolation forest", forest)):
        scores = spread(fit(windows, windows, run.seed), NAB_WINDOW)
        area = float(roc_auc_score(marks, scores))
        yield {"source": "nab", "series": name, "scores": who, "AUROC": area}


def spread(scores: Floats, size: int) -> Floats:
    """Return each row's mean over its windows."""
    sums = np.convolve(scores, np.ones(size))
    return sums / np.convolve(np.ones(len(scores)), np.ones(size))


def nab(run: Run) -> Iterator[Series]:
    """Yield the files of NAB; each is trained on and scored."""
    for path in sorted((run.data / "nab").glob("*.csv"))[: 1 if run.quick else None]:
        table = read(replace(run, quick=False), f"nab/{path.name}")
        rows = table.drop_columns(["anomaly"])
        yield path.stem, rows, rows, table["anomaly"].to_numpy().astype(float), NAB_WINDOW


def skab(run: Run) -> Iterator[Series]:
    """Yield the runs of SKAB with anomalies; the first 400 rows of each are trained on."""
    table = read(replace(run, quick=False), "skab.parquet").drop_columns(["changepoint"])
    names = [name for name in table["run"].unique().to_pylist() if "anomaly-free" not in name]
    for name in names[: 2 if run.quick else None]:
        rows = table.filter(pc.equal(table["run"], name)).sort_by("datetime")
        marks = rows["anomaly"].to_numpy().astype(float)
        marks[:SKAB_ROWS] = np.nan
        values = rows.drop_columns(["anomaly", "run"])
        yield "all runs", values.slice(0, SKAB_ROWS), values, marks, SKAB_WINDOW


SOURCES: dict[str, Callable[[Run], Iterator[Series]]] = {"nab": nab, "skab": skab}
