"""Measure what each part of the anomaly score is worth on windows.

    .venv/bin/python benchmarks/windows.py FOLDER [made] [nab] [skab] [--seeds 0 1 2] [--keep PARTS]

`made` generates series of three kinds (a day with weekends, an autoregressive process, several
columns that depend on each other) with anomalies of four: a shifted level, spikes, three times the
frequency, a flat line. `nab` and `skab` are those of benchmarks/outliers.py. A model is trained on
each series with defaults; the parts of the scores of windows are combined afterwards, and AUROC
is that of the rows, whose scores are means over their windows. `--keep` keeps the parts of the
scores in a folder, and trains no model whose parts are there; `--only 3 4` are two of the series.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from outliers import NAB_WINDOW, auroc, spread
from score_parts import PARTS, ratios

from aecli.scoring.scorer import WINDOW_ERROR_WEIGHT

Floats = npt.NDArray[np.float64]
Series = tuple[str, pa.Table, pa.Table, Floats, int]
"""Kind, rows to train on, rows to score, marks of the latter, and the rows of a window."""

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


def made(folder: Path, seed: int) -> Iterator[Series]:
    """Yield the generated series; each is trained on and scored."""
    for kind in KINDS:
        for anomaly in ANOMALIES:
            table, marks = with_anomalies(kind, anomaly, seed)
            yield f"{kind}, {anomaly}", table, table, marks, DAY


def nab(folder: Path, seed: int) -> Iterator[Series]:
    """Yield the files of NAB; each is trained on and scored."""
    for path in sorted((folder / "nab").glob("*.csv")):
        table = pacsv.read_csv(path)
        rows = table.drop_columns(["anomaly"])
        yield path.stem, rows, rows, table["anomaly"].to_numpy().astype(float), NAB_WINDOW


def skab(folder: Path, seed: int) -> Iterator[Series]:
    """Yield the runs of SKAB; the first 400 rows of each are trained on."""
    table = pq.read_table(folder / "skab.parquet").drop_columns(["changepoint"])
    for run in table["run"].unique().to_pylist():
        if "anomaly-free" not in run:
            rows = table.filter(pc.equal(table["run"], run)).sort_by("datetime")
            marks = rows["anomaly"].to_numpy().astype(float)
            marks[:400] = np.nan
            values = rows.drop_columns(["anomaly", "run"])
            yield "skab", values.slice(0, 400), values, marks, 60


SOURCES: dict[str, Callable[[Path, int], Iterator[Series]]] = {
    "made": made, "nab": nab, "skab": skab,
}  # fmt: skip


def parts_of_windows(series: Series, seed: int, kept: Path | None) -> Floats:
    """Return the parts of the scores of a series' windows, from a file if there is one."""
    _, train, rows, _, window = series
    if kept is not None and kept.exists():
        return np.load(kept)
    parts = ratios(train, rows, seed, window=window, time=rows.column_names[0])
    assert len(parts) == len(rows) - window + 1, "the series has gaps"
    if kept is not None:
        np.save(kept, parts)
    return parts


def measured(given: argparse.Namespace, source: str, seed: int) -> Floats:
    """Return the AUROC of each combination, and print that of the score of every kind of series."""
    found: dict[str, list[tuple[Floats, list[Floats]]]] = {}
    for i, series in enumerate(SOURCES[source](given.folder, seed)):
        if given.only and i not in given.only:
            continue
        kept = given.keep and given.keep / f"{source}-{i}-{seed}.npy"
        parts, (kind, _, _, marks, window) = parts_of_windows(series, seed, kept), series
        tested = ~np.isnan(marks)
        means = [
            np.average(parts[:, list(chosen)], 1, WEIGHTS[list(chosen)]) for chosen in COMBINATIONS
        ]
        scores = [spread(of, window)[tested] for of in means]
        found.setdefault(kind, []).append((marks[tested], scores))
    figures = []
    for kind, pairs in found.items():
        marks = np.concatenate([marks for marks, _ in pairs])
        joined = [np.concatenate(of) for of in zip(*(scores for _, scores in pairs), strict=True)]
        figures.append(np.array([auroc(marks, of) for of in joined]))
        print(f"{source}, seed {seed}, {kind}: {figures[-1][-1]:.3f}", flush=True)
    return np.mean(figures, axis=0)


def main() -> None:
    """Print the mean AUROC of each combination of parts on the chosen series."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sources", nargs="*", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", type=int, nargs="*")
    given = parser.parse_args()
    means = [
        np.mean([measured(given, source, seed) for seed in given.seeds], axis=0)
        for source in given.sources
    ]
    print(f"| parts | {' | '.join(given.sources)} |\n|---|{'---|' * len(means)}")
    for i, chosen in enumerate(COMBINATIONS):
        values = " | ".join(f"{of[i]:.4f}" for of in means)
        print(f"| {' + '.join(NAMES[part] for part in chosen)} | {values} |")


if __name__ == "__main__":
    main()
