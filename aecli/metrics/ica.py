"""Rotate whitened latents to independent units: FastICA."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_ITERATIONS = 200
"""Maximum number of fixed-point iterations."""

ROTATION_TOLERANCE = 1e-6
"""Maximum change of a unit, as 1 - |cosine| between two iterations, at convergence."""


def independent_rotation(whitened: Tensor, seed: int = 0) -> tuple[Tensor, bool]:
    """Return the rotation `(units, units)` to independent units, and whether it converged.

    Symmetric FastICA with the contrast log cosh (Hyvärinen 1999, eqs. 20 and 26). Units of normal
    distributions have no independent axes, but the result is a rotation in any case.

    Args:
        whitened: centred, uncorrelated units of variance 1, `(n_rows, units)` in float64.
        seed: seed of the rotation that the iterations start from.
    """
    rows, units = whitened.shape
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(units, units, generator=generator, dtype=whitened.dtype)
    rotation = _nearest_rotation(drawn)
    for _ in range(MAX_ITERATIONS):
        slopes = (whitened @ rotation.T).tanh()
        curvatures = (1 - slopes.square()).mean(0)
        step = slopes.T @ whitened / rows - curvatures[:, None] * rotation
        last, rotation = rotation, _nearest_rotation(step)
        if float((1 - (rotation * last).sum(1).abs()).max()) < ROTATION_TOLERANCE:
            return rotation, True
    return rotation, units <= 1


def _nearest_rotation(matrix: Tensor) -> Tensor:
    """Return (M Mᵀ)^-½ M, the orthogonal matrix that is nearest to M."""
    left, _, right = torch.linalg.svd(matrix)
    nearest: Tensor = left @ right
    return nearest
