"""Feed-forward layers, norm layers, and the top-k latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE_MEMORY = 0.98
"""Decay of the moving average of a unit's firing rate per training step."""

BOOST = 0.5
"""Exponent of (expected rate / rate), by which rarely firing units are boosted in training."""


class BatchNorm(nn.Module):
    """Batch norm of each feature: over the rows of a training batch, else by running statistics.

    As in Ioffe and Szegedy (2015). A training batch of one row has no variance: it is normalised by
    the running statistics and does not update them, so that tables and last batches of one row can
    be trained on. Unlike `nn.BatchNorm1d` it does not count batches: its momentum is fixed.
    """

    def __init__(
        self, width: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` of shape `(n_rows, width)` normalised, scaled and shifted."""
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training and len(x) > 1,
            momentum=self.momentum,
            eps=self.eps,
        )


def instance_norm(width: int, *, eps: float = 1e-5, affine: bool = False) -> nn.Module:
    """Build a norm that normalises each row to mean 0 and variance 1 over its features.

    This equals `nn.InstanceNorm1d` on `(n_rows, n_features)`, which treats rows as channels of one
    instance and features as positions. With `affine` there is one learned scale and shift per
    feature; so it is a layer norm whose `affine` is off by default. A single feature is not
    changed, because it would become 0.
    """
    return layer_norm(width, eps=eps, elementwise_affine=affine)


def layer_norm(width: int, *, eps: float = 1e-5, elementwise_affine: bool = True) -> nn.Module:
    """Build a layer norm (Ba et al., 2016) with a learned scale and shift per feature.

    A single feature is not changed, because it would become 0.
    """
    if width == 1:
        return nn.Identity()
    return nn.LayerNorm(width, eps=eps, elementwise_affine=elementwise_affine)


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


class MLP(nn.Sequential):
    """Linear layers: Linear → [norm] → activation → [dropout] each, the last one only Linear.

    `sizes` are the widths from the input to the output: `[784, 128, 12]` has one hidden layer and
    `[784, 12]` none. Maps `(n_rows, sizes[0])` to `(n_rows, sizes[-1])`.

    Raises:
        ValueError: `sizes` has fewer than two entries.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[int],
        activation: Callable[[], nn.Module],
        norm: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.0,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"sizes {list(sizes)} must have an input and an output")
        super().__init__()
        for inputs, width in pairwise(sizes[:-1]):
            self.append(nn.Linear(inputs, width))
            if norm is not None:
                self.append(norm(width))
            self.append(activation())
            if dropout > 0:
                self.append(nn.Dropout(dropout))
        self.append(nn.Linear(sizes[-2], sizes[-1]))

    @property
    def last(self) -> nn.Linear:
        """Return the last layer."""
        return self.linears[-1]

    @property
    def reads(self) -> list[Tensor]:
        """Return the parameters whose last axis is the input."""
        return [self.linears[0].weight]

    @property
    def linears(self) -> list[nn.Linear]:
        """Return the linear layers from input to output."""
        return [module for module in self if isinstance(module, nn.Linear)]
