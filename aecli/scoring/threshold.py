"""Thresholds of the anomaly score: fitted from scores, with or without marks, or as an option."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from aecli.array_types import Codes, Floats
from aecli.errors import UsageError
from aecli.schema.model_spec import (
    FEWEST_CALIBRATION_ROWS,
    LEVELS,
    Calibration,
    ScoreScale,
)

NUMBER = r"(\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?"


def check_threshold(text: str | float) -> None:
    """Refuse a threshold that cannot be understood, before anything is read.

    Raises:
        UsageError: it is none of auto, pNN, fpr:SHARE and a finite number.
    """
    _level(text)


def threshold_value(text: str | float, scale: ScoreScale) -> float:
    """Return the score above which a row is an outlier.

    Raises:
        UsageError: the threshold cannot be understood.
    """
    if text == "auto":
        return scale.threshold
    level = _level(text)
    if level is None:
        return float(text)
    return float(np.interp(level, LEVELS, scale.quantiles))


def _level(text: str | float) -> float | None:
    """Return the percentile that a threshold means, None where it is a score or auto."""
    if text == "auto":
        return None
    said = str(text).strip()
    level = None
    if found := re.fullmatch(rf"p({NUMBER})", said):
        level = float(found[1])
    elif found := re.fullmatch(rf"fpr:({NUMBER})", said):
        level = 100 * (1 - float(found[1]))
    else:
        try:
            if math.isfinite(float(said)):
                return None
        except ValueError:
            pass
    if level is None or not 0 <= level <= 100:
        raise UsageError(
            f"--threshold {said!r} is no threshold",
            facts=["auto, a percentile such as p99.5, a false positive rate, or a score"],
            hint="--threshold fpr:0.01",
        )
    return level


def best_threshold(scores: Floats, codes: Codes) -> float:
    """Return the threshold whose F1 is highest, halfway to the next lower score."""
    known = codes >= 0
    order = np.argsort(-scores[known], kind="stable")
    values, marks = scores[known][order], codes[known][order]
    hits = np.cumsum(marks)
    f1 = 2 * hits / (np.arange(1, len(marks) + 1) + hits[-1])
    # Between equal scores no threshold can lie.
    ends = np.append(values[1:] < values[:-1], True)
    best = int(np.argmax(np.where(ends, f1, -1.0)))
    below = values[best + 1] if best + 1 < len(values) else values[best] * 0.5
    return float((values[best] + below) / 2)


def fit_thresholds(scores: Mapping[str, Floats], *, source: str) -> Calibration:
    """Return the quantiles of scores `(n_samples,)` and thresholds that need no label.

    The threshold is the 99th percentile, or Tukey's fence of the logarithms (third quartile plus
    1.5 times the distance of the quartiles; Tukey 1977) where that is lower: anomalies among the
    rows raise the percentile, and hardly the fence. The quartiles of fewer than
    `FEWEST_CALIBRATION_ROWS` samples make no fence: there the percentile, close to their highest
    score, stands alone.
    """
    found = {}
    for name, values in scores.items():
        low, high = np.quantile(np.log(np.maximum(values, 1e-12)), [0.25, 0.75])
        percentile = float(np.quantile(values, 0.99))
        fence = math.exp(min(high + 1.5 * (high - low), 700.0))
        found[name] = ScoreScale(
            quantiles=quantiles(values),
            threshold=percentile
            if len(values) < FEWEST_CALIBRATION_ROWS
            else min(percentile, fence),
        )
    rows = len(next(iter(scores.values())))
    rule = "the 99th percentile, or Tukey's fence of the logarithms where it is lower"
    if rows < FEWEST_CALIBRATION_ROWS:
        rule = "the 99th percentile"
    return Calibration(source=source, rows=rows, rule=rule, scales=found)


def quantiles(values: Floats) -> list[float]:
    """Return the quantiles of scores at `LEVELS`."""
    return [float(value) for value in np.quantile(values, np.array(LEVELS) / 100)]


def fit_marked_thresholds(
    scores: Mapping[str, Floats],
    codes: Codes | None,
    fpr: float | None,
    rows: str,
    anomaly: str | None,
) -> Calibration:
    """Return quantiles of ordinary scores, and thresholds by a false positive rate or best F1.

    `codes` `(n_samples,)` are 1 for anomalies, 0 for ordinary samples and -1 where unknown, from
    the column `anomaly`. Without them and `fpr` the thresholds need no label.
    """
    normal = scores if codes is None else {n: values[codes == 0] for n, values in scores.items()}
    calibration = fit_thresholds(normal, source=rows)
    if fpr is None and codes is None:
        return calibration
    if fpr is not None:
        rule = f"{fpr:.6g} of the ordinary {rows.partition(' ')[0]} lie above it"
        limits = {name: float(np.quantile(values, 1 - fpr)) for name, values in normal.items()}
    else:
        assert codes is not None, "either is given here"
        rule = f"the best F1 for {anomaly}"
        limits = {name: best_threshold(values, codes) for name, values in scores.items()}
    scales = {
        name: ScoreScale(quantiles=quantiles(values), threshold=limits[name])
        for name, values in normal.items()
    }
    return calibration.model_copy(update={"rule": rule, "scales": scales})
