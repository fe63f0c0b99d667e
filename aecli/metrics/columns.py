"""Measure the reconstruction of each column, compared with the column means and PCA."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.features.layout import Layout
from aecli.metrics.column_scores import ColumnScore, Predictor, mean_accuracy
from aecli.metrics.detection import Interval
from aecli.metrics.intervals import RowGroups, explained_interval, paired_interval
from aecli.metrics.missing_cells import is_complete
from aecli.metrics.number_ranges import default_ranges
from aecli.metrics.pca import PCA
from aecli.metrics.trivial_prediction import mode_codes, scaled_means

MIN_VARIANCE = 0.1
"""Minimum of the variance in R², as a share of the training rows' variance."""

MAX_OUTLIER_SHARE = 0.05
"""Maximum share of a number's values out of range that are outliers; if more are, the rows have
another distribution, and values are not clipped."""


BLOCK_VALUES = 1 << 17
"""Cells of a block on a CPU: few enough for its cache in float64, and enough to outweigh the calls.
"""

LARGE_CHANGE = 0.05
"""Minimum relative change of errors or deviations by clipping for which cells are counted."""


class ColumnFigures:
    """Accumulator of R² and accuracy of the network, of PCA and of the trivial prediction.

    R² refers to the mean of these rows, so that the training mean (`baseline`) scores 0 or less.
    For R² only, values and reconstructions are clipped to `ranges` of `number_ranges`, so that no
    single cell dominates it; squared errors are also stored without clipping.
    """

    def __init__(
        self, layout: Layout, pca: PCA | None = None, ranges: Tensor | None = None
    ) -> None:
        self.rows = 0
        self._layout = layout
        self._inputs = Inputs(layout, copies=False)
        if pca is not None:
            self._inputs.to(pca.mean.device)
        self._pca = pca
        self._numbers = layout.numbers
        self._characters = layout.cells - sum(column.length for column in layout.characters)
        means = scaled_means(layout)
        ranges = default_ranges(means) if ranges is None else ranges.double().cpu()
        self._low, self._high, self._variance = ranges.unbind()
        self._means = torch.stack([means, self._limited(means)])
        self._modes = mode_codes(layout)
        cells = layout.cells
        self._count = torch.zeros(cells, dtype=torch.float64)
        self._outside = torch.zeros(self._numbers, dtype=torch.float64)
        # Index 0 is for numbers without clipping, index 1 for clipped numbers.
        self._sum = torch.zeros(2, self._numbers, dtype=torch.float64)
        # Squared deviations, then errors of each predictor, in the same order; then counts of cells
        # of booleans and categories, and of wrong predictions.
        self._predictors: list[Predictor] = ["baseline", "model"]
        self._predictors += [] if pca is None else ["pca"]
        self._wrong_at = 2 * len(self._predictors) * self._numbers
        self._groups = RowGroups(self._wrong_at + len(self._predictors))
        wrong = torch.zeros(cells - self._numbers, dtype=torch.float64)
        self._wrong: dict[Predictor, Tensor] = {name: wrong.clone() for name in self._predictors}

    def add(self, cells: Tensor, outputs: Tensor) -> None:
        """Add cells `(n_rows, n_cells)` and the network's outputs `(n_rows, n_outputs)`."""
        rows = max(1, BLOCK_VALUES // max(1, cells.shape[1])) if cells.is_cpu else len(cells)
        for block, its_outputs in zip(cells.split(rows), outputs.split(rows), strict=True):
            self._add_block(block, its_outputs)

    def _add_block(self, cells: Tensor, outputs: Tensor) -> None:
        self.rows += len(cells)
        self._groups.next_rows(len(cells))
        missing = None if is_complete(cells) else cells.isnan()
        missing_numbers = None if missing is None else missing[:, : self._numbers]
        self._count += len(cells) if missing is None else (~missing).sum(0).cpu()
        numbers = cells[:, : self._numbers].double()
        limited = self._limited(numbers)
        outside = limited != numbers
        if missing_numbers is not None:
            outside &= ~missing_numbers
        self._outside += outside.sum(0).cpu()
        for row, values in enumerate((numbers, limited)):
            deviations = (values - self._means[row].to(values.device)).nan_to_num_(0.0)
            self._sum[row] += deviations.sum(0).cpu()
            self._groups.add_at(row * self._numbers, deviations.square_())
        self._add_predictions("model", cells, (numbers, limited), missing, outputs)
        if self._pca is not None:
            predictions = self._pca_outputs(self._pca, cells)
            self._add_predictions("pca", cells, (numbers, limited), missing, predictions)
        self._add_trivial_predictions(cells[:, self._numbers :])

    def _add_trivial_predictions(self, codes: Tensor) -> None:
        """Add the counts of booleans and codes, and those that differ from the mode."""
        known = ~codes.isnan()
        of_categories = known[:, : self._characters - self._numbers].sum(1, keepdim=True)
        self._groups.add_at(self._wrong_at, of_categories)
        wrong = (codes != self._modes[self._numbers :].to(codes)) & known
        self._wrong["baseline"] += wrong.sum(0).cpu()

    def _limited(self, numbers: Tensor) -> Tensor:
        return numbers.clamp(self._low.to(numbers.device), self._high.to(numbers.device))

    def _pca_outputs(self, pca: PCA, cells: Tensor) -> Tensor:
        """Return PCA's outputs; windows are flat vectors, as wide as its components."""
        inputs: Tensor = self._inputs(cells)
        return pca.reconstruct(inputs.reshape(-1, pca.components.shape[1])).reshape(inputs.shape)

    def _add_predictions(
        self,
        predictor: Predictor,
        cells: Tensor,
        numbers: tuple[Tensor, Tensor],
        missing: Tensor | None,
        outputs: Tensor,
    ) -> None:
        """Add a predictor's squared errors of numbers, and its wrong booleans and codes.

        `numbers` are those without and with clipping. No cell is missing if `missing` is None.
        """
        position = self._predictors.index(predictor)
        predictions = outputs[:, : self._numbers].double()
        both = (predictions, self._limited(predictions))
        for row, (values, errors) in enumerate(zip(numbers, both, strict=True)):
            errors.sub_(values).square_()
            if missing is not None:
                errors.masked_fill_(missing[:, : self._numbers], 0.0)
            self._groups.add_at((2 * position + row) * self._numbers, errors)
        # PCA reconstructs a boolean as a number, the network as a logit.
        threshold = 0.5 if predictor == "pca" else 0.0
        wrong = self._wrong_predictions(cells, outputs, threshold)
        self._wrong[predictor] += wrong.sum(0).cpu()
        of_categories = wrong[:, : self._characters - self._numbers].sum(1, keepdim=True)
        self._groups.add_at(self._wrong_at + position, of_categories)

    def _wrong_predictions(self, cells: Tensor, outputs: Tensor, threshold: float) -> Tensor:
        """Return where booleans and categories are wrong `(n_rows, n_cells)`.

        A boolean is predicted True above the threshold.
        """
        layout, numbers = self._layout, self._numbers
        dense = numbers + layout.booleans
        predictions = cells[:, numbers:].clone()
        predictions[:, : layout.booleans] = (outputs[:, numbers:dense] > threshold).to(cells.dtype)
        blocks = outputs[:, dense : layout.outputs].split(list(layout.cardinalities), dim=1)
        for position, block in enumerate(blocks, start=layout.booleans):
            predictions[:, position] = block.argmax(1).to(cells.dtype)
        codes = cells[:, numbers:]
        return torch.where(codes.isnan(), False, predictions != codes)

    def scores(self) -> list[ColumnScore]:
        """Return one score per varying column, in cell order."""
        bases, errors = self._bases(), self._chosen_errors()
        model = self._number_errors()["model"]
        total = float(errors["model"].sum())
        scores = []
        for column, cells in zip(self._layout.columns, self._layout.cell_slices, strict=True):
            count = float(self._count[cells].sum())
            numeric = cells.start < self._numbers
            base = float(bases[cells].sum())
            sums = {name: float(values[cells].sum()) for name, values in errors.items()}
            # Rounding errors give a constant column a small variance.
            defined = count > 0 and base > 1e-9 * count
            figures = {name: _explained(error, base, defined) for name, error in sums.items()}
            plain = float(model[0, cells].sum()) if numeric else 0.0
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
        """Return a predictor's R² of all number cells, in scaled units.

        It is 1 − the sum of squared errors / the sum of squared deviations from these rows' means.
        None without numbers, or without this predictor.
        """
        errors = self._chosen_errors().get(predictor)
        base = float(self._bases()[: self._numbers].sum())
        if errors is None or not base:
            return None
        return _explained(float(errors[: self._numbers].sum()), base, defined=True)

    def intervals(self) -> dict[str, Interval]:
        """Return `numbers`, their R², and `categories`, their mean accuracy, with intervals.

        `numbers_gain` and `categories_gain` are the differences from PCA. Intervals of too few
        rows, and of figures that were not measured, are absent.
        """
        scores = self.scores()
        figures: dict[str, Callable[[Predictor], float | None]] = {
            "numbers": self.number_r2,
            "categories": partial(mean_accuracy, scores),
        }
        errors, others = self.group_errors("model"), self.group_errors("pca")
        found: dict[str, Interval | None] = {}
        for kind, figure in figures.items():
            value, pca = figure("model"), figure("pca")
            if value is not None:
                found[kind] = explained_interval(value, errors[kind])
            if value is not None and pca is not None:
                found[f"{kind}_gain"] = paired_interval(value - pca, errors[kind], others[kind])
        return {name: interval for name, interval in found.items() if interval is not None}

    def group_errors(self, predictor: Predictor = "model") -> dict[str, Tensor]:
        """Return errors and their bases of groups of rows `(n_groups, 2)`, by kind of column.

        Empty without this predictor.
        """
        if predictor not in self._predictors:
            return {}
        position, sums = self._predictors.index(predictor), self._groups.sums()
        counts = sums[:, self._wrong_at :]
        chosen = self._has_outliers()
        errors, bases = (
            torch.where(chosen, both[:, 1], both[:, 0]).sum(1)
            for both in (self._number_sums(position), self._number_sums(0))
        )
        return {
            "numbers": torch.stack([errors, bases], 1),
            "categories": counts[:, [position, 0]],
        }

    def _number_sums(self, position: int) -> Tensor:
        """Return sums over groups `(n_groups, 2, n_numbers)`, without and with clipping."""
        first = 2 * position * self._numbers
        sums = self._groups.sums()[:, first : first + 2 * self._numbers]
        return sums.reshape(len(sums), 2, self._numbers)

    def limited(self) -> dict[str, int]:
        """Return the number of clipped cells of each number column whose R² changes by clipping."""
        spread, errors = self._spread(), self._number_errors()["model"]
        moved = torch.maximum((spread[0] - spread[1]).abs(), (errors[0] - errors[1]).abs())
        changed = moved > LARGE_CHANGE * self._bases()[: self._numbers]
        counts = torch.where(self._has_outliers() & changed, self._outside, 0.0)
        slices = self._layout.cell_slices[: len(self._layout.numeric)]
        clipped = {
            column.name: int(counts[cells].sum())
            for column, cells in zip(self._layout.numeric, slices, strict=True)
        }
        return {name: count for name, count in clipped.items() if count}

    def number_mse(self, predictor: Predictor) -> float | None:
        """Return a predictor's mean squared error over number columns, in scaled units.

        None without numbers, or without this predictor.
        """
        errors = {name: both[0] for name, both in self._number_errors().items()}.get(predictor)
        numeric = [cells for cells in self._layout.cell_slices if cells.start < self._numbers]
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
        """Return where few values are out of range; up to two are always few."""
        limit = (MAX_OUTLIER_SHARE * self._count[: self._numbers]).clamp(min=2)
        return self._outside <= limit

    def _number_errors(self) -> dict[Predictor, Tensor]:
        """Return squared errors of each predictor `(2, n_numbers)`, without and with clipping."""
        return {
            name: self._number_sums(position).sum(0)
            for position, name in enumerate(self._predictors)
        }

    def _chosen_errors(self) -> dict[Predictor, Tensor]:
        """Return each predictor's error of every cell, clipped for numbers with outliers."""
        chosen, weights = self._has_outliers(), self._code_weights()
        return {
            name: torch.cat([torch.where(chosen, both[1], both[0]), self._wrong[name] * weights])
            for name, both in self._number_errors().items()
        }

    def _code_weights(self) -> Tensor:
        """Return the weights of booleans and codes: all characters of a text count as one cell."""
        weights = torch.ones_like(self._count)
        for column, cells in zip(self._layout.columns, self._layout.cell_slices, strict=True):
            if column.kind == "characters":
                characters = self._count[cells].sum().clamp(min=1)
                weights[cells] = self._count[cells.start] / characters
        return weights[self._numbers :]

    def _bases(self) -> Tensor:
        """Return the denominator of each cell's error: squared deviations, or its count."""
        count, spread = self._count[: self._numbers], self._spread()
        chosen = torch.where(self._has_outliers(), spread[1], spread[0])
        floor = MIN_VARIANCE * self._variance * count
        counts = self._count[self._numbers :] * self._code_weights()
        return torch.cat([torch.maximum(chosen, floor), counts])

    def _spread(self) -> Tensor:
        """Return squared deviations from the mean `(2, n_numbers)`, without and with clipping."""
        squares = self._number_sums(0).sum(0)
        return squares - self._sum.square() / self._count[: self._numbers].clamp(min=1)


def _explained(error: float, base: float, defined: bool) -> float | None:
    return 1 - error / base if defined and math.isfinite(error) else None
