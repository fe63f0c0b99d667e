"""Parse `--threshold`, and find the score that it means."""

from __future__ import annotations

import math
import re

import numpy as np

from aecli.errors import UsageError
from aecli.spec.model import LEVELS, ScoreScale

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
