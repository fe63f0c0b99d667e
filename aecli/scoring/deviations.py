"""Deviations of cells from their reconstructions, and from the distribution of training rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aecli.features.layout import lay_out
from aecli.model.build import build_reconstruction_loss
from aecli.nn.linear_products import linear
from aecli.schema.model_spec import Column
from aecli.schema.training_options import LossOptions
from aecli.scoring.column_sums import ColumnSums
from aecli.scoring.forest import IsolationForest
from aecli.scoring.neighbours import Neighbours
from aecli.scoring.window_statistics import WindowStatistics

HUGE = 1e12
"""Maximum absolute output, so that its square is finite."""

CPU = torch.device("cpu")

LINEAR_RATIO = 5.0
"""Ratio to the median above which an error or a part of the score grows with its logarithm."""

PREFIX = "baseline.score_"
"""Prefix of the tensors that scoring needs, in the weights file."""


@dataclass(frozen=True)
class ScoringFit:
    """Parameters of scoring besides the network, fitted on training and validation rows.

    `median` and `spread` `(n_numbers,)` are robust location and scale. `leaving` is
    2 · log(p(median) / p(other)) of a number with two values, or with one value in nearly all rows,
    whose `spread` is the root mean square distance of the other values; 0 of any other number.
    `rarity` has, for every boolean and category column, 2 · log(p(mode) / p(value)) per value; the
    last one is that of a value that training did not have.

    `scale` `(n_columns,)` divides each column's error: its held-out median, or a floor. Joint
    vectors (the residuals of a sample's rows, then its latent) are centred by `centre` `(n_joint,)`
    and whitened by `whiten`: `(n_joint, n_joint)`, or with more than `MAX_JOINT` of them
    `(n_residuals,)` factors, and `whiten_latent` for the latent. `medians` are those of the parts
    on held-out samples: reconstruction by each of `AGGREGATES`, joint, univariate, and distance to
    neighbours; the last one, of the isolation by the forest, is the difference of its third
    quartile and its median, and `ordinary` `(1,)` what is subtracted first. For windows the last
    two are the robust and the Mahalanobis distance of their statistics, instead. `constant` by
    `AGGREGATES` is the amount that a cell different from the only value of training adds to the
    score. A model of aecli 0.2 has only the first three parts: the others are None.
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
    ordinary: Tensor | None = None
    forest: IsolationForest | None = None
    neighbours: Neighbours | None = None
    windows: WindowStatistics | None = None

    def single_precision(self, device: torch.device) -> ScoringFit:
        """Return the same parameters on a device, as float32, the precision of cells and outputs.

        Only the statistics of windows keep their precision.
        """
        tensors: dict[str, Any] = {
            n: part.to(device, torch.float32) for n, part in _tensors(self).items()
        }
        for name, part in self._compared().items():
            tensors[name] = replace(part, **{n: t.to(device) for n, t in _tensors(part).items()})
        rarity = [table.to(device, torch.float32) for table in self.rarity]
        return replace(self, rarity=rarity, **tensors)

    @cached_property
    def whiten_bias(self) -> Tensor:
        """Return what centring adds to whitened joint vectors `(n_joint,)`."""
        return -(self.centre @ self.whiten)

    @cached_property
    def has_leaving(self) -> bool:
        """Return whether a number has an amount for leaving its median."""
        return bool(self.leaving.any())

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors for the weights file."""
        tensors = _tensors(self) | {"rarity": torch.cat([*self.rarity, torch.zeros(0).double()])}
        stored = {name: tensor.double() for name, tensor in tensors.items()}
        for part in self._compared().values():
            stored |= _tensors(part)
        return {PREFIX + name: tensor for name, tensor in stored.items()}

    def _compared(self) -> dict[str, Any]:
        """Return the parts that compare samples with those of training."""
        names = ("forest", "neighbours", "windows")
        parts = {name: getattr(self, name) for name in names}
        return {name: part for name, part in parts.items() if part is not None}


def _tensors(part: Any) -> dict[str, Tensor]:
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


class Deviations:
    """Deviations of cells `(n_rows, n_cells)` from outputs `(n_rows, n_outputs)`, cell by cell.

    A value that training did not have has the probability 1 / (observed + 1). Missing cells
    are `NaN` in errors and distances, and 0 in residuals.
    """

    def __init__(self, columns: Sequence[Column], device: torch.device = CPU) -> None:
        self.layout = lay_out(columns)
        self._loss = build_reconstruction_loss(self.layout, LossOptions()).to(device)
        self._dense = self.layout.numbers + self.layout.booleans
        self._unseen = torch.tensor(
            [math.log(column.observed + 1) for column in self._code_owners()], device=device
        )
        self._sums = ColumnSums(torch.tensor(self.layout.column_of, device=device))

    def _code_owners(self) -> list[Column]:
        """Return the column of each code: of a category or of a character."""
        return [self.layout.columns[owner] for owner in self.layout.column_of[self._dense :]]

    def errors(self, cells: Tensor, outputs: Tensor) -> Tensor:
        """Return squared errors of numbers, cross-entropies of others `(n_rows, n_cells)`."""
        if self.layout.numbers == self.layout.cells:
            return (cells - outputs).square_()
        errors = self._loss.cell_errors(outputs, cells)
        codes = cells[:, self._dense :]
        if codes.shape[1]:
            part = errors[:, self._dense :]
            errors[:, self._dense :] = torch.where(codes == -1, self._unseen, part)
        return errors

    def errors_and_residuals(
        self, cells: Tensor, outputs: Tensor, *, complete: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return errors, and residuals of numbers and of the probability of each value.

        Both are `(n_rows, n_cells)`. The probability of a category is exp(-error), and 0 of one
        that training did not have. With `complete` no cell is missing.
        """
        layout = self.layout
        numbers = cells[:, : layout.numbers] - outputs[:, : layout.numbers]
        if layout.numbers == layout.cells:
            return numbers.square(), numbers if complete else numbers.nan_to_num_(0.0)
        errors = self.errors(cells, outputs)
        booleans = outputs[:, layout.numbers : self._dense].sigmoid()
        booleans = cells[:, layout.numbers : self._dense] - booleans
        codes = cells[:, self._dense :]
        codes = torch.where(codes == -1, 1.0, -torch.expm1(-errors[:, self._dense :]))
        return errors, torch.cat([numbers, booleans, codes], 1).nan_to_num_(0.0)

    def distances(self, cells: Tensor, fitted: ScoringFit) -> Tensor:
        """Return univariate distances `(n_rows, n_cells)`: squared robust z-scores.

        ((x - median) / spread)² for a number, 2 · log(p(mode) / p(value)) for the others; both are
        twice the log-likelihood ratio to the mode. A number with two values, or with one value in
        nearly all rows, has the sum of both.
        """
        numbers = cells[:, : self.layout.numbers] - fitted.median
        leaving = torch.where(numbers == 0, 0.0, fitted.leaving) if fitted.has_leaving else None
        numbers.div_(fitted.spread).square_()
        if leaving is not None:
            numbers += leaving
        if self.layout.numbers == self.layout.cells:
            return numbers
        parts = [numbers]
        parts += [
            _rarity_of(codes, table)
            for codes, table in zip(
                cells[:, self.layout.numbers :].unbind(1), fitted.rarity, strict=True
            )
        ]
        return torch.cat(parts, 1)

    def per_column(self, values: Tensor, window: int = 1) -> Tensor:
        """Return the mean over each sample's observed cells of a column `(n_samples, n_columns)`.

        A sample is `window` rows in order; `NaN` if a column has no observed cell.
        """
        if window == 1 and len(self.layout.columns) == self.layout.cells:
            return values
        columns = len(self.layout.columns)
        observed = (~values.isnan()).to(values.dtype)
        sums, counts = (
            self._sums.of(part).view(-1, window, columns).sum(1)
            for part in (values.nan_to_num(0.0), observed)
        )
        return sums / counts  # 0 / 0 is NaN: no observed cell


def joint_vectors(residuals: Tensor, latent: Tensor) -> Tensor:
    """Join residuals `(n_samples * window, n_cells)` and latents into `(n_samples, n_joint)`."""
    return torch.cat([residuals.reshape(len(latent), -1), latent], 1)


def whitened(residuals: Tensor, latent: Tensor, fitted: ScoringFit) -> Tensor:
    """Return squared Mahalanobis distances per dimension `(n_samples,)`."""
    residuals = residuals.reshape(len(latent), -1)
    sizes = [residuals.shape[1], latent.shape[1]]
    if fitted.whiten.dim() == 2:
        of_residuals, of_latent = fitted.whiten.T.split(sizes, dim=1)
        vectors = linear(residuals, of_residuals, fitted.whiten_bias)
        return row_means(vectors.add_(linear(latent, of_latent)).square_(), complete=True)
    centre, latent_centre = fitted.centre.split(sizes)
    squares: Tensor = ((residuals - centre) * fitted.whiten).square_().sum(1)
    squares += ((latent - latent_centre) @ fitted.whiten_latent).square_().sum(1)
    return squares / sum(sizes)


def log_compressed(ratios: Tensor) -> Tensor:
    """Return ratios, those above k = `LINEAR_RATIO` as k · (1 + log(ratio / k)); keeps `NaN`."""
    logarithms = (ratios / LINEAR_RATIO).clamp_(min=1.0)
    if ratios.device.type == "cpu":
        values = logarithms.numpy()
        np.log(values, out=values)  # takes half of the time of torch's
    else:
        logarithms.log_()
    compressed = ratios.clamp(max=LINEAR_RATIO)
    return compressed.addcmul_(compressed, logarithms)


def row_means(values: Tensor, complete: bool = False) -> Tensor:
    """Return the mean of each row without its NaN `(n_rows,)`; NaN if nothing else is in it.

    With `complete` there is no NaN. `torch.nanmean` takes four times as long.
    """
    if complete:
        # A product takes half of the time of `mean`.
        return values @ values.new_full([values.shape[1]], 1 / max(1, values.shape[1]))
    missing = values.isnan()
    means: Tensor = values.masked_fill(missing, 0.0).sum(1) / (~missing).sum(1)
    return means


def _rarity_of(codes: Tensor, table: Tensor) -> Tensor:
    indices = torch.where(codes < 0, len(table) - 1, codes.nan_to_num(0.0)).long()
    return torch.where(codes.isnan(), torch.nan, table[indices])[:, None]
