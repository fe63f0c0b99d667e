"""Fit the range of ordinary values of each number, beyond which a single cell decides no figure."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.schema.model_spec import LONG_TAIL

RARE = 0.005
"""Share of the values on each side that may lie anywhere; one value at least."""

FEWEST_RARE = 2
"""The same in values, where all but the rare ones are one value."""

MARGIN = 0.5
"""The range goes beyond all other values by this share of their extent: of normal values one in
millions lies outside."""


def number_ranges(numbers: Tensor) -> Tensor:
    """Return the lowest and highest ordinary value of scaled numbers, and their variance.

    Args:
        numbers: `(n_rows, n_numbers)` of the training rows, NaN where missing.

    The result is `(3, n_numbers)`. The variance is that of values limited to a range. A number that
    hardly varies has a range of the usual deviation of all numbers on each side: what lies inside
    of that decides nothing.
    """
    ordered = numbers.double().sort(0).values  # NaN is last
    count = (~ordered.isnan()).sum(0)
    low, high = _trimmed(ordered, count, (RARE * count).ceil().long())
    few = _trimmed(ordered, count, torch.full_like(count, FEWEST_RARE))
    alike = low == high
    low, high = torch.where(alike, few[0], low), torch.where(alike, few[1], high)
    margin = MARGIN * (high - low)
    variance = _variance(ordered.clamp(low - margin, high + margin))
    margin = torch.maximum(margin, variance.mean().sqrt())
    return torch.stack([low - margin, high + margin, variance])


def _trimmed(ordered: Tensor, count: Tensor, rare: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest value without the `rare` first and last of each column."""
    rare = torch.minimum(rare, (count - 1).clamp(min=0) // 2)
    ends = torch.stack([rare, (count - 1 - rare).clamp(min=0)])
    low, high = ordered.gather(0, ends).nan_to_num(0.0)
    return low, high


def _variance(values: Tensor) -> Tensor:
    return (values - values.nanmean(0)).square().nanmean(0).nan_to_num(0.0)


def default_ranges(means: Tensor) -> Tensor:
    """Return ranges of 8 scaled units about the means `(n_numbers,)`, of unknown variance."""
    return torch.stack([means - LONG_TAIL, means + LONG_TAIL, torch.zeros_like(means)])
