"""Fit the range of ordinary values of each number; outliers are clipped in R²."""

from __future__ import annotations

import numpy as np
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

SORTED_VALUES = 1 << 18
"""Number of values of a block of columns, which fit into the processor's cache."""


def number_ranges(numbers: Tensor) -> Tensor:
    """Return the minimum and maximum ordinary value of scaled numbers, and their variance.

    Args:
        numbers: `(n_rows, n_numbers)` of the training rows, NaN for missing.

    The result is `(3, n_numbers)`. The variance is that of values clipped to a range. The margin of
    a range is at least the root mean square deviation of all numbers, so that the range of a number
    that hardly varies is not too narrow.
    """
    blocks = numbers.split(max(1, SORTED_VALUES // max(1, len(numbers))), dim=1)
    low, high, margin, variance = torch.cat([_ordinary(block) for block in blocks], 1)
    margin = torch.maximum(margin, variance.mean().sqrt())
    return torch.stack([low - margin, high + margin, variance])


def _ordinary(numbers: Tensor) -> Tensor:
    """Return minimum, maximum, margin and variance of the ordinary values `(4, n_numbers)`."""
    # NumPy sorts rows of float32 several times as fast as torch; NaN is last.
    ordered = torch.from_numpy(np.sort(numbers.T.contiguous().numpy(), axis=1))
    count = (~ordered.isnan()).sum(1)
    low, high = _trimmed(ordered, count, (RARE * count).ceil().long())
    few = _trimmed(ordered, count, torch.full_like(count, MIN_RARE))
    alike = low == high
    low, high = torch.where(alike, few[0], low), torch.where(alike, few[1], high)
    margin = MARGIN * (high - low)
    limited = ordered.double().clamp((low - margin)[:, None], (high + margin)[:, None])
    return torch.stack([low, high, margin, _variance(limited)])


def _trimmed(ordered: Tensor, count: Tensor, rare: Tensor) -> tuple[Tensor, Tensor]:
    """Return the minimum and maximum of each row without the `rare` first and last values."""
    rare = torch.minimum(rare, (count - 1).clamp(min=0) // 2)
    ends = torch.stack([rare, (count - 1 - rare).clamp(min=0)], 1)
    low, high = ordered.gather(1, ends).double().nan_to_num(0.0).unbind(1)
    return low, high


def _variance(values: Tensor) -> Tensor:
    mean = values.nanmean(1, keepdim=True)
    return (values - mean).square_().nanmean(1).nan_to_num(0.0)


def default_ranges(means: Tensor) -> Tensor:
    """Return ranges of ±8 scaled units around the means `(n_numbers,)`, of unknown variance."""
    return torch.stack([means - LONG_TAIL, means + LONG_TAIL, torch.zeros_like(means)])
