"""Feed-forward layers and norm layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class BatchNorm(nn.Module):
    """Batch norm of each feature: over the rows of a training batch, else by running statistics.

    As in Ioffe and Szegedy (2015). A training batch of one row has no variance: it is normalised by
    the running statistics and does not update them, so that tables and last batches of one row can
    be trained on. Unlike `nn.BatchNorm1d` it does not count batches: its momentum is fixed.
    """

    def __init__(
        self,
        width: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine and bias else None
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


def instance_norm(
    width: int, *, eps: float = 1e-5, affine: bool = False, bias: bool = True
) -> nn.Module:
    """Build a norm that normalises each row to mean 0 and variance 1 over its features.

    This equals `nn.InstanceNorm1d` on `(n_rows, n_features)`, which treats rows as channels of one
    instance and features as positions. With `affine` there is one learned scale and shift per
    feature; so it is a layer norm whose `affine` is off by default. A single feature is not
    changed, because it would become 0.
    """
    return layer_norm(width, eps=eps, elementwise_affine=affine, bias=bias)


def layer_norm(
    width: int, *, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
) -> nn.Module:
    """Build a layer norm (Ba et al., 2016) with a learned scale and shift per feature.

    A single feature is not changed, because it would become 0.
    """
    if width == 1:
        return nn.Identity()
    return nn.LayerNorm(width, eps=eps, elementwise_affine=elementwise_affine, bias=bias)


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
