"""Anomaly scores of samples, from their reconstruction errors and their distance to the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.array_types import Mask
from aecli.features.inputs import Inputs
from aecli.features.reader import Cells
from aecli.features.training_range import at_last_times, without_later_times
from aecli.inference.loaded_model import LoadedModel, require_decoder
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.schema.calibration import AGGREGATES
from aecli.schema.model_spec import Column
from aecli.scoring.deviations import (
    HUGE,
    Deviations,
    ScoringFit,
    log_compressed,
    row_means,
    whitened,
)
from aecli.scoring.sample_inputs import SampleInputs
from aecli.scoring.stored_fit import stored_fit

MIN_BLOCK, MAX_BLOCK = 1_024, 4_096
"""Bounds of the number of rows in a block."""

BLOCK_CELLS = 1 << 17
"""Cells of a block: few enough for the processor's cache, and enough to outweigh the calls."""

REASON_PARTS = (0, 4, 5)
"""Parts with contributions by column, as indices of `ScoringFit.medians`: the mean of the errors,
the univariate distance, and the distance to a neighbour, or of the statistics of windows."""

WINDOW_ERROR_WEIGHT = 0.5
"""Weight of the reconstruction and of the joint part of a window's score; both depend on the errors
of the network (benchmarks/RESULTS.md, Windows and their statistics)."""


@dataclass(frozen=True)
class ScoredSamples:
    """Scores `(n_samples,)` of samples by aggregate, and the reasons for them.

    `errors` `(n_samples, n_columns)` are reconstruction errors divided by the columns' held-out
    median errors, `NaN` without an observed cell. `reasons` are the contributions of columns: the
    mean of a column's error and its univariate distance, each divided by the held-out median of
    that part of the score. Reasons of compared constant columns follow those of the others.
    `row_errors` and `row_reasons` `(n_rows, n_columns)` are the same for every row of windows.
    `outputs` `(n_rows, n_outputs)` are those of the network.
    """

    scores: Mapping[str, Tensor]
    errors: Tensor
    reasons: Tensor
    row_errors: Tensor
    row_reasons: Tensor
    outputs: Tensor


