"""Sparse latents: top-k, soft and hard thresholds, and the bounded decoder that L1 needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE_MEMORY = 0.98
"""Decay of the moving average of a unit's firing rate per training step."""

BOOST = 0.5
"""Exponent of (expected rate / rate), by which rarely firing units are boosted in training."""

MAX_START = 0.5
"""Maximum threshold of a latent unit before training, as a share of its scale."""

WIDTH = 1.0
"""Width of the kernel of a hard threshold's gradient, as a share of the threshold."""


class TopK(nn.Module):
    """Top-k sparsity: the `k` latents of a row with the largest magnitude are kept, others are 0.

    Makhzani and Frey (2013), by magnitude because linear latents have both signs. Units that are
    never among the largest would have no gradient; in training their magnitudes are boosted, as in
    Ahmad and Scheinkman (2019, §3.2): here by (k / n / rate)^BOOST, where `rate` is the moving
    average of the firing rate and k / n the expected rate. The rate of a dead unit decreases until
    it fires again. Without training there is no boost.
    """

    def __init__(self, latent: int, k: int) -> None:
        super().__init__()
        self.k = k
        self.rate: Tensor
        self.register_buffer("rate", torch.full((latent,), k / latent))

    def forward(self, z: Tensor) -> Tensor:
        """Return latents `(n_rows, latent)` with all but `k` of each row set to 0."""
        size = z.detach().abs()
        if self.training:
            expected = self.k / len(self.rate)
            size = size * (expected / self.rate.clamp(min=1e-30)).pow(BOOST).to(size.dtype)
        kept = size.topk(self.k, dim=1).indices
        mask = torch.zeros_like(z).scatter_(1, kept, 1.0)
        if self.training:
            with torch.no_grad():
                self.rate.lerp_(mask.mean(0).to(self.rate.dtype), 1 - RATE_MEMORY)
        return z * mask


class SoftThreshold(nn.Module):
    """Soft threshold of each latent unit: sign(z) · max(|z| - threshold, 0).

    The proximal operator of an L1 penalty, with a learned threshold per unit (Gregor and LeCun
    2010, Learning fast approximations of sparse coding). Until `start` it changes no latent.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.log_threshold = nn.Parameter(torch.full((latent,), -torch.inf))

    @staticmethod
    def optimum(weight: float) -> float:
        """Return the threshold that minimises (x - z)² + weight · |z|."""
        return weight / 2

    @torch.no_grad()
    def start(self, z: Tensor, weight: float) -> None:
        """Set the thresholds from latents `(n_rows, latent)` that they have not changed.

        It is the `optimum` for the penalty's weight, but at most `MAX_START` of the geometric mean
        of a unit's root mean square and that of the whole latent: a unit whose values are all below
        its threshold would not be trained.
        """
        squares = z.square().mean(0)
        whole = squares.mean().clamp(min=1e-20)
        scale = (squares.clamp(min=1e-12 * whole) * whole).sqrt().sqrt()
        limit = (MAX_START * scale).clamp(min=1e-12)
        self.log_threshold.copy_(limit.clamp(max=max(self.optimum(weight), 1e-12)).log())

    def forward(self, z: Tensor) -> Tensor:
        """Return latents `(n_rows, latent)`, of which small ones are 0."""
        return functional.relu(z.abs() - self.log_threshold.exp()) * z.sign()


class HardThreshold(SoftThreshold):
    """JumpReLU for latents of both signs: z where |z| is above its unit's threshold, else 0.

    Rajamanoharan et al. (2024), Jumping ahead: improving reconstruction fidelity with JumpReLU
    sparse autoencoders, §3. A step has no gradient, so the thresholds get that of a density
    estimate: a rectangular kernel around the threshold, here of a width relative to it.
    """

    @staticmethod
    def optimum(weight: float) -> float:
        """Return the threshold that minimises (x - z)² + weight · (z is not 0)."""
        return math.sqrt(weight)

    def forward(self, z: Tensor) -> Tensor:
        """Return latents `(n_rows, latent)`, of which small ones are 0."""
        size, threshold = z.abs(), self.log_threshold.exp()
        kept = z * (size > threshold)
        if not self.training:
            return kept
        near = (size - threshold).abs() < WIDTH / 2 * threshold
        slope = (near * threshold * z.sign() / WIDTH).detach()
        return kept - slope * (self.log_threshold - self.log_threshold.detach())


def l0_penalty(z: Tensor, log_threshold: Tensor) -> Tensor:
    """Return the share of latents `(n_rows, latent)` that are not 0.

    Its gradient, for the thresholds only, is the density of |z| just above them (Rajamanoharan et
    al. 2024, eq. 12), with a one-sided kernel: latents below the threshold are 0 here.
    """
    size, threshold = z.detach().abs(), log_threshold.detach().exp()
    active = size > 0
    density = (active & (size < (1 + WIDTH / 2) * threshold)).float().mean(0) * 2 / WIDTH
    return active.float().mean() - (density * (log_threshold - log_threshold.detach())).mean()


@torch.no_grad()
def limit_columns(weights: Sequence[Tensor]) -> None:
    """Scale the weights `(…, latent)` that read a latent unit to a norm of at most 1.

    The constraint of dictionary learning (Mairal et al. 2010, Online learning for matrix
    factorization and sparse coding, eq. 4): small latents and large weights would otherwise reduce
    the L1 without any zero.
    """
    for weight in weights:
        norms = weight.square().sum(tuple(range(weight.dim() - 1))).sqrt()
        weight.div_(norms.clamp(min=1))
