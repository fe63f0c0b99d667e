"""Worth of each part of the anomaly score of windows.

`made` generates series of three kinds (a day with weekends, an autoregressive process, several
columns that depend on each other) with anomalies of four: a shifted level, spikes, three times the
frequency, a flat line. `nab` and `skab` are those of outliers.py. A model is trained on each series
with defaults; the parts of the scores of windows are combined afterwards, and AUROC is that of the
rows, whose scores are means over their windows.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from harness import Row, Run
from outliers import SOURCES, Series, spread
from score_parts import PARTS, combination, ratios
from sklearn.metrics import roc_auc_score
from tables import Floats

from aecli.scoring.combination import WINDOW_ERROR_WEIGHT

LENGTH = 4_000
DAY = 48
KINDS = ("seasonal", "autoregressive", "several")
ANOMALIES = ("level", "spike", "frequency", "flat")
NAMES = (*PARTS[:3], "statistics, one by one", "statistics together")
WEIGHTS = np.array([WINDOW_ERROR_WEIGHT, WINDOW_ERROR_WEIGHT, 1, 1, 1])
COMBINATIONS = [
    (0,),
    (1,),
    (2,),
    (3,),
    (4,),
    (0, 1, 2),
    (0, 1, 2, 3),
    (0, 1, 2, 4),
    (0, 1, 2, 3, 4),
]


def normal(kind: str, rng: np.random.Generator) -> Floats:
    """Return a series without anomalies `(LENGTH, n_columns)`."""
    day = 2 * np.pi * np.arange(LENGTH) / DAY
    process = np.zeros(LENGTH)
    steps = np.sqrt(0.19) * rng.normal(size=LENGTH)
    for i in range(1, LENGTH):
        process[i] = 0.9 * process[i - 1] + steps[i]
    noise = rng.normal(size=(4, LENGTH))
    if kind == "autoregressive":
        return process[:, None]
    if kind == "seasonal":
        week = np.where(np.arange(LENGTH) // DAY % 7 >= 5, 0.6, 1.0)
        return (week * (np.sin(day) + 0.4 * np.sin(2 * day + 1)) + 0.15 * noise[0])[:, None]
    load = process + 0.5 * np.sin(day)
    later = 0.8 * np.roll(load, 3) + 0.2 * noise[1]
    return np.stack([load, later, np.exp(0.5 * load) + 0.1 * noise[2], noise[3]], 1)


def with_anomalies(kind: str, anomaly: str, seed: int) -> tuple[pa.Table, Floats]:
    """Return a series with four anomalies in one of its columns each, or twelve spikes."""
    rng = np.random.default_rng([seed, KINDS.index(kind), ANOMALIES.index(anomaly)])
    values, marks = normal(kind, rng), np.zeros(LENGTH)
    places = np.arange(200, LENGTH - 200, 160)
    count, lengths = (12, (2, 5)) if anomaly == "spike" else (4, (40, 90))
    for start in rng.choice(places, count, replace=False):
        rows = slice(start, start + rng.integers(*lengths))
        column = values[:, rng.integers(values.shape[1])]
        marks[rows] = 1
        column[rows] = changed(column, rows, anomaly, rng)
    start = datetime.datetime(2026, 1, 1)
    times = [start + datetime.timedelta(minutes=30 * i) for i in range(LENGTH)]
    columns = {f"v{i}": column for i, column in enumerate(values.T)}
    return pa.table({"time": times} | columns), marks


def changed(column: Floats, rows: slice, anomaly: str, rng: np.random.Generator) -> Floats:
    """Return the anomalous values of some rows."""
    if anomaly == "flat":
        return np.full(rows.stop - rows.start, column[rows.start])
    if anomaly == "frequency":
        return column[rows.start + 3 * np.arange(rows.stop - rows.start)]
    size = 1.5 if anomaly == "level" else 4.0
    return column[rows] + size * column.std() * rng.choice([-1, 1])


def made(run: Run) -> Iterator[Series]:
    """Yield the generated series; each is trained on and scored."""
    for kind in KINDS[: 1 if run.quick else None]:
        for anomaly in ANOMALIES[: 1 if run.quick else None]:
            table, marks = with_anomalies(kind, anomaly, run.seed)
            yield f"{kind}, {anomaly}", table, table, marks, DAY


ALL: dict[str, Callable[[Run], Iterator[Series]]] = {"made": made, **SOURCES}


def measure(run: Run) -> Iterator[Row]:
    """Yield the mean AUROC over the series of each combination of parts."""
    pooled: dict[str, list[tuple[Floats, list[Floats]]]] = {}
    for series in ALL[run.case](run):
        pooled.setdefault(series[0], []).append(scores_of(run, series))
    areas = []
    for pairs in pooled.values():
        marks = np.concatenate([marks for marks, _ in pairs])
        joined = [np.concatenate(of) for of in zip(*(of for _, of in pairs), strict=True)]
        areas.append([float(roc_auc_score(marks, scores)) for scores in joined])
    for chosen, area in zip(COMBINATIONS, np.mean(areas, axis=0), strict=True):
        yield {"series": run.case, "parts": combination(NAMES, chosen), "AUROC": float(area)}


def scores_of(run: Run, series: Series) -> tuple[Floats, list[Floats]]:
    """Return the marks of the rows of a series, and their scores by each combination of parts."""
    _, train, rows, marks, window = series
    parts = ratios(run, train, rows, window=window, time=rows.column_names[0])
    assert len(parts) == len(rows) - window + 1, "the series has gaps"
    tested = ~np.isnan(marks)
    scores = [
        np.average(parts[:, list(chosen)], 1, WEIGHTS[list(chosen)]) for chosen in COMBINATIONS
    ]
    return marks[tested], [spread(of, window)[tested] for of in scores]
