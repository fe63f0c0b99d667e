"""Measure how well rows come back, column by column, beside the column means and PCA."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import torch
from torch import Tensor

from aecli.features.layout import Inputs, Layout
from aecli.metrics.pca import PCA

Predictor = Literal["model", "baseline", "pca"]
"""What reconstructs a row: the network, the training means and modes, or PCA of the same size."""


@dataclass(frozen=True)
class ColumnScore:
    """One column's reconstruction beside the trivial answer and PCA of the same size.

    `metric` is `r2` for number, time and vector, `accuracy` for boolean and category. `baseline` is
    the training mean's (0 on training rows by definition) or mode's figure on these rows. A figure
    is None where it is undefined: no observed cell, or R² of a column that is constant here.
    """

    name: str
    kind: str
    metric: str
    value: float | None
    baseline: float | None
    pca: float | None
    mse: float | None
    observed: int


class ColumnFigures:
    """Accumulator of R² and accuracy of a network, of PCA and of the trivial answer, cell by cell.

    R² is taken about these rows' own mean, so that the training mean (`baseline`) scores 0 or less.
    """

    def __init__(self, layout: Layout, pca: PCA | None = None) -> None:
        self.rows = 0
        self._layout = layout
        self._inputs = Inputs(layout, compressed=False)
        if pca is not None:
            self._inputs.to(pca.mean.device)
        self._pca = pca
        self._numbers = layout.numbers
        self._means = _scaled_means(layout)
        self._modes = _mode_codes(layout)
        cells = layout.cells
        self._count = torch.zeros(cells, dtype=torch.float64)
        self._sum = torch.zeros(self._numbers, dtype=torch.float64)
        self._squares = torch.zeros(self._numbers, dtype=torch.float64)
        self._wrong_modes = torch.zeros(cells - self._numbers, dtype=torch.float64)
        predictors: list[Predictor] = ["model"] if pca is None else ["model", "pca"]
        self._errors = {name: torch.zeros(cells, dtype=torch.float64) for name in predictors}

    def add(self, cells: Tensor, outputs: Tensor) -> None:
        """Add cells `(n_rows, n_cells)` and the network's outputs `(n_rows, n_outputs)`."""
        self.rows += len(cells)
        observed = ~cells.isnan()
        self._count += observed.sum(0).cpu()
        numbers = cells[:, : self._numbers].nan_to_num(0.0).double()
        self._sum += numbers.sum(0).cpu()
        self._squares += numbers.square().sum(0).cpu()
        self._add_errors("model", cells, outputs, threshold=0.0)
        if self._pca is not None:
            self._add_errors("pca", cells, self._pca_outputs(self._pca, cells), threshold=0.5)
        wrong = torch.where(observed, cells != self._modes.to(cells), False)
        self._wrong_modes += wrong[:, self._numbers :].sum(0).cpu()

    def _pca_outputs(self, pca: PCA, cells: Tensor) -> Tensor:
        """Return PCA's outputs; it sees windows as flat vectors, as wide as its components."""
        inputs: Tensor = self._inputs(cells)
        return pca.reconstruct(inputs.reshape(-1, pca.components.shape[1])).reshape(inputs.shape)

    def _add_errors(
        self, predictor: Predictor, cells: Tensor, outputs: Tensor, *, threshold: float
    ) -> None:
        """Add a predictor's errors; a boolean is answered True above the threshold."""
        layout, numbers = self._layout, self._numbers
        errors = cells.new_zeros(cells.shape)
        difference = outputs[:, :numbers] - cells[:, :numbers]
        errors[:, :numbers] = difference.double().square().float()
        dense = numbers + layout.booleans
        errors[:, numbers:dense] = (
            (outputs[:, numbers:dense] > threshold) != (cells[:, numbers:dense] > 0.5)
        ).float()
        blocks = outputs[:, dense : layout.outputs].split(list(layout.cardinalities), dim=1)
        for position, block in enumerate(blocks, start=dense):
            errors[:, position] = (block.argmax(1) != cells[:, position]).float()
        errors = torch.where(cells.isnan(), 0.0, errors)
        self._errors[predictor] += errors.double().sum(0).cpu()

    def scores(self) -> list[ColumnScore]:
        """Return one score per varying column, in the order of the cells."""
        spread = self._squares - self._sum**2 / self._count[: self._numbers].clamp(min=1)
        errors = {**self._errors, "baseline": self._baseline_errors()}
        scores = []
        for column, cells in zip(self._layout.columns, self._column_slices(), strict=True):
            count = float(self._count[cells].sum())
            numeric = cells.start < self._numbers
            base = float(spread[cells].sum()) if numeric else count
            # Rounding leaves a little spread in a column that is constant on these rows.
            defined = count > 0 and base > 1e-9 * count
            sums = {name: float(values[cells].sum()) for name, values in errors.items()}
            figures = {name: 1 - value / base if defined else None for name, value in sums.items()}
            scores.append(
                ColumnScore(
                    name=column.name,
                    kind=column.kind,
                    metric="r2" if numeric else "accuracy",
                    value=figures["model"],
                    baseline=figures["baseline"],
                    pca=figures.get("pca"),
                    mse=sums["model"] / count if numeric and count else None,
                    observed=int(count),
                )
            )
        return scores

    def number_mse(self, predictor: Predictor) -> float | None:
        """Return a predictor's mean squared error over number columns, in scaled units.

        None where no number was observed, or there is no such predictor.
        """
        errors = {**self._errors, "baseline": self._baseline_errors()}.get(predictor)
        numeric = [cells for cells in self._column_slices() if cells.start < self._numbers]
        counts = [float(self._count[cells].sum()) for cells in numeric]
        if errors is None or not any(counts):
            return None
        known = [
            float(errors[cells].sum()) / count
            for cells, count in zip(numeric, counts, strict=True)
            if count
        ]
        return sum(known) / len(known)

    def _baseline_errors(self) -> Tensor:
        means, count = self._means, self._count[: self._numbers]
        numbers = self._squares - 2 * means * self._sum + means**2 * count
        return torch.cat([numbers, self._wrong_modes])

    def _column_slices(self) -> list[slice]:
        stops = list(accumulate(self._layout.widths))
        return [slice(*pair) for pair in pairwise([0, *stops])]


def mean_figure(scores: Sequence[ColumnScore], metric: str, predictor: Predictor) -> float | None:
    """Return a predictor's mean figure over the columns of one metric, None where there is none."""
    values = [
        {"model": score.value, "baseline": score.baseline, "pca": score.pca}[predictor]
        for score in scores
        if score.metric == metric
    ]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _scaled_means(layout: Layout) -> Tensor:
    triples = [
        triple
        for column in layout.numeric
        for triple in zip(column.mean, column.center, column.scale, strict=True)
    ]
    return torch.tensor([(mean - centre) / scale for mean, centre, scale in triples]).double()


def _mode_codes(layout: Layout) -> Tensor:
    codes = [0.0] * layout.numbers
    codes += [float(bool(column.mode)) for column in layout.boolean]
    # Categories are stored by frequency: the mode is the first.
    codes += [0.0] * len(layout.category)
    return torch.tensor(codes)
