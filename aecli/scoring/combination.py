"""Combination of the parts of a score, each divided by its held-out median."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aecli.schema.calibration import AGGREGATES
from aecli.scoring.deviations import HUGE, ScoringFit, log_compressed

REASON_PARTS = (0, 4, 5)
"""Parts with contributions by column, as indices of `ScoringFit.medians`: the mean of the errors,
the univariate distance, and the distance to a neighbour, or of the statistics of windows."""

WINDOW_ERROR_WEIGHT = 0.5
"""Weight of the reconstruction and of the joint part of a window's score; both depend on the errors
of the network (benchmarks/RESULTS.md, Windows and their statistics)."""


class Combination:
    """Weighted mean of the parts of a score, with the reconstruction by each of `aggregates`."""

    def __init__(self, fitted: ScoringFit, aggregates: Sequence[str]) -> None:
        self._aggregates = aggregates
        count, parts = len(AGGREGATES), len(fitted.medians)
        used = [*map(AGGREGATES.index, aggregates), *range(count, parts)]
        self._used = torch.tensor(used, device=fitted.medians.device)
        self._medians = fitted.medians[self._used, None]
        self._offsets = torch.zeros_like(self._medians)
        if fitted.ordinary is not None:
            self._offsets[-1] = fitted.ordinary
        weight = 1.0 if fitted.windows is None else WINDOW_ERROR_WEIGHT
        rest = torch.ones(len(aggregates), parts - count).to(self._medians)
        rest[:, 0] = weight
        self._weights = torch.cat([weight * torch.eye(len(aggregates)).to(rest), rest], 1)
        self._weights /= 2 * weight + parts - count - 1
        reasons = REASON_PARTS[: 2 if parts == count + 2 else 3]
        self._factors = [1 / (float(fitted.medians[part]) * len(reasons)) for part in reasons]

    def scores(self, parts: Tensor) -> dict[str, Tensor]:
        """Return scores `(n_samples,)` by aggregate; a missing part counts as 1."""
        ratios = parts.T.index_select(0, self._used)  # of rows, operations take less time
        ratios.sub_(self._offsets).div_(self._medians).clamp_(0, HUGE).nan_to_num_(1.0)
        scores = self._weights @ log_compressed(ratios)
        return dict(zip(self._aggregates, scores, strict=True))

    def reasons(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the mean of the parts' contributions by column, each about 1 for a usual cell."""
        total: Tensor = parts[0] * self._factors[0]
        for part, factor in zip(parts[1:], self._factors[1:], strict=True):
            total.add_(part, alpha=factor)
        return total
