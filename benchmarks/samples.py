"""Rows that `aecli sample` draws, next to Gaussian copulas fitted on the same rows.

A variational model of the training rows and two copulas draw as many rows as the training table
has. Figures are those of the literature on synthetic tables:

- column shapes and pair trends as SDMetrics defines them: the mean KSComplement of numbers and
  TVComplement of the others, the mean CorrelationSimilarity of pairs of numbers and
  ContingencySimilarity of other pairs, numbers in 10 bins (docs.sdv.dev/sdmetrics);
- TSTR: the test AUROC of boosting trained on the drawn rows (Esteban et al. 2017, §4); in the
  column of held-out rows that of boosting trained on the training rows;
- the distance to the closest training row (numbers by their standard deviation, other columns 0
  or 1), as the share of the drawn rows that are nearer than the median held-out row, which is one
  half for rows of the same distribution; and the share of rows that are training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Row, Run
from measures import cpu_seconds, trained
from scipy.stats import beta, ks_2samp, norm, rankdata
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from tables import halves, read

import aecli

LABELS = {"adult": "income", "diamonds": "cut", "penguins": "species"}
BINS = 10
"""Bins of a number in ContingencySimilarity, the default of SDMetrics."""

NEIGHBOURS = 1_000
"""Rows whose distance to the training rows is measured."""

MISSING = "(missing)"

Figures = dict[str, float]


def own(run: Run, train: pd.DataFrame, label: str) -> tuple[pd.DataFrame, Figures]:
    """Return rows drawn from a variational model, and its costs."""
    table = pa.Table.from_pandas(train, preserve_index=False)
    with trained(run, table, label=label, variational=True) as model:
        began, output = cpu_seconds(), f"{model.model}/../rows.parquet"
        aecli.sample(output, count=len(train), model=model.model, seed=run.seed)
        costs = {"CPU s of training": model.seconds, "of drawing": cpu_seconds() - began}
        return pq.read_table(output).to_pandas()[train.columns], costs


def copula(train: pd.DataFrame, seed: int, *, fitted: bool) -> pd.DataFrame:
    """Return rows of a Gaussian copula: empirical margins, or with `fitted` beta distributions.

    Beta distributions, limits and decimals of the table, frequencies of categories and independent
    missing cells are what the GaussianCopulaSynthesizer of SDV has by default.
    """
    rng = np.random.default_rng(seed)
    scores = np.empty(train.shape)
    inverses: list[Callable[[np.ndarray], np.ndarray]] = []
    for position, name in enumerate(train):
        column = train[name]
        is_number = pd.api.types.is_numeric_dtype(column)
        known = column.dropna().to_numpy()
        if is_number and fitted:
            distribution, inverse = beta_margin(known.astype(float))
            uniform = distribution(column.fillna(column.median()).to_numpy(float))
        else:
            order = np.sort(known) if is_number else by_frequency(known)
            ranks = pd.Series(column if is_number else column.map(codes_of(order)))
            ranks = ranks.fillna(pd.Series(rng.choice(ranks.dropna(), len(ranks))))
            uniform = (rankdata(ranks) - 0.5) / len(ranks)
            inverse = quantiles(order)
        scores[:, position] = norm.ppf(np.clip(uniform, 1e-6, 1 - 1e-6))
        inverses.append(inverse)
    correlation = np.nan_to_num(np.corrcoef(scores.T)) + 1e-6 * np.eye(len(scores.T))
    normal = rng.multivariate_normal(np.zeros(len(correlation)), correlation, len(train))
    drawn = {}
    for position, name in enumerate(train):
        values = pd.Series(inverses[position](norm.cdf(normal[:, position])))
        missing = rng.random(len(train)) < train[name].isna().mean()
        drawn[name] = values.mask(missing) if missing.any() else values
    return pd.DataFrame(drawn)


def beta_margin(
    known: np.ndarray,
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """Return the distribution function of a beta distribution by its moments, and its inverse."""
    low, width = known.min(), max(float(np.ptp(known)), 1e-12)
    unit = (known - low) / width
    mean, variance = unit.mean(), max(unit.var(), 1e-9)
    size = max(mean * (1 - mean) / variance - 1, 1e-2)
    fit = beta(mean * size + 1e-6, (1 - mean) * size + 1e-6, low, width)
    decimals = next((d for d in range(7) if np.allclose(known, known.round(d), atol=1e-9)), 7)
    return fit.cdf, lambda uniform: fit.ppf(uniform).round(decimals)


def by_frequency(known: np.ndarray) -> np.ndarray:
    """Return values sorted by how frequent they are."""
    values, counts = np.unique(known, return_counts=True)
    return values[np.argsort(-counts, kind="stable")].repeat(np.sort(counts)[::-1])


def codes_of(order: np.ndarray) -> dict[object, int]:
    """Return the position of each value among the distinct ones."""
    return {value: code for code, value in enumerate(dict.fromkeys(order))}


def quantiles(order: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the inverse of the empirical distribution function of ordered values."""
    return lambda uniform: order[(uniform * len(order)).astype(int).clip(0, len(order) - 1)]


def shape(real: pd.Series, drawn: pd.Series) -> float:
    """Return KSComplement of a number, TVComplement of another column."""
    if pd.api.types.is_numeric_dtype(real):
        return 1 - ks_2samp(real.dropna(), drawn.dropna().astype(float)).statistic
    shares = [c.fillna(MISSING).astype(str).value_counts(normalize=True) for c in (real, drawn)]
    return 1 - shares[0].sub(shares[1], fill_value=0).abs().sum() / 2


