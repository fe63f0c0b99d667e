"""Eigenvectors of symmetric matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def symmetric_eigenvectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues, ascending, and the eigenvectors as columns of a symmetric matrix.

    The divide-and-conquer method that torch calls does not converge for some covariances of many
    constant inputs. The method of relatively robust representations (Dhillon 1997) does.
    """
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        from scipy.linalg import eigh

        values, vectors = map(torch.from_numpy, eigh(matrix.numpy(), driver="evr"))
    return values, vectors
