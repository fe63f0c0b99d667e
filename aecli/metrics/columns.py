"""Measure how well rows are reconstructed, column by column, beside the column means and PCA."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import torch
from torch import Tensor

from aecli.features.layout import Inputs, Layout
from aecli.metrics.number_ranges import default_ranges
from aecli.metrics.pca import PCA
from aecli.table.scaling import FAR

Predictor = Literal["model", "baseline", "pca"]
"""What reconstructs a row: the network, the training means and modes, or PCA of the same size."""

LEAST_VARIANCE = 0.1
"""The variance that R² divides by is at least this share of the training rows'."""

MOST_OUTLIERS = 0.05
"""A number has outliers where at most this share of its values lies beyond its range; where more
do, the rows are of another distribution, and nothing is limited."""


LARGE_CHANGE = 0.05
"""Share by which limits change a number's errors or deviations where its cells are counted."""


@dataclass(frozen=True)
class ColumnScore:
    """One column's reconstruction beside the trivial answer and PCA of the same size.

    `metric` is `r2` for number, time and vector, `accuracy` for boolean and category. `baseline` is
    the training mean's (0 on training rows by definition) or mode's figure on these rows. A figure
    is None where it is undefined: no observed cell, or a column without variance here and in
    training. `share` is the column's part of the model's total error: of the squared errors of
    scaled numbers, in which a wrong boolean or category counts 1.
    """

    name: str
    kind: str
    metric: str
    value: float | None
    baseline: float | None
    pca: float | None
    mse: float | None
    observed: int
    share: float | None = None


