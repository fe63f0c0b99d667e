"""Build norm layers for rows of features `(n_rows, n_features)`, by name, from a closed table."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class BatchNorm(nn.Module):
    """Normalise each feature over the rows of a training batch, and by running figures otherwise.

    As in Ioffe and Szegedy (2015). A training batch of one row has no variance: it is normalised by
    the running figures and leaves them alone, so that a last batch of one row and a table of one
    row train. Unlike `nn.BatchNorm1d` it counts no batches, because its momentum is fixed.
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
    """Build a norm that brings each row to mean 0 and variance 1 over its own features.

    That is what `nn.InstanceNorm1d` computes on `(n_rows, n_features)`: it takes the rows for the
    channels of one instance and the features for its positions. It has no learned scale unless
    `affine`, which then is one scale and shift per feature; so it is a layer norm whose `affine`
    is off by default. A single feature passes unchanged, since alone it would become 0.
    """
    return layer_norm(width, eps=eps, elementwise_affine=affine)


def layer_norm(width: int, *, eps: float = 1e-5, elementwise_affine: bool = True) -> nn.Module:
    """Build a layer norm (Ba et al., 2016) with a learned scale and shift per feature.

    A single feature passes unchanged, since alone it would become 0.
    """
    if width == 1:
        return nn.Identity()
    return nn.LayerNorm(width, eps=eps, elementwise_affine=elementwise_affine)


def no_norm(width: int) -> nn.Module:
    """Build the norm that changes nothing."""
    return nn.Identity()


NORMS: dict[str, Callable[..., nn.Module]] = {
    "none": no_norm,
    "batch": BatchNorm,
    "instance": instance_norm,
    "layer": layer_norm,
}


def norm(name: str, width: int, **args: object) -> nn.Module:
    """Build the norm layer `name` of `NORMS` for rows of `width` features.

    Raises:
        KeyError: the name is not in the table.
    """
    return NORMS[name](width, **args)
