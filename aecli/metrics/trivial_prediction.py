"""Trivial prediction of every cell: the mean of training, or the most frequent code."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.features.layout import Layout
from aecli.table.scaling import FAR


def scaled_means(layout: Layout) -> Tensor:
    """Return the training mean of every number `(n_numbers,)`, in scaled units."""
    triples = [
        triple
        for column in layout.numeric
        for triple in zip(column.mean, column.center, column.scale, strict=True)
    ]
    means = [(mean - center) / scale for mean, center, scale in triples]
    # The reader clips cells at this distance from their centre.
    return torch.tensor(means, dtype=torch.float64).clamp(-FAR, FAR)


def mode_codes(layout: Layout) -> Tensor:
    """Return the mode of every boolean, category and character `(n_cells,)`, 0 for numbers.

    Categories are stored by frequency, so the first is the mode, except if the rare values in the
    last class are more frequent together.
    """
    codes = [0.0] * layout.numbers
    codes += [float(bool(column.mode)) for column in layout.boolean]
    codes += [float(len(c.categories)) if c.other_is_mode else 0.0 for c in layout.category]
    codes += [float(mode) for column in layout.characters for mode in column.modes]
    return torch.tensor(codes)
