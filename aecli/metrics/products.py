"""Products of the columns of a matrix, and sums of matrices over the ranks of a training."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.ranks import Ranks

PRODUCT_BLOCKS = 4
"""Blocks of columns; products of those below the diagonal, 3/8 of all, are not computed."""

GATHERED_NUMBERS = 1 << 22
"""Numbers of all ranks that are gathered at once: 32 MB in float64."""


def column_products(vectors: Tensor) -> Tensor:
    """Return the products of all pairs of columns `(n_columns, n_columns)` of vectors."""
    products = vectors.new_zeros(vectors.shape[1], vectors.shape[1])
    size = max(1, -(-len(products) // PRODUCT_BLOCKS))
    for start in range(0, len(products), size):
        rows = slice(start, start + size)
        block = vectors[:, rows].T @ vectors[:, start:]
        products[rows, start:] = block
        products[start:, rows] = block.T
    return products


def summed(matrix: Tensor, ranks: Ranks) -> Tensor:
    """Return the sum of the matrices of all ranks, added in their order, on each of them."""
    if ranks.size == 1:
        return matrix
    flat = matrix.reshape(-1)
    parts = flat.split(max(1, GATHERED_NUMBERS // ranks.size))
    sums = [torch.stack(ranks.gather(part.clone())).sum(0) for part in parts]
    return torch.cat(sums).reshape(matrix.shape) if sums else matrix
