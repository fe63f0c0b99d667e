"""Predict a column from several views of the same samples: a linear probe and 5 neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aecli.array_types import AnyArray, AnyFloats

PROBE_NEIGHBOURS = 5

LEAST = 20
"""Fewest samples that a probe is fitted and measured on."""

FEW_NUMBERS = 20
"""Whole numbers of at most so many values are classes."""

LARGEST = 1e12


@dataclass(frozen=True)
class ProbeAnswers:
    """Predictions of probes on the samples that they were not fitted on.

    `answers` are by view and by kind of probe, `(n_measured,)`; `trivial` is the answer of the most
    frequent class, or of the mean. `measured` are the places of these samples among all.
    """

    metric: str
    fitted: int
    measured: npt.NDArray[np.int64]
    truth: AnyArray
    trivial: Any
    answers: Mapping[str, Mapping[str, AnyArray]]

    def figure(self, answers: AnyArray, rows: npt.NDArray[np.bool_]) -> float | None:
        """Return the accuracy or R² of answers on chosen samples; None where it is undefined."""
        truth, answers = self.truth[rows], answers[rows]
        if not len(truth):
            return None
        if self.metric == "accuracy":
            return float((truth == answers).mean())
        spread = float(np.square(truth - truth.mean()).sum())
        return 1 - float(np.square(truth - answers).sum()) / spread if spread > 0 else None

    def baseline(self, rows: npt.NDArray[np.bool_]) -> float | None:
        """Return the same figure of the trivial answer."""
        return self.figure(np.full(len(self.truth), self.trivial), rows)


def as_target(values: AnyArray, *, classes: bool) -> AnyArray:
    """Return values as class codes `(n_samples,)` of int64, or as numbers of float64.

    Text, booleans, and whole numbers of at most 20 values are classes, and whatever the caller
    knows to be.
    """
    named = any(isinstance(value, str | bool) for value in values)
    if not named:
        numbers = values.astype(np.float64)
        few = len(np.unique(numbers)) <= FEW_NUMBERS and bool((numbers == np.floor(numbers)).all())
        if not (classes or few):
            return numbers
    _, codes = np.unique(values.astype(str), return_inverse=True)
    return codes.reshape(-1).astype(np.int64)


def probe(views: Mapping[str, AnyFloats], target: AnyArray, seed: int = 0) -> ProbeAnswers | None:
    """Fit probes on a seeded half of the samples, and answer the other half.

    Args:
        views: `(n_samples, n_features)` each.
        target: `(n_samples,)`: int64 codes of classes, or float64 numbers.
        seed: of the division.

    The linear probe is a logistic regression (numbers: ridge regression, its penalty by
    leave-one-out) on standardised features; neighbours are those by Euclidean distance in the view
    as it is. Returns None with fewer than 20 samples, or with one class alone.
    """
    if len(target) < LEAST:
        return None
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(target))
    fitted, measured = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    known = target[fitted]
    if len(np.unique(known)) < 2:
        return None
    classes = target.dtype == np.int64
    answers = {
        name: _answers(view[fitted], known, view[measured], classes) for name, view in views.items()
    }
    trivial = np.bincount(known).argmax() if classes else known.mean()
    metric = "accuracy" if classes else "r2"
    return ProbeAnswers(metric, len(fitted), measured, target[measured], trivial, answers)


def _answers(
    fitted: AnyFloats, target: AnyArray, measured: AnyFloats, classes: bool
) -> dict[str, AnyArray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted, measured = (np.clip(part, -LARGEST, LARGEST) for part in (fitted, measured))
    nearest = (KNeighborsClassifier if classes else KNeighborsRegressor)(
        n_neighbors=min(PROBE_NEIGHBOURS, len(fitted)), algorithm="brute"
    )
    line = (
        LogisticRegression(max_iter=300, tol=1e-3) if classes else RidgeCV(10.0 ** np.arange(-2, 5))
    )
    found = {}
    for name, model in (("linear", make_pipeline(StandardScaler(), line)), ("knn", nearest)):
        with warnings.catch_warnings():
            # A probe that has nearly converged answers nearly the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found[name] = model.fit(fitted, target).predict(measured)
    return found
