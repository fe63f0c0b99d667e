"""Level, spread and roughness of windows, and their distances to those of training windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.scoring.whitening import MAX_JOINT, divisors, whitening

MIN_CHANGE = 0.05
"""Change of a window that counts as none, as a share of the mean standard deviation of windows for
the level, and of the value itself for the standard deviation and the roughness."""


@dataclass(frozen=True)
class WindowStatistics:
    """Distribution of statistics of training windows.

    The statistics of each number, boolean or one-hot category are its mean in a window, and the
    logarithms of its standard deviation and of the mean absolute difference of successive rows.
    `window_floor` `(2, n_elements)` is added to the last two before, so that the logarithm of a
    flat line is finite. `window_median` and `window_spread` `(3, n_elements)` are robust location
    and scale of the statistics. They are centred by `window_centre` `(3 * n_elements,)` and
    whitened by `window_whiten`: a matrix, or factors for more than `MAX_JOINT` of them.
    """

    window_floor: Tensor
    window_median: Tensor
    window_spread: Tensor
    window_centre: Tensor
    window_whiten: Tensor

    def distances(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Return squared robust z-scores by element, and squared Mahalanobis distances.

        `windows` are `(n_windows, window, n_elements)`, NaN if missing. The former
        `(n_windows, n_elements)` are means over the three statistics, the latter `(n_windows,)` are
        divided by their number.
        """
        statistics = _statistics(windows, self.window_floor)
        squares = ((statistics - self.window_median) / self.window_spread).square().nanmean(1)
        centred = (statistics.flatten(1) - self.window_centre).nan_to_num(0.0)
        whiten = self.window_whiten
        whitened = centred @ whiten if whiten.dim() == 2 else centred * whiten
        return squares.float(), whitened.square().mean(1).float()


def fit_window_statistics(windows: Tensor) -> WindowStatistics:
    """Return the distribution of the statistics of training windows.

    `windows` are `(n_windows, window, n_elements)`, NaN if missing.
    """
    floor = MIN_CHANGE * _sizes(windows).nanmean(0).nan_to_num(0.0)
    floor = torch.where(floor > 0, floor, 1.0)
    minimum = torch.cat([floor[:1], torch.full_like(floor, MIN_CHANGE)])
    statistics = _statistics(windows, floor)
    median = statistics.nanmedian(0).values.nan_to_num(0.0)
    vectors = statistics.flatten(1)
    centre = vectors.nanmean(0).nan_to_num(0.0)
    vectors = (vectors - centre).nan_to_num(0.0)
    factors = divisors(vectors, minimum.flatten())
    deviation = 1 / factors.view_as(median)
    robust = 1.4826 * (statistics - median).abs().nanmedian(0).values.nan_to_num(0.0)
    spread = torch.where(robust > 0, torch.maximum(robust, minimum), deviation)
    small = vectors.shape[1] <= MAX_JOINT
    whiten = factors[:, None] * whitening(vectors * factors) if small else factors
    return WindowStatistics(floor, median, spread, centre, whiten)


def _statistics(windows: Tensor, floor: Tensor) -> Tensor:
    """Return the statistics `(n_windows, 3, n_elements)`."""
    level = windows.double().nanmean(1)
    return torch.cat([level[:, None], (_sizes(windows) + floor).log()], 1)


def _sizes(windows: Tensor) -> Tensor:
    """Return standard deviation and mean absolute difference `(n_windows, 2, n_elements)`."""
    windows = windows.double()
    centred = windows - windows.nanmean(1, keepdim=True)
    deviation = centred.square().nanmean(1).sqrt()
    return torch.stack([deviation, windows.diff(dim=1).abs().nanmean(1)], 1)