class ColumnFigures:
    """Accumulator of R² and accuracy of a network, of PCA and of the trivial answer, cell by cell.

    R² is taken about these rows' own mean, so that the training mean (`baseline`) scores 0 or less.
    For R² alone, values and reconstructions are limited to `ranges` of `number_ranges`, so that no
    single cell decides it; squared errors are also kept as they are.
    """

    def __init__(
        self, layout: Layout, pca: PCA | None = None, ranges: Tensor | None = None
    ) -> None:
        self.rows = 0
        self._layout = layout
        self._inputs = Inputs(layout, compressed=False)
        if pca is not None:
            self._inputs.to(pca.mean.device)
        self._pca = pca
        self._numbers = layout.numbers
        means = _scaled_means(layout)
        ranges = default_ranges(means) if ranges is None else ranges.double().cpu()
        self._low, self._high, self._variance = ranges.unbind()
        self._means = torch.stack([means, self._limited(means)])
        self._modes = _mode_codes(layout)
        cells = layout.cells
        self._count = torch.zeros(cells, dtype=torch.float64)
        self._outside = torch.zeros(self._numbers, dtype=torch.float64)
        # The first row is of numbers as they are, the second of limited ones.
        self._sum = torch.zeros(2, self._numbers, dtype=torch.float64)
        self._squares = torch.zeros(2, self._numbers, dtype=torch.float64)
        predictors: list[Predictor] = ["model"] if pca is None else ["model", "pca"]
        self._errors = {name: torch.zeros_like(self._squares) for name in predictors}
        wrong = torch.zeros(cells - self._numbers, dtype=torch.float64)
        self._wrong: dict[Predictor, Tensor] = {
            name: wrong.clone() for name in (*predictors, "baseline")
        }

    def add(self, cells: Tensor, outputs: Tensor) -> None:
        """Add cells `(n_rows, n_cells)` and the network's outputs `(n_rows, n_outputs)`."""
        self.rows += len(cells)
        self._count += (~cells.isnan()).sum(0).cpu()
        numbers = cells[:, : self._numbers].double()
        limited = self._limited(numbers)
        self._outside += (limited != numbers).logical_and(~numbers.isnan()).sum(0).cpu()
        for row, values in enumerate((numbers, limited)):
            deviations = (values - self._means[row].to(values.device)).nan_to_num(0.0)
            self._sum[row] += deviations.sum(0).cpu()
            self._squares[row] += deviations.square().sum(0).cpu()
        self._add_errors("model", (numbers, limited), outputs)
        self._add_wrong("model", cells, outputs, threshold=0.0)
        if self._pca is not None:
            answers = self._pca_outputs(self._pca, cells)
            self._add_errors("pca", (numbers, limited), answers)
            self._add_wrong("pca", cells, answers, threshold=0.5)
        wrong = torch.where(cells.isnan(), False, cells != self._modes.to(cells))
        self._wrong["baseline"] += wrong[:, self._numbers :].sum(0).cpu()

    def _limited(self, numbers: Tensor) -> Tensor:
        return numbers.clamp(self._low.to(numbers.device), self._high.to(numbers.device))

    def _pca_outputs(self, pca: PCA, cells: Tensor) -> Tensor:
        """Return PCA's outputs; it sees windows as flat vectors, as wide as its components."""
        inputs: Tensor = self._inputs(cells)
        return pca.reconstruct(inputs.reshape(-1, pca.components.shape[1])).reshape(inputs.shape)

    def _add_errors(
        self, predictor: Predictor, numbers: tuple[Tensor, Tensor], outputs: Tensor
    ) -> None:
        answers = outputs[:, : self._numbers].double()
        for row, (values, found) in enumerate(
            zip(numbers, (answers, self._limited(answers)), strict=True)
        ):
            errors = torch.where(values.isnan(), 0.0, (found - values).square())
            self._errors[predictor][row] += errors.sum(0).cpu()

    def _add_wrong(
        self, predictor: Predictor, cells: Tensor, outputs: Tensor, *, threshold: float
    ) -> None:
        """Count a predictor's wrong answers; a boolean is answered True above the threshold."""
        layout, numbers = self._layout, self._numbers
        dense = numbers + layout.booleans
        answers = cells[:, numbers:].clone()
        answers[:, : layout.booleans] = (outputs[:, numbers:dense] > threshold).to(cells.dtype)
        blocks = outputs[:, dense : layout.outputs].split(list(layout.cardinalities), dim=1)
        for position, block in enumerate(blocks, start=layout.booleans):
            answers[:, position] = block.argmax(1).to(cells.dtype)
        codes = cells[:, numbers:]
        wrong = torch.where(codes.isnan(), False, answers != codes)
        self._wrong[predictor] += wrong.sum(0).cpu()

    def scores(self) -> list[ColumnScore]:
        """Return one score per varying column, in the order of the cells."""
        bases, errors = self._bases(), self._chosen_errors()
        total = float(errors["model"].sum())
        scores = []
        for column, cells in zip(self._layout.columns, self._column_slices(), strict=True):
            count = float(self._count[cells].sum())
            numeric = cells.start < self._numbers
            base = float(bases[cells].sum())
            sums = {name: float(values[cells].sum()) for name, values in errors.items()}
            # Rounding leaves a little spread in a column that is constant.
            defined = count > 0 and base > 1e-9 * count
            figures = {name: _explained(error, base, defined) for name, error in sums.items()}
            plain = float(self._errors["model"][0, cells].sum()) if numeric else 0.0
            scores.append(
                ColumnScore(
                    name=column.name,
                    kind=column.kind,
                    metric="r2" if numeric else "accuracy",
                    value=figures["model"],
                    baseline=figures["baseline"],
                    pca=figures.get("pca"),
                    mse=plain / count if numeric and count else None,
                    observed=int(count),
                    share=sums["model"] / total if math.isfinite(total) and total > 0 else None,
                )
            )
        return scores

    def number_r2(self, predictor: Predictor) -> float | None:
        """Return a predictor's R² of all number cells together, in scaled units.

        1 − the sum of squared errors / the sum of squared deviations from these rows' means. None
        where no number was observed, or there is no such predictor.
        """
        errors = self._chosen_errors().get(predictor)
        base = float(self._bases()[: self._numbers].sum())
        if errors is None or not base:
            return None
        return _explained(float(errors[: self._numbers].sum()), base, defined=True)

    def limited(self) -> dict[str, int]:
        """Return how many cells of each number column are limited, where R² changes by it."""
        spread, errors = self._spread(), self._errors["model"]
        moved = torch.maximum((spread[0] - spread[1]).abs(), (errors[0] - errors[1]).abs())
        changed = moved > LARGE_CHANGE * self._bases()[: self._numbers]
        counts = torch.where(self._has_outliers() & changed, self._outside, 0.0)
        slices = self._column_slices()[: len(self._layout.numeric)]
        found = {
            column.name: int(counts[cells].sum())
            for column, cells in zip(self._layout.numeric, slices, strict=True)
        }
        return {name: count for name, count in found.items() if count}

    def number_mse(self, predictor: Predictor) -> float | None:
        """Return a predictor's mean squared error over number columns, in scaled units.

        None where no number was observed, or there is no such predictor.
        """
        errors = {name: both[0] for name, both in self._number_errors().items()}.get(predictor)
        numeric = [cells for cells in self._column_slices() if cells.start < self._numbers]
        counts = [float(self._count[cells].sum()) for cells in numeric]
        if errors is None or not any(counts):
            return None
        known = [
            float(errors[cells].sum()) / count
            for cells, count in zip(numeric, counts, strict=True)
            if count
        ]
        mean = sum(known) / len(known)
        return mean if math.isfinite(mean) else None

    def _has_outliers(self) -> Tensor:
        """Return where values beyond the range are few; one or two never are another table."""
        most = (MOST_OUTLIERS * self._count[: self._numbers]).clamp(min=2)
        return self._outside <= most

    def _number_errors(self) -> dict[Predictor, Tensor]:
        return {**self._errors, "baseline": self._squares}

    def _chosen_errors(self) -> dict[Predictor, Tensor]:
        """Return each predictor's error of every cell: limited where a number has outliers."""
        chosen = self._has_outliers()
        return {
            name: torch.cat([torch.where(chosen, both[1], both[0]), self._wrong[name]])
            for name, both in self._number_errors().items()
        }

    def _bases(self) -> Tensor:
        """Return what each cell's error is a share of: squared deviations, or its count."""
        count, spread = self._count[: self._numbers], self._spread()
        chosen = torch.where(self._has_outliers(), spread[1], spread[0])
        floor = LEAST_VARIANCE * self._variance * count
        return torch.cat([torch.maximum(chosen, floor), self._count[self._numbers :]])

    def _spread(self) -> Tensor:
        """Return squared deviations from these rows' means `(2, n_numbers)`, plain and limited."""
        return self._squares - self._sum.square() / self._count[: self._numbers].clamp(min=1)

    def _column_slices(self) -> list[slice]:
        stops = list(accumulate(self._layout.widths))
        return [slice(*pair) for pair in pairwise([0, *stops])]


