"""Thresholds of the anomaly score: fitted from scores, with or without marks, or as an option."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from aecli.array_types import Codes, Floats
from aecli.errors import UsageError
from aecli.schema.model_spec import (
    FEWEST_CALIBRATION_ROWS,
    LEVELS,
    Calibration,
    ScoreScale,
)
from aecli.scoring.deviations import log_compressed

LOWEST_FENCE = 98
"""Percentile that the fence is never below; figures are in benchmarks/RESULTS.md, Outliers."""

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
    rows raise the percentile, and hardly the fence. The fence counts down to the percentile
    `LOWEST_FENCE` only: some tables have scores of long tails, and not one anomaly. Fewer than
    `FEWEST_CALIBRATION_ROWS` samples make no fence: there the percentile stands alone, which is
    their highest score.
    """
    rows = len(next(iter(scores.values())))
    few = rows < FEWEST_CALIBRATION_ROWS
    found = {}
    for name, values in scores.items():
        percentile, lowest = _quantiles(values, [0.99, LOWEST_FENCE / 100])
        found[name] = ScoreScale(
            quantiles=quantiles(values),
            threshold=percentile if few else min(percentile, max(lowest, _fence(values))),
        )
    rule = "the 99th percentile"
    if not few:
        rule += f", or Tukey's fence of the logarithms between it and the {LOWEST_FENCE}th"
    return Calibration(source=source, rows=rows, rule=rule, scales=found)


def _fence(values: Floats) -> float:
    """Return Tukey's fence of the logarithms, compressed as scores of that size are."""
    low, high = np.quantile(np.log(np.maximum(values, 1e-12)), [0.25, 0.75])
    fence = math.exp(min(high + 1.5 * (high - low), 700.0))
    return float(log_compressed(torch.tensor(fence, dtype=torch.float64)))


def quantiles(values: Floats) -> list[float]:
    """Return the quantiles of scores at `LEVELS`."""
    return _quantiles(values, np.array(LEVELS) / 100)


def _quantiles(values: Floats, shares: Sequence[float] | Floats) -> list[float]:
    """Return quantiles that as many further values of the same distribution exceed on average.

    The usual interpolation between few values lies too low for that (Hyndman and Fan 1996, type 6).
    """
    return [float(value) for value in np.quantile(values, shares, method="weibull")]


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
        limits = {name: _quantiles(values, [1 - fpr])[0] for name, values in normal.items()}
    else:
        assert codes is not None, "either is given here"
        rule = f"the best F1 for {anomaly}"
        limits = {name: best_threshold(values, codes) for name, values in scores.items()}
    scales = {
        name: ScoreScale(quantiles=quantiles(values), threshold=limits[name])
        for name, values in normal.items()
    }
    return calibration.model_copy(update={"rule": rule, "scales": scales})
