"""Whitening of vectors, from a shrunk estimate of their covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.metrics.products import column_products

MAX_JOINT = 1_024
"""Maximum dimension of vectors for a full covariance matrix: 8 MB in the model."""


def joint_whitening(vectors: Tensor, minimum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return centre and whitening of joint vectors; `minimum` bounds the residuals' deviations."""
    residuals = len(minimum)
    centre = vectors.mean(0)
    vectors -= centre
    scale = divisors(vectors, torch.cat([minimum, minimum.new_zeros(vectors.shape[1] - residuals)]))
    vectors *= scale
    if vectors.shape[1] <= MAX_JOINT:
        return centre, scale[:, None] * whitening(vectors), torch.zeros(0, 0)
    latents = vectors[:, residuals:]
    return centre, scale[:residuals], scale[residuals:, None] * whitening(latents)


def divisors(vectors: Tensor, floor: Tensor) -> Tensor:
    """Return 1 / standard deviation; 0 for a constant latent unit, which is only rounding noise."""
    deviation = vectors.square().mean(0).sqrt()
    deviation = torch.maximum(deviation, floor)
    return torch.where(deviation > 1e-12, 1 / deviation.clamp(min=1e-12), 0.0)


def whitening(vectors: Tensor) -> Tensor:
    """Return a matrix that makes centred vectors uncorrelated, from their shrunk covariance.

    Ledoit-Wolf shrinkage towards a multiple of the identity (Ledoit and Wolf 2004, §3.2).
    """
    rows, size = vectors.shape
    if size == 0:
        return torch.zeros(0, 0).double()
    covariance = column_products(vectors) / rows
    mean = covariance.diagonal().mean()
    identity = torch.eye(size).double()
    distance = (covariance - mean * identity).square().sum() / size
    fourth = vectors.square().sum(1).square().mean()
    error = (fourth - covariance.square().sum()).clamp(min=0) / rows / size
    share = float((error / distance).clamp(max=1.0)) if distance > 0 else 1.0
    shrunk = (1 - share) * covariance + (share * mean + 1e-6 * mean + 1e-12) * identity
    factor = torch.linalg.cholesky(shrunk)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.T
