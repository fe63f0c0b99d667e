"""Discrete codes of cells, so that any table is a table of categories.

A number's code is one of its repeated values, or an interval between two quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.array_types import AnyFloats, Float32s
from aecli.features.layout import Layout

MIN_SHARED = 20
"""Minimum number of training rows with a stored value, or between two stored quantiles."""

MAX_LEVELS = 64
"""Maximum number of repeated values of a number with a code each: its most frequent ones."""

MAX_INTERVALS = 32
"""Maximum number of intervals of a number that other values are in."""

POINTS = 9
"""Quantiles of the values of one code; all are equal for a repeated value."""


class CellCodes:
    """Codes of latents and cells: integers `(n_rows, n_values)`, -1 for an unseen value.

    The first `latents` values are a row's latents, the others its cells. `points` has for each
    latent and number its codes' quantiles `(n_codes, POINTS)`, in ascending order. The last code of
    each value in `missing` is that of a missing cell.
    """

    def __init__(
        self, layout: Layout, points: Sequence[Tensor], missing: Sequence[bool], *, latents: int
    ) -> None:
        self.layout = layout
        self.points = tuple(points)
        self.missing = tuple(missing)
        self.latents = latents
        self.known = [len(part) for part in points] + [2] * layout.booleans
        self.known += layout.cardinalities
        self.sizes = [size + gap for size, gap in zip(self.known, missing, strict=True)]

    def encode(self, latents: Tensor, cells: Tensor) -> Tensor:
        """Return the codes of rows with latents `(n_rows, n_latents)` and cells."""
        codes = []
        for value, of_value in enumerate([*latents.unbind(1), *cells.unbind(1)]):
            if value < len(self.points):
                known = _number_codes(of_value.contiguous(), self.points[value])
            else:
                known = of_value.nan_to_num(-1).long()
            gap = self.known[value] if self.missing[value] else -1
            codes.append(torch.where(of_value.isnan(), gap, known))
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a network's outputs `(n_rows, n_outputs)` for codes, and which cells are missing.

        A number is drawn from the distribution within its code. A text is missing if its first cell
        is; a missing character behind the first one is the end of the text, its last code.
        """
        last = torch.tensor(self.known) - 1
        missing = (codes > last)[:, self.latents :][:, list(self.layout.missing_with)]
        codes = codes.minimum(last)
        numbers = [
            _drawn(points[codes[:, value]], generator)
            for value, points in enumerate(self.points)
            if value >= self.latents
        ]
        first = len(self.points)
        dense = first + self.layout.booleans
        booleans = codes[:, first:dense] * 2.0 - 1
        categories = [
            F.one_hot(codes[:, value], self.known[value]).float()
            for value in range(dense, len(self.known))
        ]
        columns = [number.unsqueeze(1) for number in numbers]
        return torch.cat([*columns, booleans, *categories], dim=1), missing


def _drawn(points: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from the distribution with the quantiles `(n_rows, POINTS)`, linear between them."""
    where = torch.rand(len(points), 1, generator=generator) * (POINTS - 1)
    left = where.long().clamp(max=POINTS - 2)
    low, high = points.gather(1, left), points.gather(1, left + 1)
    return (low + (where - left) * (high - low))[:, 0]


def _number_codes(values: Tensor, points: Tensor) -> Tensor:
    """Return the code of each value `(n_rows,)` of a number; arbitrary where it is missing."""
    single = points[:, 0] == points[:, -1]
    levels, bins = single.nonzero()[:, 0], (~single).nonzero()[:, 0]
    if not len(bins):
        edges = (points[1:, 0] + points[:-1, 0]) / 2
        return torch.searchsorted(edges, values)
    at = torch.searchsorted(points[bins, 0].contiguous(), values, right=True) - 1
    codes = bins[at.clamp(min=0)]
    if len(levels):
        stored = points[levels, 0].contiguous()
        at = torch.searchsorted(stored, values).clamp(max=len(levels) - 1)
        codes = torch.where(stored[at] == values, levels[at], codes)
    return codes


def fit_cell_codes(layout: Layout, latents: Tensor, cells: Tensor) -> CellCodes:
    """Fit codes on the latents `(n_rows, n_latents)` and the cells of training rows."""
    numbers = torch.cat([latents, cells[:, : layout.numbers]], dim=1).numpy()
    points = [torch.from_numpy(_points(values[~np.isnan(values)])) for values in numbers.T]
    missing = [False] * latents.shape[1] + cells.isnan().any(0).tolist()
    return CellCodes(layout, points, missing, latents=latents.shape[1])


def _points(values: Float32s) -> Float32s:
    """Return the codes' quantiles `(n_codes, POINTS)` of a number's known values."""
    if not len(values):  # an element of a vector may be missing in all rows
        return np.zeros((1, POINTS), dtype=np.float32)
    distinct, counts = np.unique(values, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:MAX_LEVELS]
    levels = distinct[frequent[counts[frequent] >= MIN_SHARED]]
    rest = values[~np.isin(values, levels)]
    bins = _bins(rest) if len(rest) >= MIN_SHARED or not len(levels) else np.empty((0, POINTS))
    every = np.concatenate([np.repeat(levels[:, None], POINTS, axis=1), bins])
    distinct_codes: Float32s = np.unique(every.astype(np.float32), axis=0)
    return distinct_codes


def _bins(rest: AnyFloats) -> AnyFloats:
    """Return the quantiles `(n_bins, POINTS)` of intervals of values."""
    rest = rest.astype(np.float64)
    count = int(np.clip(len(rest) // MIN_SHARED, 1, MAX_INTERVALS))
    fine = int(np.clip(len(rest) // MIN_SHARED, 1, MAX_INTERVALS * (POINTS - 1)))
    known = np.quantile(rest, np.linspace(0, 1, fine + 1))
    positions = np.linspace(0, 1, count * (POINTS - 1) + 1)
    every = np.interp(positions, np.linspace(0, 1, fine + 1), known)
    starts = np.arange(count) * (POINTS - 1)
    bins: AnyFloats = every[starts[:, None] + np.arange(POINTS)]
    return bins
