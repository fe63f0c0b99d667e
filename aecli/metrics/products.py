"""Products of the columns of a matrix."""

from __future__ import annotations

from torch import Tensor

PRODUCT_BLOCKS = 4
"""Blocks of columns; products of those below the diagonal, 3/8 of all, are not computed."""


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