def mean_accuracy(scores: Sequence[ColumnScore], predictor: Predictor) -> float | None:
    """Return a predictor's mean accuracy over boolean and category columns; None without any."""
    values = [
        {"model": score.value, "baseline": score.baseline, "pca": score.pca}[predictor]
        for score in scores
        if score.metric == "accuracy"
    ]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _explained(error: float, base: float, defined: bool) -> float | None:
    return 1 - error / base if defined and math.isfinite(error) else None


def _scaled_means(layout: Layout) -> Tensor:
    triples = [
        triple
        for column in layout.numeric
        for triple in zip(column.mean, column.center, column.scale, strict=True)
    ]
    means = [(mean - center) / scale for mean, center, scale in triples]
    # Cells are no further from their centre than the reader lets them be.
    return torch.tensor(means, dtype=torch.float64).clamp(-FAR, FAR)


def _mode_codes(layout: Layout) -> Tensor:
    """Return the most frequent value of every boolean and category, 0 for numbers.

    Categories are stored by frequency, so that the first is the mode, unless the rare values that
    share the last slot are more frequent together.
    """
    codes = [0.0] * layout.numbers
    codes += [float(bool(column.mode)) for column in layout.boolean]
    codes += [float(len(c.categories)) if c.other_is_mode else 0.0 for c in layout.category]
    return torch.tensor(codes)
