"""Parse `--threshold`, and find the score that it means."""

from __future__ import annotations

import math
import re

import numpy as np

from aecli.array_types import Codes, Floats
from aecli.errors import UsageError
from aecli.schema.model_spec import LEVELS, ScoreScale

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
