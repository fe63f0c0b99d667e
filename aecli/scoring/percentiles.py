"""Percentiles of scores among those of the calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aecli.array_types import Floats, Integers
from aecli.schema.calibration import LEVELS

INTERVAL_BITS = 44
"""Low bits that the numbers of a table's interval differ in: 256 intervals from a number to twice
the number."""

MIN_TABLE_SHARE = 2.0**-16
"""Scores below this share of the highest quantile are in the first interval."""


class Percentiles:
    """Percentiles of scores, interpolated between the `quantiles` at `LEVELS`.

    The intervals of positive numbers with the same high bits are in the order of the numbers. A
    table has the number of quantiles below each interval, so that a binary search, which takes
    several times as long, is needed only where an interval contains quantiles.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        self._quantiles = np.asarray(quantiles, dtype=np.float64)
        highest = max(self._quantiles[-1], np.finfo(np.float64).tiny / MIN_TABLE_SHARE)
        self._first, last = _intervals(np.array([highest * MIN_TABLE_SHARE, highest]))
        starts = (np.arange(self._first, last + 1) << INTERVAL_BITS).view(np.float64)
        self._below = np.searchsorted(self._quantiles, starts).clip(max=len(self._quantiles) - 1)
        self._below[0] = 0
        self._levels = np.asarray(LEVELS, dtype=np.float64)
        self._steps = np.diff(self._levels)
        # Of equal quantiles, a score has the level of the first one.
        self._widths = np.diff(self._quantiles).clip(min=np.finfo(np.float32).tiny)

    def of(self, scores: Floats) -> Floats:
        """Return the percentage of calibrated scores that are strictly lower `(n_samples,)`.

        It is the highest level above the last quantile, and NaN for a score that is NaN.
        """
        upper = self._below.take(_intervals(scores) - self._first, mode="clip")
        rest = np.flatnonzero(self._quantiles.take(upper) < scores)
        upper[rest] = np.searchsorted(self._quantiles, scores[rest])
        lower = upper.clip(1, len(self._steps)) - 1
        shares: Floats = (scores - self._quantiles.take(lower)) / self._widths.take(lower)
        np.clip(shares, 0, 1, out=shares)
        shares *= self._steps.take(lower)
        shares += self._levels.take(lower)
        return shares


def _intervals(scores: Floats) -> Integers:
    intervals: Integers = scores.view(np.int64) >> INTERVAL_BITS
    return intervals
