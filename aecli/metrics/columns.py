"""Measure how well rows come back, column by column, beside the column means and PCA."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.features.layout import Inputs, Layout
from aecli.metrics.pca import PCA


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


@dataclass(frozen=True)
class ColumnFigure:
    """One column's figure for each predictor: R² for numbers, accuracy for the rest."""

    name: str
    kind: str
    metric: str
    values: Mapping[str, float | None]
    mse: Mapping[str, float | None]
    observed: int

    def score(self) -> ColumnScore:
        """Return the model's figure beside those of the trivial answer and of PCA."""
        return ColumnScore(
            name=self.name,
            kind=self.kind,
            metric=self.metric,
            value=self.values["model"],
            baseline=self.values["baseline"],
            pca=self.values.get("pca"),
            mse=self.mse["model"],
            observed=self.observed,
        )


class ColumnFigures:
    """Accumulator of R² and accuracy of several predictors over the same cells.

    R² is taken about these rows' own mean, so that the training mean (`baseline`) scores 0 or less.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._numbers = layout.numbers
        self._means = _scaled_means(layout)
        self._modes = _mode_codes(layout)
        cells = layout.cells
        self._count = torch.zeros(cells, dtype=torch.float64)
        self._sum = torch.zeros(self._numbers, dtype=torch.float64)
        self._squares = torch.zeros(self._numbers, dtype=torch.float64)
        self._errors: dict[str, Tensor] = {}

    def add(self, cells: Tensor, predictions: Mapping[str, tuple[Tensor, float]]) -> None:
        """Take in cells `(n_rows, n_cells)` and each predictor's `(outputs, threshold)`.

        Outputs are `(n_rows, n_outputs)`; a boolean is answered True above the threshold (0 for
        logits, 0.5 for PCA).
        """
        observed = ~cells.isnan()
        self._count += observed.sum(0).cpu()
        numbers = cells[:, : self._numbers].nan_to_num(0.0).double()
        self._sum += numbers.sum(0).cpu()
        self._squares += numbers.square().sum(0).cpu()
        for name, (outputs, threshold) in predictions.items():
            errors = self._cell_errors(cells, observed, outputs, threshold)
            self._errors[name] = self._errors.get(name, 0.0) + errors.double().sum(0).cpu()
        modes = torch.where(observed, cells != self._modes.to(cells), False)[:, self._numbers :]
        wrong = self._errors.get("baseline", torch.zeros(len(self._count), dtype=torch.float64))
        wrong[self._numbers :] += modes.sum(0).cpu()
        self._errors["baseline"] = wrong

    def _cell_errors(
        self, cells: Tensor, observed: Tensor, outputs: Tensor, threshold: float
    ) -> Tensor:
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
        return torch.where(observed, errors, 0.0)

    def figures(self) -> list[ColumnFigure]:
        """Return one figure per varying column, in the order of the cells."""
        numbers = self._numbers
        means = self._means
        self._errors["baseline"][:numbers] = (
            self._squares - 2 * means * self._sum + means**2 * self._count[:numbers]
        )
        spread = self._squares - self._sum**2 / self._count[:numbers].clamp(min=1)
        result = []
        start = 0
        for column, width in zip(self._layout.columns, self._layout.widths, strict=True):
            cells = slice(start, start + width)
            start += width
            count = float(self._count[cells].sum())
            sums = {name: float(errors[cells].sum()) for name, errors in self._errors.items()}
            numeric = cells.start < numbers
            base = float(spread[cells].sum()) if numeric else count
            # Rounding leaves a little spread in a column that is constant on these rows.
            defined = count > 0 and base > 1e-9 * count
            result.append(
                ColumnFigure(
                    name=column.name,
                    kind=column.kind,
                    metric="r2" if numeric else "accuracy",
                    values={k: 1 - v / base if defined else None for k, v in sums.items()},
                    mse={k: v / count if numeric and count else None for k, v in sums.items()},
                    observed=int(count),
                )
            )
        return result


def mean_figure(figures: list[ColumnFigure], metric: str, predictor: str) -> float | None:
    """Return a predictor's mean figure over the columns of one metric, None where there is none."""
    values = [f.values.get(predictor) for f in figures if f.metric == metric]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def number_mse(figures: list[ColumnFigure], predictor: str) -> float | None:
    """Return a predictor's mean squared error over number columns, in scaled units."""
    values = [f.mse.get(predictor) for f in figures if f.metric == "r2"]
    known = [value for value in values if value is not None]
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


class BaselineComparison:
    """Column figures of a network's outputs and of PCA's, over the same cells."""

    def __init__(self, layout: Layout, pca: PCA | None) -> None:
        self._inputs = Inputs(layout, compressed=False)
        if pca is not None:
            self._inputs.to(pca.mean.device)
        self._pca = pca
        self._figures = ColumnFigures(layout)
        self.rows = 0

    def add(self, cells: Tensor, outputs: Tensor) -> None:
        """Take in cells `(n_rows, n_cells)` and the network's outputs `(n_rows, n_outputs)`."""
        predictions = {"model": (outputs, 0.0)}
        if self._pca is not None:
            predictions["pca"] = (self._pca_outputs(self._pca, cells), 0.5)
        self._figures.add(cells, predictions)
        self.rows += len(cells)

    def _pca_outputs(self, pca: PCA, cells: Tensor) -> Tensor:
        """Return PCA's outputs; it sees windows as flat vectors, as wide as its components."""
        inputs: Tensor = self._inputs(cells)
        return pca.reconstruct(inputs.reshape(-1, pca.components.shape[1])).reshape(inputs.shape)

    def columns(self) -> list[ColumnFigure]:
        """Return the figures of every varying column."""
        return self._figures.figures()
