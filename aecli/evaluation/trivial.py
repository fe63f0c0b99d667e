"""Compute the loss of the best constant answer, column by column."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from aecli.feed.layout import Layout
from aecli.nn.losses import ReconstructionLoss

BLOCK_VALUES = 1 << 20
"""Numbers and logits looked at together: few enough for the processor's cache."""


def trivial_losses(loss: ReconstructionLoss, layout: Layout, cells: Tensor) -> list[float]:
    """Return each varying column's loss when every row gets the same answer.

    Numbers get their training mean, booleans and categories their training frequencies, so that a
    column's reconstruction loss divided by this is 1 for a network that has learned nothing.
    """
    answer = _constant_answer(layout, cells)
    sums = torch.zeros(layout.cells, dtype=torch.float64)
    counts = torch.zeros(layout.cells, dtype=torch.float64)
    for block in _blocks(layout, cells):
        errors = loss.cell_errors(answer.expand(len(block), -1), block)
        sums += errors.nan_to_num(0.0).double().sum(0)
        counts += (~errors.isnan()).sum(0)
    owner = torch.tensor(layout.column_of)
    columns = len(layout.columns)
    per_column = torch.zeros(columns, dtype=torch.float64).index_add_(0, owner, sums)
    observed = torch.zeros(columns, dtype=torch.float64).index_add_(0, owner, counts)
    return [float(value) for value in per_column / observed.clamp(min=1)]


def _blocks(layout: Layout, cells: Tensor) -> Iterator[Tensor]:
    yield from cells.split(max(1, BLOCK_VALUES // max(1, layout.outputs)))


def _constant_answer(layout: Layout, cells: Tensor) -> Tensor:
    dense = layout.numbers + layout.booleans
    sums = torch.zeros(dense, dtype=torch.float64)
    counts = torch.zeros(dense, dtype=torch.float64)
    tallies = [torch.zeros(size, dtype=torch.float64) for size in layout.cardinalities]
    for block in _blocks(layout, cells):
        sums += block[:, :dense].nan_to_num(0.0).double().sum(0)
        counts += (~block[:, :dense].isnan()).sum(0)
        for position, tally in enumerate(tallies, start=dense):
            codes = block[:, position]
            tally += torch.bincount(codes[codes >= 0].long(), minlength=len(tally))
    means = sums / counts.clamp(min=1)
    odds = torch.logit(means[layout.numbers :], eps=1e-6)
    logs = [(tally / tally.sum().clamp(min=1)).clamp(min=1e-9).log() for tally in tallies]
    return torch.cat([means[: layout.numbers], odds, *logs]).float()
