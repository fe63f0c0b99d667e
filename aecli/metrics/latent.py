"""Measure the use of the latent: active units, effective rank, sparsity; and dead hidden units."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from aecli.array_types import AnyFloats, Indices
from aecli.features.layout import NUMERIC
from aecli.metrics.eigenvectors import symmetric_eigenvectors
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.row_sample import RowSample, position_keys
from aecli.schema.model_spec import Column

ACTIVE_SHARE = 1e-4
"""Minimum variance of an active unit, as a share of the largest unit's and of the inputs'."""

ACTIVE_VARIANCE = 0.01
"""Minimum variance of the mean of an active variational unit; the prior has variance 1, and noise
of about that size hides less (Burda et al. 2016, §5.2)."""

NEAR_ZERO = 1e-3
"""Latents are near zero below this share of their unit's root mean square over all rows; for units
whose own is below this share of the whole latent's, all latents are."""

TAIL = 0.01
"""Share of the rows at each end of a unit's range that may be outliers."""

MAX_LATENT_SAMPLES, MAX_LATENT_VALUES = 8_192, 1 << 22
"""Maximum rows and values of the sample used for robust metrics."""

SLOT_VARIANCE = 0.1
"""Variance of a one-hot input, for tables without numbers."""

BINS_PER_OCTAVE, LOWEST_OCTAVE, HIGHEST_OCTAVE = 4, -64, 64
"""Magnitudes of latents are counted in bins of 19 %, from 2^-64 (0 below) to 2^64."""

MODULE_NAMES = {"head": "classifier", "code": "latent"}
"""Displayed names of parts of the network, if they differ from those in the code."""


@dataclass(frozen=True)
class LatentHealth:
    """Use of the latent; an active unit's deviation is at least 1 % of the largest and the inputs'.

    `zero_share` is the share of values that are exactly 0, `near_zero_share` includes small ones.
    `means` is the mean activation of each unit, whose target is `rho`; None without that loss.
    """

    size: int
    active: int
    active_share: float
    dead: Sequence[int]
    effective_rank: float
    mean_abs: float
    near_zero_share: float
    zero_share: float
    means: Sequence[float]
    rho: float | None


