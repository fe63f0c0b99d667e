"""Estimate 95 % intervals of figures: a jackknife over groups of rows, and Wilson's of a share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aecli.metrics.detection import Interval

MIN_JACKKNIFE_GROUPS, MAX_JACKKNIFE_GROUPS = 20, 40

NORMAL_QUANTILE = 1.96
"""97.5 % quantile of a normal distribution."""

STUDENT_QUANTILE = 2.09
"""97.5 % quantile of Student's t with `MIN_JACKKNIFE_GROUPS` - 1 degrees of freedom."""

CLEAR_DIFFERENCE = 0.0005
"""Smaller differences are not written as better or worse: they round to 0.0 points."""


class RowGroups:
    """Sums of `n_figures` figures of rows over groups of consecutive rows, in constant memory.

    There are at most `MAX_JACKKNIFE_GROUPS`, and at least half as many where there are as many
    rows: when the groups are full, neighbours are joined and each has twice as many rows. Groups
    are consecutive because neighbouring rows may depend on each other.
    """

    def __init__(self, figures: int) -> None:
        self.rows = self._first = 0
        self._size = 1
        self._sums = torch.zeros(MAX_JACKKNIFE_GROUPS, figures, dtype=torch.float64)

    def add(self, figures: Tensor) -> None:
        """Add all figures `(n_rows, n_figures)` of the next rows."""
        self.next_rows(len(figures))
        self.add_at(0, figures)

    def next_rows(self, count: int) -> None:
        """Make room for the next rows, whose figures `add_at` then adds."""
        self._first, self.rows = self.rows, self.rows + count
        while self.rows > MAX_JACKKNIFE_GROUPS * self._size:
            joined = self._sums.view(MAX_JACKKNIFE_GROUPS // 2, 2, -1).sum(1)
            self._sums = torch.cat([joined, torch.zeros_like(joined)])
            self._size *= 2

    def add_at(self, position: int, figures: Tensor) -> None:
        """Add figures `(n_rows, n)` of these rows, the first of which has this position."""
        block = self._sums[:, position : position + figures.shape[1]]
        first, size = self._first, self._size
        for group in range(first // size, -(-self.rows // size)):
            rows = slice(max(group * size - first, 0), (group + 1) * size - first)
            block[group] += figures[rows].sum(0, dtype=torch.float64).cpu()

    def sums(self) -> Tensor:
        """Return the sums `(n_groups, n_figures)` of the groups that have rows."""
        return self._sums[: -(-self.rows // self._size)]


def explained_interval(value: float, errors: Tensor) -> Interval | None:
    """Return `value`, which is 1 - errors / bases, with its interval.

    Args:
        value: the figure over all rows.
        errors: errors with their bases, summed over groups of rows `(n_groups, 2)`.

    The standard error is that of the jackknife which leaves one group out at a time (Efron and
    Tibshirani 1993, §11). None with too few groups, or where nothing was observed.
    """
    ratios = _without_each_group(errors)
    if ratios is None:
        return None
    mean = float(ratios.mean())
    # The figure may divide by a little more than the bases: the relative error is the same.
    half = STUDENT_QUANTILE * _standard_error(ratios) * (abs((1 - value) / mean) if mean else 1.0)
    return Interval(value, value - half, min(1.0, value + half))


def paired_interval(difference: float, errors: Tensor, others: Tensor) -> Interval | None:
    """Return by how much a figure of a model is above another model's, on the same rows.

    Rows that are difficult for both do not widen the interval, since the errors are paired.

    Args:
        difference: of the figures over all rows, each 1 - errors / bases.
        errors: of the first model with their bases, summed over groups of rows `(n_groups, 2)`.
        others: of the other model, over the same groups.

    None with too few groups, groups of other rows, or nothing observed.
    """
    if errors.shape != others.shape:
        return None
    ratios = [_without_each_group(sums) for sums in (errors, others)]
    if ratios[0] is None or ratios[1] is None:
        return None
    half = STUDENT_QUANTILE * _standard_error(ratios[1] - ratios[0])
    return Interval(difference, difference - half, difference + half)


def is_clear(difference: Interval) -> bool:
    """Return whether a difference is large enough to be written and its interval excludes 0."""
    excluded = difference.low > 0 or difference.high < 0
    return excluded and abs(difference.value) >= CLEAR_DIFFERENCE


def share_interval(hits: float, trials: int) -> Interval | None:
    """Return a share with Wilson's interval (Wilson 1927); None without a trial."""
    if not trials:
        return None
    share, square = hits / trials, NORMAL_QUANTILE**2
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    spread = share * (1 - share) / trials + square / (4 * trials**2)
    half = NORMAL_QUANTILE * math.sqrt(spread) / (1 + square / trials)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def _without_each_group(sums: Tensor) -> Tensor | None:
    """Return the first sums / the second without each of the groups; None with too few."""
    left = sums.sum(0) - sums
    if len(sums) < MIN_JACKKNIFE_GROUPS or not bool(left.isfinite().all() & (left[:, 1] > 0).all()):
        return None
    return left[:, 0] / left[:, 1]


def _standard_error(left_out: Tensor) -> float:
    count = len(left_out)
    return math.sqrt((count - 1) / count * float((left_out - left_out.mean()).square().sum()))
