"""Scores of the reconstruction of columns, and their means over kinds of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Predictor = Literal["model", "baseline", "pca"]
"""Source of a reconstruction: the network, the training means and modes, or PCA of that size."""


@dataclass(frozen=True)
class ColumnScore:
    """Reconstruction of one column, compared with the trivial prediction and PCA of the same size.

    `metric` is `accuracy` for boolean and category, and for characters the share of them that are
    right, with the end of a text as one; `r2` for all other kinds. `baseline` is the metric of the
    training mean (0 on training rows by definition) or mode. A metric is None if it is undefined:
    without observed cells, or for a column without variance here and in training.
    `share` is the column's share of the model's total error, which is the sum of the squared errors
    of scaled numbers, of 1 per wrong boolean or category, and of the share of wrong characters.
    """

    name: str
    kind: str
    metric: str
    value: float | None
    baseline: float | None
    pca: float | None
    mse: float | None
    observed: int
    share: float | None = None


def mean_accuracy(scores: Sequence[ColumnScore], predictor: Predictor) -> float | None:
    """Return a predictor's mean accuracy over boolean and category columns; None without any."""
    return _mean_figure(scores, predictor, ("boolean", "category"))


def character_accuracy(scores: Sequence[ColumnScore], predictor: Predictor) -> float | None:
    """Return a predictor's mean share of right characters over texts; None without any."""
    return _mean_figure(scores, predictor, ("characters",))


def _mean_figure(
    scores: Sequence[ColumnScore], predictor: Predictor, kinds: Sequence[str]
) -> float | None:
    values = [
        {"model": score.value, "baseline": score.baseline, "pca": score.pca}[predictor]
        for score in scores
        if score.kind in kinds
    ]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