class Scorer:
    """Anomaly scores of cells, from a network and its scoring fit.

    The score of a sample is the mean of five parts, each divided by its held-out median, so that an
    ordinary sample scores about 1: the reconstruction errors of its columns, the squared
    Mahalanobis distance of its residuals and latent together, the univariate distance (the mean
    squared robust z-score of its values), the squared distance to its nearest neighbour, and its
    isolation by a forest; for windows the last two are distances of their statistics, and the first
    two have half the weight. Errors and parts above `LINEAR_RATIO` grow with their logarithm. A
    cell that differs from a constant of training adds a fixed amount. If a sample is later than
    training, its times are moved back together for the network, and are not scored.
    """

    def __init__(
        self,
        network: AutoencoderNetwork,
        inputs: Inputs,
        columns: Sequence[Column],
        fitted: ScoringFit,
        aggregates: Sequence[str] = AGGREGATES,
    ) -> None:
        self._fitted = fitted.single_precision()
        self.deviations = Deviations(columns)
        self.samples = SampleInputs(self.deviations.layout, network.window)
        self.aggregates = aggregates
        self._network = network
        self._inputs = inputs
        self._device = next(network.parameters()).device

    @classmethod
    def of(cls, model: LoadedModel, aggregates: Sequence[str] = AGGREGATES) -> Scorer:
        """Return the scorer of a loaded model, for some or all aggregates of errors.

        Raises:
            UsageError: its decoder was not trained.
            ModelError: the model was saved without a scoring fit.
        """
        require_decoder(model)
        return cls(model.network, model.inputs, model.spec.columns, stored_fit(model), aggregates)

    @property
    def fitted(self) -> ScoringFit:
        """Return the parameters in float32: more digits than those of cells change no score."""
        return self._fitted

    @fitted.setter
    def fitted(self, fitted: ScoringFit) -> None:
        self._fitted = fitted.single_precision()

    @property
    def window(self) -> int:
        """Return the number of rows in a sample."""
        return self._network.window

    def score(self, cells: Cells | Tensor, differs: Mask | None = None) -> ScoredSamples:
        """Score cells `(n_samples * window, n_cells)`; a score does not depend on the batch.

        `differs` `(n_samples * window, n_constants)` is True for cells that differ from a
        constant; a window differs if one of its rows does.
        """
        scored = self._scored(torch.as_tensor(cells))
        if differs is None or not differs.shape[1]:
            return scored
        by_sample = torch.from_numpy(differs).view(-1, self.window, differs.shape[1])
        scores, reasons = self.constant_parts(by_sample.any(1))
        return replace(
            scored,
            scores={name: scored.scores[name] + scores[name] for name in self.aggregates},
            reasons=torch.cat([scored.reasons, reasons], 1),
        )

    def constant_parts(self, differs: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the amounts that constant columns add to scores `(n_samples,)`, and their reasons.

        `differs` and the reasons are `(n_samples, n_constants)`. A reason is the amount added to
        the mean score times the number of other columns, since that is a mean over them; else NaN.
        """
        counts = differs.sum(1).double()
        amounts = dict(zip(AGGREGATES, self.fitted.constant.tolist(), strict=True))
        columns = max(1, len(self.deviations.layout.columns))
        reasons = torch.where(differs, amounts["mean"] * columns, torch.nan).float()
        return {name: counts * amounts[name] for name in AGGREGATES}, reasons

    def _scored(self, cells: Tensor) -> ScoredSamples:
        parts = [self._block(block) for block in cells.split(self.block_rows)]
        if not parts:
            parts = [self._block(cells)]
        if len(parts) == 1:
            return parts[0]
        row_errors = torch.cat([part.row_errors for part in parts])
        row_reasons = torch.cat([part.row_reasons for part in parts])
        by_row = self.window == 1
        return ScoredSamples(
            scores={n: torch.cat([part.scores[n] for part in parts]) for n in self.aggregates},
            errors=row_errors if by_row else torch.cat([part.errors for part in parts]),
            reasons=row_reasons if by_row else torch.cat([part.reasons for part in parts]),
            row_errors=row_errors,
            row_reasons=row_reasons,
            outputs=torch.cat([part.outputs for part in parts]),
        )

    def parts(
        self, cells: Tensor, latent: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the parts `(n_samples, 7)`, undivided, and the rows' errors and reasons by column.

        Parts are in the order of `ScoringFit.medians`, 5 without neighbours and forest, and NaN for
        an aggregate that is not one of the scorer's; errors `(n_rows, n_columns)` are scaled.
        """
        deviations, fitted, window = self.deviations, self.fitted, self._network.window
        cell_errors = deviations.errors(cells, outputs)
        of_samples = deviations.per_column(cell_errors, window) / fitted.scale
        of_rows = of_samples if window == 1 else deviations.per_column(cell_errors) / fitted.scale
        compressed = log_compressed(of_samples)
        of_reasons = compressed if window == 1 else log_compressed(of_rows)
        cell_distances = deviations.distances(cells, fitted)
        univariate = deviations.per_column(cell_distances, window)
        row_univariate = univariate if window == 1 else deviations.per_column(cell_distances)
        joint = whitened(deviations.residuals(cells, outputs), latent, fitted)
        parts = [*self._aggregates(compressed), joint, aggregated(univariate, "mean")]
        reasons = [of_reasons, row_univariate]
        if fitted.forest is not None and fitted.neighbours is not None:
            vectors = self.samples.vectors(cells)
            squares = fitted.neighbours.squares(vectors)
            squares = self.samples.without_missing(squares, cells)
            parts += [row_means(squares), fitted.forest.isolation(vectors)]
            reasons.append(self.samples.per_column(squares))
        if fitted.windows is not None:
            squares, distances = fitted.windows.distances(self.samples.windows(cells))
            parts += [row_means(squares), distances]
            reasons.append(self.samples.per_column(squares).repeat_interleave(window, 0))
        return torch.stack(parts).T, of_rows, self._reasons(reasons)

    def _aggregates(self, errors: Tensor) -> list[Tensor]:
        unused = errors.new_full([len(errors)], torch.nan)
        return [aggregated(errors, n) if n in self.aggregates else unused for n in AGGREGATES]

    def _reasons(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the mean of the parts' contributions by column, each about 1 for a usual cell."""
        medians = self.fitted.medians[list(REASON_PARTS[: len(parts)])]
        factors = (1 / (medians * len(parts))).tolist()
        total: Tensor = parts[0] * factors[0]
        for part, factor in zip(parts[1:], factors[1:], strict=True):
            total.add_(part, alpha=factor)
        return total

    def combined(self, parts: Tensor) -> dict[str, Tensor]:
        """Return scores `(n_samples,)` by aggregate; a missing part counts as 1."""
        count = len(AGGREGATES)
        used = [*map(AGGREGATES.index, self.aggregates), *range(count, parts.shape[1])]
        ratios = parts.T[used]  # a part is a row: operations on rows take less time
        if self.fitted.ordinary is not None:
            ratios[-1] = (ratios[-1] - self.fitted.ordinary).clamp(min=0)
        ratios = (ratios / self.fitted.medians[used, None]).nan_to_num(1.0).clamp(max=HUGE)
        ratios = log_compressed(ratios)
        aggregates, rest = ratios.split([len(self.aggregates), parts.shape[1] - count])
        weight = 1.0 if self.fitted.windows is None else WINDOW_ERROR_WEIGHT
        scores = weight * (aggregates + rest[0]) + rest[1:].sum(0)
        scores /= 2 * weight + len(rest) - 1
        return dict(zip(self.aggregates, scores, strict=True))

    def run(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents and the outputs of one block of cells."""
        shifted = at_last_times(cells, self.deviations.layout, self.window)
        with torch.no_grad():
            inputs = self._inputs(shifted.to(self._device), times=cells.to(self._device))
            latent = self._network.encode(inputs)
            outputs = self._network.decode(latent)
        return _finite(latent), _finite(outputs)

    @property
    def block_rows(self) -> int:
        """Return the number of rows of every block, padded if there are fewer.

        Matrix products have one shape, so that a score does not depend on the other rows.
        """
        rows = BLOCK_CELLS // max(1, self.deviations.layout.cells)
        rows = max(MIN_BLOCK, min(rows, MAX_BLOCK))
        return max(1, rows // self.window) * self.window

    def _block(self, cells: Tensor) -> ScoredSamples:
        rows, window = len(cells), self._network.window
        short = self.block_rows - rows
        padded = F.pad(cells, (0, 0, 0, short)) if short else cells
        latent, outputs = self.run(padded)
        scored = without_later_times(padded, self.deviations.layout)
        parts, of_rows, reasons = self.parts(scored, latent, outputs)
        scores = {
            n: values[: rows // window].double() for n, values in self.combined(parts).items()
        }
        of_rows, reasons = of_rows[:rows], reasons[:rows]
        errors, sample_reasons = (
            by_row.view(-1, window, by_row.shape[1]).nanmean(1) if window > 1 else by_row
            for by_row in (of_rows, reasons)
        )
        return ScoredSamples(
            scores=scores,
            errors=errors,
            reasons=sample_reasons,
            row_errors=of_rows,
            row_reasons=reasons,
            outputs=outputs[:rows],
        )


def _finite(values: Tensor) -> Tensor:
    return values.float().cpu().nan_to_num().clamp_(-HUGE, HUGE)


def aggregated(values: Tensor, aggregate: str) -> Tensor:
    """Return the mean, the maximum or the mean of the three largest values of observed columns.

    `values` are `(n_samples, n_columns)`; `NaN` if no column is observed.
    """
    if aggregate == "mean":
        return row_means(values)
    observed = ~values.isnan()
    count = 1 if aggregate == "max" else min(3, values.shape[1])
    largest = values.nan_to_num(-1.0).topk(count, dim=1).values
    is_observed = torch.arange(count) < observed.sum(1, keepdim=True)
    return torch.where(is_observed, largest, torch.nan).nanmean(1)
