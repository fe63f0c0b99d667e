"""Predict a column from several views of the same samples: linear probe and 5 neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aecli.array_types import AnyArray, AnyFloats

PROBE_NEIGHBOURS = 5

MIN_SAMPLES = 20
"""Minimum number of samples for a probe."""

FEW_NUMBERS = 20
"""Maximum number of distinct integers that are classes."""

MAX_FEATURE = 1e12


@dataclass(frozen=True)
class ProbePredictions:
    """Predictions of probes on the samples that they were not fitted on.

    `predictions` are by view and by kind of probe, `(n_measured,)`; `trivial` is the most frequent
    class, or the mean. `measured` are the indices of these samples.
    """

    metric: str
    fitted: int
    measured: npt.NDArray[np.int64]
    truth: AnyArray
    trivial: Any
    predictions: Mapping[str, Mapping[str, AnyArray]]

    def figure(self, predictions: AnyArray, rows: npt.NDArray[np.bool_]) -> float | None:
        """Return the accuracy or R² of predictions on chosen samples; None if it is undefined."""
        truth, predictions = self.truth[rows], predictions[rows]
        if not len(truth):
            return None
        if self.metric == "accuracy":
            return float((truth == predictions).mean())
        spread = float(np.square(truth - truth.mean()).sum())
        return 1 - float(np.square(truth - predictions).sum()) / spread if spread > 0 else None

    def baseline(self, rows: npt.NDArray[np.bool_]) -> float | None:
        """Return the same metric of the trivial prediction."""
        return self.figure(np.full(len(self.truth), self.trivial), rows)


def as_target(values: AnyArray, *, classes: bool) -> AnyArray:
    """Return values as class codes `(n_samples,)` of int64, or as numbers of float64.

    Text, booleans and integers of at most 20 distinct values are classes; with `classes` all
    values are.
    """
    named = any(isinstance(value, str | bool) for value in values)
    if not named:
        numbers = values.astype(np.float64)
        few = len(np.unique(numbers)) <= FEW_NUMBERS and bool((numbers == np.floor(numbers)).all())
        if not (classes or few):
            return numbers
    _, codes = np.unique(values.astype(str), return_inverse=True)
    return codes.reshape(-1).astype(np.int64)


def probe(
    views: Mapping[str, AnyFloats], target: AnyArray, seed: int = 0
) -> ProbePredictions | None:
    """Fit probes on a seeded half of the samples, and predict the other half.

    Args:
        views: `(n_samples, n_features)` each.
        target: `(n_samples,)`: int64 codes of classes, or float64 numbers.
        seed: of the split.

    The linear probe is a logistic regression (for numbers a ridge regression with leave-one-out
    selection of its penalty) on standardised features; neighbours are by Euclidean distance in the
    unscaled view. Returns None with fewer than 20 samples, or with only one class.
    """
    if len(target) < MIN_SAMPLES:
        return None
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(target))
    fitted, measured = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    known = target[fitted]
    if len(np.unique(known)) < 2:
        return None
    classes = target.dtype == np.int64
    predictions = {
        name: _predictions(view[fitted], known, view[measured], classes)
        for name, view in views.items()
    }
    trivial = np.bincount(known).argmax() if classes else known.mean()
    metric = "accuracy" if classes else "r2"
    return ProbePredictions(metric, len(fitted), measured, target[measured], trivial, predictions)


def _predictions(
    fitted: AnyFloats, target: AnyArray, measured: AnyFloats, classes: bool
) -> dict[str, AnyArray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted, measured = (np.clip(part, -MAX_FEATURE, MAX_FEATURE) for part in (fitted, measured))
    nearest = (KNeighborsClassifier if classes else KNeighborsRegressor)(
        n_neighbors=min(PROBE_NEIGHBOURS, len(fitted)), algorithm="brute"
    )
    line = (
        LogisticRegression(max_iter=300, tol=1e-3) if classes else RidgeCV(10.0 ** np.arange(-2, 5))
    )
    predictions = {}
    for name, model in (("linear", make_pipeline(StandardScaler(), line)), ("knn", nearest)):
        with warnings.catch_warnings():
            # A probe that has nearly converged is good enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            predictions[name] = model.fit(fitted, target).predict(measured)
    return predictions
