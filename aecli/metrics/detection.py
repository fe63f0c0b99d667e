"""Measure how well scores separate anomalies from other samples, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aecli.array_types import Floats, Integers, Mask

REPLICATES = 1_000

REPLICATES_AT_ONCE = 50
"""Number of replicates drawn together."""

SCORE_BINS = 1_024
"""Maximum number of score bins in a replicate; finer bins hardly change the intervals."""

DETECTION_FIGURES = ("auroc", "average_precision", "best_f1", "f1")


@dataclass(frozen=True)
class Interval:
    """Metric with its 95 % interval."""

    value: float
    low: float
    high: float


def detection_figures(
    scores: Floats, marks: Mask, threshold: float, seed: int = 0
) -> dict[str, Interval]:
    """Return each of `DETECTION_FIGURES` with its 95 % interval; both kinds of samples are needed.

    Args:
        scores: `(n_samples,)`.
        marks: `(n_samples,)`, True for anomalies.
        threshold: the score above which a sample is an anomaly for `f1`.
        seed: of the bootstrap.

    Intervals are percentiles of a stratified bootstrap, which draws anomalies and other samples
    separately, as many of each as there are (Efron and Tibshirani 1993, §13.3). The threshold of
    the best F1 is chosen in every replicate. Replicates have bins of scores; the differences
    of the bins' figures from the exact ones are subtracted.
    """
    ranks, high_scores = _ranks(scores), scores > threshold
    exact = _figures(*_counts(ranks, marks), above=_count_of(ranks[high_scores]))
    bins = _bins(ranks, marks, high_scores)
    counts, above = _counts(bins, marks), _count_of(bins[high_scores])
    drawn = _bootstrap(*counts, above, np.random.Generator(np.random.Philox(seed)))
    drawn += exact - _figures(*counts, above=above)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=1).clip(0, 1)
    return {
        name: Interval(float(exact[index, 0]), float(low[index]), float(high[index]))
        for index, name in enumerate(DETECTION_FIGURES)
    }


def _ranks(scores: Floats) -> Integers:
    """Return 0 for the highest score, 1 for the next; equal scores have equal ranks."""
    ranks: Integers = np.unique(-scores, return_inverse=True)[1].reshape(-1)
    return ranks


def _count_of(highest: Integers) -> int:
    """Return the number of different ranks or bins of the highest scores."""
    return int(highest.max()) + 1 if len(highest) else 0


def _counts(bins: Integers, marks: Mask) -> tuple[Integers, Integers]:
    """Return the numbers of anomalies and other samples in each bin, `(1, n_bins)`."""
    size = int(bins.max()) + 1
    positive, negative = (np.bincount(bins[m], minlength=size) for m in (marks, ~marks))
    return positive[None], negative[None]


def _bins(ranks: Integers, marks: Mask, high_scores: Mask) -> Integers:
    """Return a bin per sample, by descending score; no bin has high and other scores.

    Each kind of sample fills half of the bins evenly, so that the few anomalies have many bins.
    """
    if ranks.max() < SCORE_BINS:
        return ranks
    positive, negative = (part[0].cumsum() for part in _counts(ranks, marks))
    filled = positive / positive[-1] + negative / negative[-1]
    coarse = np.floor(filled * (SCORE_BINS / 2 - 1)).astype(np.int64)[ranks]
    split = 2 * coarse + ~high_scores
    used = np.bincount(split) > 0
    bins: Integers = (used.cumsum() - 1)[split]
    return bins


def _bootstrap(
    positive: Integers, negative: Integers, above: int, rng: np.random.Generator
) -> Floats:
    """Return the metrics `(n_figures, n_replicates)` of samples drawn with replacement."""
    parts = []
    for _ in range(REPLICATES // REPLICATES_AT_ONCE):
        hits, false = (
            rng.multinomial(int(side.sum()), side[0] / side.sum(), size=REPLICATES_AT_ONCE)
            for side in (positive, negative)
        )
        parts.append(_figures(hits, false, above=above))
    return np.concatenate(parts, axis=1)


def _figures(positive: Integers, negative: Integers, above: int) -> Floats:
    """Return the metrics `(n_figures, n_tables)` of tables of bins `(n_tables, n_bins)`.

    Bins are sorted by descending score; the first `above` of them are above the threshold.
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