class LatentFigures:
    """Accumulator of the moments of latents `(n_rows, latent)`, and of their magnitudes.

    `variational` latents are means of distributions, which have a scale of their own; others are
    compared with `input_variance`. Covariance, dead units and effective rank are computed from a
    sample `with_limited_outliers`.
    """

    def __init__(
        self, size: int, *, variational: bool = False, input_variance: float = 0.0
    ) -> None:
        self.size = size
        self._variational = variational
        self._input_variance = input_variance
        self._sample = RowSample(min(MAX_LATENT_SAMPLES, max(256, MAX_LATENT_VALUES // size)))
        self.rows = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._products = torch.zeros(size, size, dtype=torch.float64)
        self._absolute = 0.0
        self._zeros = 0
        self._bins = (HIGHEST_OCTAVE - LOWEST_OCTAVE) * BINS_PER_OCTAVE + 1
        self._sizes = torch.zeros(size * self._bins, dtype=torch.int64)

    def add(self, latent: Tensor) -> None:
        """Add one batch."""
        values = latent.double().cpu()
        rows = values.numpy()

        def at(positions: Indices) -> dict[str, AnyFloats]:
            return {"latent": rows[positions]}

        self._sample.add(position_keys(self.rows, len(rows)), at)
        self.rows += len(values)
        self._sum += values.sum(0)
        self._products += values.T @ values
        self._absolute += float(values.abs().sum())
        self._zeros += values.numel() - int(values.count_nonzero())
        bins = _bin_of(values.abs()) + torch.arange(self.size) * self._bins
        self._sizes += torch.bincount(bins.flatten(), minlength=len(self._sizes))

    def covariance(self) -> Tensor:
        """Return the covariance `(latent, latent)`, with limited outliers."""
        values = torch.from_numpy(with_limited_outliers(self._sample.columns()["latent"]))
        centred = values - values.mean(0)
        return centred.T @ centred / len(values)

    def axes(self) -> Tensor:
        """Return the principal axes as rows `(latent, latent)`, by descending variance.

        The largest entry of each is positive, so that signs do not depend on the solver.
        """
        mean = self._sum / self.rows
        covariance = self._products / self.rows - torch.outer(mean, mean)
        axes = symmetric_eigenvectors(covariance)[1].T.flip(0)
        largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
        return axes * torch.where(largest < 0, -1.0, 1.0)

    def dead(self) -> list[int]:
        """Return the units that hardly vary, relative to the largest, the inputs or noise."""
        variance = self.covariance().diagonal()
        floor = max(ACTIVE_SHARE * max(float(variance.max()), self._input_variance), 1e-12)
        if self._variational:
            floor = ACTIVE_VARIANCE
        return [index for index, value in enumerate(variance.tolist()) if value <= floor]

    def effective_rank(self) -> float:
        """Return exp of the entropy of the covariance's eigenvalue shares (Roy, Vetterli 2007)."""
        values = torch.linalg.eigvalsh(self.covariance()).clamp(min=0)
        if float(values.sum()) <= 0:
            return 0.0
        shares = values / values.sum()
        return float(torch.exp(-(shares * shares.clamp(min=1e-300).log()).sum()))

    def means(self) -> Tensor:
        """Return each unit's mean activation `(latent,)`."""
        return self._sum / self.rows

    def mean_abs(self) -> float:
        """Return the mean of |z|."""
        return self._absolute / (self.rows * self.size)

    def zero_share(self) -> float:
        """Return the share of latents that are exactly 0."""
        return self._zeros / (self.rows * self.size)

    def near_zero_share(self) -> float:
        """Return the share of latents that are zero or nearly zero.

        The scale of a unit is known only after the last row, so magnitudes are stored in bins.
        """
        scales = (self._products.diagonal() / self.rows).sqrt()
        small = scales <= NEAR_ZERO * scales.square().mean().sqrt()
        limit = torch.where(small, self._bins, _bin_of(NEAR_ZERO * scales))
        below = torch.arange(self._bins) < limit.clamp(min=1)[:, None]
        counts = self._sizes.view(self.size, self._bins)
        return int(counts[below].sum()) / (self.rows * self.size)

    def health(self, *, low: float, rho: float | None) -> LatentHealth:
        """Return the use of the latent; means are rescaled from `low`..1 to 0..1."""
        dead = self.dead()
        active = self.size - len(dead)
        return LatentHealth(
            size=self.size,
            active=active,
            active_share=active / self.size,
            dead=dead,
            effective_rank=self.effective_rank(),
            mean_abs=self.mean_abs(),
            near_zero_share=self.near_zero_share(),
            zero_share=self.zero_share(),
            means=((self.means() - low) / (1 - low)).tolist(),
            rho=rho,
        )


def with_limited_outliers(values: AnyFloats) -> AnyFloats:
    """Return values `(n_rows, n_units)` with outliers of each unit clipped.

    A unit's range is that of its middle 98 %; values may exceed it by the width of the range, which
    is about 7 standard deviations of a normal distribution from the middle. A unit whose middle
    98 % are constant is not clipped.
    """
    tail = min(math.ceil(TAIL * len(values)), (len(values) - 1) // 2)
    ordered = np.partition(values, (tail, len(values) - 1 - tail), axis=0)
    low, high = ordered[tail], ordered[len(values) - 1 - tail]
    width = np.where(high > low, high - low, np.inf)
    limited: AnyFloats = np.clip(values, low - width, high + width)
    return limited


def input_variance(columns: Sequence[Column]) -> float:
    """Return the approximate variance of a scaled number of the training rows."""
    varying = [column for column in columns if not column.constant]
    known = [column.trivial_loss for column in varying if column.kind in NUMERIC]
    return sum(known) / len(known) if known else SLOT_VARIANCE


def _bin_of(sizes: Tensor) -> Tensor:
    """Return the bin of each nonnegative magnitude; bin 0 is zero itself."""
    octaves = sizes.clamp(2.0**LOWEST_OCTAVE, 2.0**HIGHEST_OCTAVE).log2() - LOWEST_OCTAVE
    return (octaves * BINS_PER_OCTAVE).floor().long()


@torch.no_grad()
def dead_units(
    network: AutoencoderNetwork, activations: tuple[type[nn.Module], ...], inputs: Tensor
) -> dict[str, int]:
    """Count, per hidden layer, the units whose output is constant over the rows of `inputs`.

    Layers are named by the part of the network and their position: `encoder layer 1`.
    """
    counts: dict[str, int] = {}

    def watch(name: str) -> object:
        def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # A unit of a convolution is a channel, at all positions.
            rest = [0, *range(2, output.dim())]
            spread = output.amax(rest) - output.amin(rest)
            counts[name] = int((spread <= 1e-7).sum())

        return count

    seen: Counter[str] = Counter()
    layers = []
    for path, module in network.named_modules():
        part = path.partition(".")[0]
        if isinstance(module, activations) and part != "output":
            seen[part] += 1
            layers.append((f"{MODULE_NAMES.get(part, part)} layer {seen[part]}", module))
    handles = [m.register_forward_hook(watch(n)) for n, m in layers]  # type: ignore[arg-type]  # a hook
    try:
        network(inputs)
        if network.head is not None:
            network.classify(network.encode(inputs))
    finally:
        for handle in handles:
            handle.remove()
    return {name: count for name, count in counts.items() if count}