def trend(real: pd.DataFrame, drawn: pd.DataFrame) -> float:
    """Return CorrelationSimilarity of two numbers, ContingencySimilarity of other pairs."""
    numbers = [pd.api.types.is_numeric_dtype(real[name]) for name in real]
    if all(numbers):
        here, there = (rows.dropna().astype(float).corr().iloc[0, 1] for rows in (real, drawn))
        return 1 - abs(here - np.nan_to_num(there)) / 2
    tables = [pd.DataFrame(index=rows.index) for rows in (real, drawn)]
    for name, is_number in zip(real, numbers, strict=True):
        edges = np.histogram_bin_edges(real[name].dropna(), BINS)[1:-1] if is_number else None
        for coded, rows in zip(tables, (real, drawn), strict=True):
            coded[name] = (
                rows[name].fillna(MISSING).astype(str)
                if edges is None
                else binned(rows[name], edges)
            )
    shares = [coded.value_counts(normalize=True) for coded in tables]
    return 1 - shares[0].sub(shares[1], fill_value=0).abs().sum() / 2


def binned(column: pd.Series, edges: np.ndarray) -> pd.Series:
    """Return the bin of each value, -1 for missing ones."""
    bins = pd.Series(np.searchsorted(edges, column.astype(float)))
    return bins.where(column.notna(), -1)


def boosted(train: pd.DataFrame, test: pd.DataFrame, label: str, seed: int) -> float:
    """Return the test AUROC of gradient boosting trained on rows, one class against the rest."""
    others = [n for n in test if n != label and not pd.api.types.is_numeric_dtype(test[n])]
    coder = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), others),
        remainder="passthrough",
    )
    known = train[train[label].notna()]
    learner = make_pipeline(coder, HistGradientBoostingClassifier(random_state=seed))
    learner.fit(known.drop(columns=label), known[label])
    probabilities = learner.predict_proba(test.drop(columns=label))
    classes = list(learner.classes_)
    areas = [
        roc_auc_score(test[label] == name, probabilities[:, classes.index(name)])
        if name in classes
        else 0.5
        for name in sorted(set(test[label].dropna()))
    ]
    return float(np.mean(areas))


def nearest(train: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """Return the L1 distance of rows to the closest training row."""
    parts: list[list[np.ndarray]] = [[], []]
    for name in train:
        column = train[name]
        for part, frame in zip(parts, (train, rows), strict=True):
            if pd.api.types.is_numeric_dtype(column):
                scaled = (frame[name].astype(float) - column.mean()) / (column.std() or 1.0)
                part.append(scaled.fillna(0).to_numpy()[:, None])
            else:
                values = sorted({str(value) for value in column})
                coded = frame[name].astype(str).to_numpy()[:, None] == np.array(values)
                part.append(coded / 2.0)
    index = NearestNeighbors(n_neighbors=1, metric="manhattan").fit(np.hstack(parts[0]))
    return index.kneighbors(np.hstack(parts[1]))[0][:, 0]


def measure(train: pd.DataFrame, test: pd.DataFrame, drawn: pd.DataFrame, label: str) -> Figures:
    """Return the figures of drawn rows."""
    names = list(train)
    shapes = [shape(train[name], drawn[name]) for name in names]
    trends = [trend(train[list(pair)], drawn[list(pair)]) for pair in combinations(names, 2)]
    held_out = nearest(train, test[:NEIGHBOURS])
    distances = nearest(train, drawn[:NEIGHBOURS])
    return {
        "column shapes": float(np.mean(shapes)),
        "pair trends": float(np.mean(trends)),
        "TSTR AUROC": boosted(drawn, test, label, 0),
        "nearer than the median held-out row": float(np.mean(distances < np.median(held_out))),
        "training rows": float(np.mean(distances < 1e-6)),
    }


def structure(name: str, train: pd.DataFrame, drawn: pd.DataFrame) -> Figures:
    """Return what Adult's samples have to keep: spikes, pairs of columns, missing cells."""
    missing = {"missing cells": float(drawn.isna().to_numpy().mean())}
    if name != "adult":
        return missing
    pairs = set(zip(train["education"], train["education_num"], strict=True))
    new = [p not in pairs for p in zip(drawn["education"], drawn["education_num"], strict=True)]
    zero = float((drawn["capital_gain"] == 0).mean())
    return missing | {"capital_gain = 0": zero, "pairs not in training": float(np.mean(new))}


def rows(run: Run) -> Iterator[Row]:
    """Yield the figures of drawn rows by who drew them."""
    label = LABELS[run.case]
    parts = halves(read(run, f"{run.case}.csv"))
    train, test = (part.to_pandas() for part in parts)
    found: dict[str, Figures] = {}
    drawn, costs = own(run, train, label)
    found["aecli"] = figures_of(run, train, test, drawn) | costs
    for title, fitted in (("copula, beta", True), ("copula, empirical", False)):
        found[title] = figures_of(run, train, test, copula(train, run.seed, fitted=fitted))
    area = boosted(train, test, label, 0)
    found["held-out rows"] = figures_of(run, train, test, test) | {"TSTR AUROC": area}
    for title, figures in found.items():
        yield {"table": run.case, "rows": title, **figures}


def figures_of(run: Run, train: pd.DataFrame, test: pd.DataFrame, drawn: pd.DataFrame) -> Figures:
    """Return all figures of drawn rows."""
    return measure(train, test, drawn, LABELS[run.case]) | structure(run.case, train, drawn)
