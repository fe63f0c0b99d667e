"""Thresholds of the anomaly score: fitted with or without labels, or given as an option."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from aecli.array_types import Codes, Floats
from aecli.errors import UsageError
from aecli.schema.calibration import LEVELS, MIN_CALIBRATION_ROWS, Calibration, ScoreScale
from aecli.scoring.deviations import log_compressed

MIN_FENCE_PERCENTILE = 98
"""Lower bound of the fence; figures are in benchmarks/RESULTS.md, Outliers."""

NUMBER = r"(\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?"


def check_threshold(text: str | float) -> None:
    """Raise if a threshold is invalid.

    Raises:
        UsageError: it is not auto, pNN, fpr:SHARE or a finite number.
    """
    _level(text)


def threshold_value(text: str | float, scale: ScoreScale) -> float:
    """Return the score above which a row is an outlier.

    Raises:
        UsageError: the threshold is invalid.
    """
    if text == "auto":
        return scale.threshold
    level = _level(text)
    if level is None:
        return float(text)
    return float(np.interp(level, LEVELS, scale.quantiles))


def _level(text: str | float) -> float | None:
    """Return the percentile of a threshold; None if it is a score or auto."""
    if text == "auto":
        return None
    value = str(text).strip()
    level = None
    if match := re.fullmatch(rf"p({NUMBER})", value):
        level = float(match[1])
    elif match := re.fullmatch(rf"fpr:({NUMBER})", value):
        level = 100 * (1 - float(match[1]))
    else:
        try:
            if math.isfinite(float(value)):
                return None
        except ValueError:
            pass
    if level is None or not 0 <= level <= 100:
        raise UsageError(
            f"--threshold {value!r} is not a threshold",
            facts=["auto, a percentile such as p99.5, a false positive rate, or a score"],
            hint="--threshold fpr:0.01",
        )
    return level


def best_threshold(scores: Floats, codes: Codes) -> float:
    """Return the threshold with the highest F1, halfway to the next lower score."""
    known = codes >= 0
    order = np.argsort(-scores[known])
    values, labels = scores[known][order], codes[known][order]
    hits = np.cumsum(labels)
    f1 = 2 * hits / (np.arange(1, len(labels) + 1) + hits[-1])
    # A threshold cannot separate equal scores.
    ends = np.append(values[1:] < values[:-1], True)
    best = int(np.argmax(np.where(ends, f1, -1.0)))
    below = values[best + 1] if best + 1 < len(values) else values[best] * 0.5
    return float((values[best] + below) / 2)


def fit_thresholds(scores: Mapping[str, Floats], *, source: str) -> Calibration:
    """Return the quantiles of scores `(n_samples,)`, and thresholds fitted without labels.

    The threshold is the 99th percentile, or Tukey's fence of the logarithms (third quartile plus
    1.5 times the interquartile range; Tukey 1977) if that is lower: anomalies among the rows raise
    the percentile but hardly the fence. The fence is at least the percentile
    `MIN_FENCE_PERCENTILE`, since scores may have long tails without an anomaly. For fewer than
    `MIN_CALIBRATION_ROWS` samples there is no fence, and the percentile is the highest score.
    """
    rows = len(next(iter(scores.values())))
    few = rows < MIN_CALIBRATION_ROWS
    scales = {}
    for name, values in scores.items():
        percentile, lowest = _quantiles(values, [0.99, MIN_FENCE_PERCENTILE / 100])
        scales[name] = ScoreScale(
            quantiles=quantiles(values),
            threshold=percentile if few else min(percentile, max(lowest, _fence(values))),
        )
    rule = "the 99th percentile"
    if not few:
        rule += f", or Tukey's fence of the logarithms between it and the {MIN_FENCE_PERCENTILE}th"
    return Calibration(source=source, rows=rows, rule=rule, scales=scales)


def _fence(values: Floats) -> float:
    """Return Tukey's fence of the logarithms, compressed like scores of that size."""
    low, high = np.quantile(np.log(np.maximum(values, 1e-12)), [0.25, 0.75])
    fence = math.exp(min(high + 1.5 * (high - low), 700.0))
    return float(log_compressed(torch.tensor(fence, dtype=torch.float64)))


def quantiles(values: Floats) -> list[float]:
    """Return the quantiles of scores at `LEVELS`."""
    return _quantiles(values, np.array(LEVELS) / 100)


def _quantiles(values: Floats, shares: Sequence[float] | Floats) -> list[float]:
    """Return quantiles whose expected exceedance by new values is the nominal one.

    The default interpolation is too low for few values (Hyndman and Fan 1996; this is type 6).
    """
    return [float(value) for value in np.quantile(values, shares, method="weibull")]


def fit_labelled_thresholds(
    scores: Mapping[str, Floats],
    codes: Codes | None,
    fpr: float | None,
    rows: str,
    anomaly: str | None,
) -> Calibration:
    """Return quantiles of ordinary scores, and thresholds by a false positive rate or best F1.

    `codes` `(n_samples,)` are 1 for anomalies, 0 for ordinary samples and -1 for unknown ones, from
    the column `anomaly`. Without `codes` and `fpr` thresholds are fitted without labels.
    """
    normal = scores if codes is None else {n: values[codes == 0] for n, values in scores.items()}
    calibration = fit_thresholds(normal, source=rows)
    if fpr is None and codes is None:
        return calibration
    if fpr is not None:
        rule = f"{fpr:.6g} of the ordinary {rows.partition(' ')[0]} are above it"
        limits = {name: _quantiles(values, [1 - fpr])[0] for name, values in normal.items()}
    else:
        assert codes is not None, "one of them is not None here"
        rule = f"the best F1 for {anomaly}"
        limits = {name: best_threshold(values, codes) for name, values in scores.items()}
    scales = {
        name: ScoreScale(quantiles=quantiles(values), threshold=limits[name])
        for name, values in normal.items()
    }
    return calibration.model_copy(update={"rule": rule, "scales": scales})
