"""Measure how far cells lie from what a network makes of them, and from where they usually are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.features.layout import lay_out
from aecli.model.build import build_reconstruction_loss
from aecli.schema.model_spec import Column
from aecli.schema.options import LossOptions

HUGE = 1e12
"""Largest output looked at: what an exploding network gives must stay finite when squared."""

LINEAR_RATIO = 5.0
"""Ratio to the usual above which an error or a part of the score grows with its logarithm only."""

PREFIX = "baseline.score_"
"""Prefix of the tensors that scoring needs, in the weights file."""


@dataclass(frozen=True)
class ScoringFit:
    """What scoring needs beside the network, fitted on training and validation rows.

    `median` and `spread` `(n_numbers,)` say where numbers usually lie, and so does `leaving`:
    2 · log(p(median) / p(other)) of a number with two values, or with one value in nearly all rows,
    whose `spread` is the root mean square of the others' distances; 0 of any other number.
    `rarity` has, for every boolean and category column, 2 · log(p(mode) / p(value)) per value, and
    for a value that training did not have at its end.

    `scale` `(n_columns,)` is what each column's error is divided by: its held-out median, or a
    floor. Joint vectors (the residuals of a sample's rows, then its latent) have `centre`
    `(n_joint,)` and are made uncorrelated and of unit variance by `whiten`: `(n_joint, n_joint)`,
    or with more than `WIDEST_JOINT` of them `(n_residuals,)` divisors, and `whiten_latent` for the
    latent. `medians` are those of the parts, on held-out samples: reconstruction by each of
    `AGGREGATES`, joint, and place. `constant` by `AGGREGATES` is what a cell adds to the score that
    differs from the only value of training.
    """

    median: Tensor
    spread: Tensor
    leaving: Tensor
    rarity: Sequence[Tensor]
    scale: Tensor
    centre: Tensor
    whiten: Tensor
    whiten_latent: Tensor
    medians: Tensor
    constant: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return what goes into the weights file."""
        rarity = torch.cat([*self.rarity, torch.zeros(0).double()])
        found = vars(self) | {"rarity": rarity}
        return {PREFIX + name: tensor.double() for name, tensor in found.items()}


class Deviations:
    """Deviations of cells `(n_rows, n_cells)` from outputs `(n_rows, n_outputs)`, cell by cell.

    A value that training did not have counts as one that it had less than once: its probability is
    1 / (observed + 1). Missing cells are `NaN` in errors and distances, and 0 in residuals.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.layout = lay_out(columns)
        self._loss = build_reconstruction_loss(self.layout, LossOptions())
        self._dense = self.layout.numbers + self.layout.booleans
        self._unseen = torch.tensor(
            [math.log(column.observed + 1) for column in self.layout.category]
        ).double()
        self._owner = torch.tensor(self.layout.column_of)

    def errors(self, cells: Tensor, outputs: Tensor) -> Tensor:
        """Return squared errors of numbers, cross-entropies of others `(n_rows, n_cells)`."""
        found = self._loss.cell_errors(outputs, cells).double()
        codes = cells[:, self._dense :]
        if codes.shape[1]:
            part = found[:, self._dense :]
            found[:, self._dense :] = torch.where(codes == -1, self._unseen, part)
        return found

    def residuals(self, cells: Tensor, outputs: Tensor) -> Tensor:
        """Return what each number, or the certainty of each value, misses `(n_rows, n_cells)`."""
        where = self.layout
        parts = [cells[:, : where.numbers] - outputs[:, : where.numbers]]
        booleans = outputs[:, where.numbers : self._dense].sigmoid()
        parts.append(cells[:, where.numbers : self._dense] - booleans)
        if where.category:
            blocks = outputs[:, self._dense : where.outputs].split(list(where.cardinalities), dim=1)
            pairs = zip(cells[:, self._dense :].unbind(1), blocks, strict=True)
            parts.append(torch.stack([_uncertainty(codes, block) for codes, block in pairs], 1))
        return torch.cat(parts, 1).nan_to_num(0.0).double()

    def distances(self, cells: Tensor, fitted: ScoringFit) -> Tensor:
        """Return `(n_rows, n_cells)` squared distances from the usual value, in robust units.

        ((x - median) / spread)² for a number, 2 · log(p(mode) / p(value)) for the rest, which is
        the same for a normal distribution: twice the logarithm of how much rarer the value is. A
        number of two values, or of one in nearly all rows, adds that to the square.
        """
        apart = cells[:, : self.layout.numbers].double() - fitted.median
        leaving = torch.where(apart == 0, 0.0, fitted.leaving)
        parts = [(apart / fitted.spread).square() + leaving]
        parts += [
            _rarity_of(codes, table)
            for codes, table in zip(
                cells[:, self.layout.numbers :].unbind(1), fitted.rarity, strict=True
            )
        ]
        return torch.cat(parts, 1)

    def per_column(self, values: Tensor, window: int = 1) -> Tensor:
        """Return the mean over each sample's observed cells of a column `(n_samples, n_columns)`.

        A sample is `window` rows in order; `NaN` where a column has no observed cell.
        """
        if window == 1 and len(self.layout.columns) == self.layout.cells:
            return values
        columns = len(self.layout.columns)
        observed = (~values.isnan()).double()
        sums, counts = (
            part.new_zeros(len(values), columns)
            .index_add(1, self._owner, part)
            .view(-1, window, columns)
            .sum(1)
            for part in (values.nan_to_num(0.0), observed)
        )
        return sums / counts  # 0 / 0 is the NaN that is wanted


def log_compressed(ratios: Tensor) -> Tensor:
    """Return ratios, those beyond `LINEAR_RATIO` k as k · (1 + log(ratio / k)); `NaN` stays."""
    beyond = LINEAR_RATIO * (1 + (ratios / LINEAR_RATIO).clamp(min=1.0).log())
    return torch.where(ratios > LINEAR_RATIO, beyond, ratios)


def _uncertainty(codes: Tensor, logits: Tensor) -> Tensor:
    wanted = codes.nan_to_num(0.0).clamp(min=0).long()
    certain = logits.softmax(1).gather(1, wanted[:, None])[:, 0]
    # One slot that is not there, or no slot at all: nothing of the value was foreseen.
    missed = torch.where(codes < 0, 1.0, 1.0 - certain)
    return torch.where(codes.isnan(), torch.nan, missed)


def _rarity_of(codes: Tensor, table: Tensor) -> Tensor:
    wanted = torch.where(codes < 0, len(table) - 1, codes.nan_to_num(0.0)).long()
    return torch.where(codes.isnan(), torch.nan, table[wanted])[:, None]
