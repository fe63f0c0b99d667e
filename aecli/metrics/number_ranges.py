"""Fit the range of ordinary values of each number; outliers are clipped in R²."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.schema.model_spec import LONG_TAIL

RARE = 0.005
"""Share of the values on each side that may be outliers; at least one value."""

MIN_RARE = 2
"""Number of outliers on each side for numbers whose other values are all equal."""

MARGIN = 0.5
"""Margin of the range, as a share of the extent of ordinary values: one normal value in millions
is outside."""


def number_ranges(numbers: Tensor) -> Tensor:
    """Return the minimum and maximum ordinary value of scaled numbers, and their variance.

    Args:
        numbers: `(n_rows, n_numbers)` of the training rows, NaN for missing.

    The result is `(3, n_numbers)`. The variance is that of values clipped to a range. The margin of
    a range is at least the root mean square deviation of all numbers, so that the range of a number
    that hardly varies is not too narrow.
    """
    ordered = numbers.double().sort(0).values  # NaN is last
    count = (~ordered.isnan()).sum(0)
    low, high = _trimmed(ordered, count, (RARE * count).ceil().long())
    few = _trimmed(ordered, count, torch.full_like(count, MIN_RARE))
    alike = low == high
    low, high = torch.where(alike, few[0], low), torch.where(alike, few[1], high)
    margin = MARGIN * (high - low)
    variance = _variance(ordered.clamp(low - margin, high + margin))
    margin = torch.maximum(margin, variance.mean().sqrt())
    return torch.stack([low - margin, high + margin, variance])


def _trimmed(ordered: Tensor, count: Tensor, rare: Tensor) -> tuple[Tensor, Tensor]:
    """Return the minimum and maximum of each column without the `rare` first and last values."""
    rare = torch.minimum(rare, (count - 1).clamp(min=0) // 2)
    ends = torch.stack([rare, (count - 1 - rare).clamp(min=0)])
    low, high = ordered.gather(0, ends).nan_to_num(0.0)
    return low, high


def _variance(values: Tensor) -> Tensor:
    return (values - values.nanmean(0)).square().nanmean(0).nan_to_num(0.0)


def default_ranges(means: Tensor) -> Tensor:
    """Return ranges of ±8 scaled units around the means `(n_numbers,)`, of unknown variance."""
    return torch.stack([means - LONG_TAIL, means + LONG_TAIL, torch.zeros_like(means)])
