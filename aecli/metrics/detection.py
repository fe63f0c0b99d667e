"""Measure how well scores tell anomalies from ordinary samples, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aecli.array_types import Floats, Integers, Mask

REPLICATES = 1_000

REPLICATES_AT_ONCE = 50
"""Replicates drawn at a time."""

SCORE_BINS = 4_096
"""Most bins of scores in a replicate; intervals hardly feel what is finer."""

DETECTION_FIGURES = ("auroc", "average_precision", "best_f1", "f1")


@dataclass(frozen=True)
class Interval:
    """Figure with the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def detection_figures(
    scores: Floats, marks: Mask, threshold: float, seed: int = 0
) -> dict[str, Interval]:
    """Return each of `DETECTION_FIGURES` with its 95 % interval, from samples of both sides.

    Args:
        scores: `(n_samples,)`.
        marks: `(n_samples,)`, True for anomalies.
        threshold: the score above which `f1` takes a sample for an anomaly.
        seed: of the bootstrap.

    Intervals are percentiles of a bootstrap that draws anomalies and other samples apart, as many
    of each as there are (stratified; Efron and Tibshirani 1993, §13.3). The threshold of the best
    F1 is chosen anew in every replicate.
    """
    exact = _figures(*_counts(_ranks(scores), marks), above=_distinct_above(scores, threshold))
    bins = _bins(scores, marks, threshold)
    positive, negative = (part[0] for part in _counts(bins, marks))
    above = len(np.unique(bins[scores > threshold]))
    drawn = _bootstrap(positive, negative, above, np.random.Generator(np.random.Philox(seed)))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=1)
    return {
        name: Interval(float(exact[index, 0]), float(low[index]), float(high[index]))
        for index, name in enumerate(DETECTION_FIGURES)
    }


def _ranks(scores: Floats) -> Integers:
    """Return 0 for the highest score, 1 for the next; equal scores have one rank."""
    ranks: Integers = np.unique(-scores, return_inverse=True)[1].reshape(-1)
    return ranks


def _distinct_above(scores: Floats, threshold: float) -> int:
    return len(np.unique(scores[scores > threshold]))


def _counts(bins: Integers, marks: Mask) -> tuple[Integers, Integers]:
    """Return the anomalies and the other samples in each bin, `(1, n_bins)`."""
    size = int(bins.max()) + 1
    positive, negative = (np.bincount(bins[m], minlength=size) for m in (marks, ~marks))
    return positive[None], negative[None]


def _bins(scores: Floats, marks: Mask, threshold: float) -> Integers:
    """Return a bin per sample, in falling order of scores; none holds both sides of the threshold.

    Each side fills half of the bins evenly, so that the few anomalies are told apart finely.
    """
    ranks = _ranks(scores)
    if ranks.max() < SCORE_BINS:
        return ranks
    positive, negative = (part[0].cumsum() for part in _counts(ranks, marks))
    filled = positive / positive[-1] + negative / negative[-1]
    coarse = np.floor(filled[ranks] * (SCORE_BINS / 2 - 1)).astype(np.int64)
    classes: Integers = np.unique(2 * coarse + (scores <= threshold), return_inverse=True)[1]
    return classes.reshape(-1)


def _bootstrap(
    positive: Integers, negative: Integers, above: int, rng: np.random.Generator
) -> Floats:
    """Return the figures `(n_figures, n_replicates)` of samples drawn with replacement."""
    parts = []
    for _ in range(REPLICATES // REPLICATES_AT_ONCE):
        hits, false = (
            rng.multinomial(int(side.sum()), side / side.sum(), size=REPLICATES_AT_ONCE)
            for side in (positive, negative)
        )
        parts.append(_figures(hits, false, above=above))
    return np.concatenate(parts, axis=1)


def _figures(positive: Integers, negative: Integers, above: int) -> Floats:
    """Return the figures `(n_figures, n_tables)` of tables of bins `(n_tables, n_bins)`.

    Bins go from the highest scores down; the first `above` of them lie above the threshold.
    """
    hits, false = positive.cumsum(1), negative.cumsum(1)
    anomalies, others = hits[:, -1:], false[:, -1:]
    below = (positive * (others - false + negative / 2)).sum(1)
    auroc = below / (anomalies * others.astype(np.float64))[:, 0]
    precision = hits / np.maximum(hits + false, 1)
    average = (positive * precision).sum(1) / anomalies[:, 0]
    f1 = 2 * hits / (hits + false + anomalies)
    at_threshold = f1[:, above - 1] if above else np.zeros(len(f1))
    return np.stack([auroc, average, f1.max(1), at_threshold])
