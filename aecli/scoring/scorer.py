"""Anomaly scores of samples, from their reconstruction errors and their distance to the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.array_types import Mask
from aecli.device import keep_freed_memory
from aecli.features.inputs import Inputs
from aecli.features.reader import Cells
from aecli.features.training_range import at_last_times, without_later_times
from aecli.inference.loaded_model import LoadedModel, require_decoder
from aecli.metrics.missing_cells import is_complete
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.layers import MLP
from aecli.nn.linear_products import LinearByConvolution, convolved_rows
from aecli.schema.calibration import AGGREGATES
from aecli.schema.model_spec import Column
from aecli.scoring.combination import Combination
from aecli.scoring.deviations import (
    CPU,
    HUGE,
    Deviations,
    ScoringFit,
    log_compressed,
    row_means,
    whitened,
)
from aecli.scoring.largest_columns import largest_columns
from aecli.scoring.sample_inputs import SampleInputs
from aecli.scoring.stored_fit import stored_fit

MIN_BLOCK, MAX_BLOCK = 1_024, 8_192
"""Bounds of the number of rows in a block."""

NETWORK_ROWS = 4_096
"""Rows of a block that the network reads at once."""

GPU_BLOCK = 1 << 14
"""Rows of a block on a GPU."""

BLOCK_CELLS = 1 << 18
"""Cells of a block: few enough for the processor's cache, and enough to outweigh the calls."""


@dataclass(frozen=True)
class ScoredSamples:
    """Scores `(n_samples,)` of samples by aggregate, and the reasons for them.

    `errors` `(n_samples, n_columns)` are reconstruction errors divided by the columns' held-out
    median errors, `NaN` without an observed cell. `reasons` are the contributions of columns: the
    mean of a column's error and its univariate distance, each divided by the held-out median of
    that part of the score. Reasons of compared constant columns follow those of the others.
    `row_errors` and `row_reasons` `(n_rows, n_columns)` are the same for every row of windows.
    `latent` `(n_samples, n_latent)` and `outputs` `(n_rows, n_outputs)` are those of the network,
    for cells whose times are not later than training. Scores are float64 on the CPU, the
    others are on the scorer's device.
    """

    scores: Mapping[str, Tensor]
    errors: Tensor
    reasons: Tensor
    row_errors: Tensor
    row_reasons: Tensor
    latent: Tensor
    outputs: Tensor

    @classmethod
    def joined(cls, parts: Sequence[ScoredSamples]) -> ScoredSamples:
        """Return the samples of all parts."""
        if len(parts) == 1:
            return parts[0]
        by_row = parts[0].errors is parts[0].row_errors
        row_errors = torch.cat([part.row_errors for part in parts])
        row_reasons = torch.cat([part.row_reasons for part in parts])
        return cls(
            scores={n: torch.cat([part.scores[n] for part in parts]) for n in parts[0].scores},
            errors=row_errors if by_row else torch.cat([part.errors for part in parts]),
            reasons=row_reasons if by_row else torch.cat([part.reasons for part in parts]),
            row_errors=row_errors,
            row_reasons=row_reasons,
            latent=torch.cat([part.latent for part in parts]),
            outputs=torch.cat([part.outputs for part in parts]),
        )


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
        device: torch.device = CPU,
    ) -> None:
        self.device = device
        self.aggregates = aggregates
        self.fitted = fitted
        self.deviations = Deviations(columns, device)
        self.samples = SampleInputs(self.deviations.layout, network.window, device)
        self._network = network
        self._network_device = next(network.parameters()).device
        self._inputs = inputs
        # Layers of other architectures have products of their own.
        dense = isinstance(network.encoder, MLP) and isinstance(network.decoder, MLP)
        self._products: AbstractContextManager[object] = (
            LinearByConvolution() if dense else nullcontext()
        )

    @classmethod
    def of(cls, model: LoadedModel, aggregates: Sequence[str] = AGGREGATES) -> Scorer:
        """Return the scorer of a loaded model, for some or all aggregates of errors.

        Raises:
            UsageError: its decoder was not trained.
            ModelError: the model was saved without a scoring fit.
        """
        require_decoder(model)
        keep_freed_memory()
        # The statistics of windows are float64, which Apple's GPUs do not have.
        device = CPU if model.device.type == "mps" else model.device
        columns, fitted = model.spec.columns, stored_fit(model)
        return cls(model.network, model.inputs, columns, fitted, aggregates, device)

    @property
    def fitted(self) -> ScoringFit:
        """Return the parameters in float32: more digits than those of cells change no score."""
        return self._fitted

    @fitted.setter
    def fitted(self, fitted: ScoringFit) -> None:
        self._fitted = fitted.single_precision(self.device)
        self._combination = Combination(self._fitted, self.aggregates)

    @property
    def window(self) -> int:
        """Return the number of rows in a sample."""
        return self._network.window

    def score(self, cells: Cells | Tensor, differs: Mask | None = None) -> ScoredSamples:
        """Score cells `(n_samples * window, n_cells)`; a score does not depend on the batch.

        `differs` `(n_samples * window, n_constants)` is True for cells that differ from a
        constant; a window differs if one of its rows does.
        """
        return ScoredSamples.joined([*self.blocks(cells, differs)])

    def scores(self, cells: Cells | Tensor, differs: Mask | None = None) -> dict[str, Tensor]:
        """Return only the scores `(n_samples,)` of the same samples, by aggregate."""
        blocks = [block.scores for block in self.blocks(cells, differs)]
        return {name: torch.cat([block[name] for block in blocks]) for name in self.aggregates}

    def blocks(self, cells: Cells | Tensor, differs: Mask | None = None) -> Iterator[ScoredSamples]:
        """Yield the same samples in blocks that fit the processor's cache, at least one."""
        cells, rows = torch.as_tensor(cells), self.block_rows
        for start in range(0, max(1, len(cells)), rows):
            block = self._block(cells[start : start + rows])
            if differs is None or not differs.shape[1]:
                yield block
            else:
                yield self._with_constants(block, differs[start : start + rows])

    def _with_constants(self, block: ScoredSamples, differs: Mask) -> ScoredSamples:
        by_sample = torch.from_numpy(differs).view(-1, self.window, differs.shape[1])
        amounts, reasons = self.constant_parts(by_sample.any(1))
        return replace(
            block,
            scores={name: block.scores[name] + amounts[name] for name in self.aggregates},
            reasons=torch.cat([block.reasons, reasons.to(self.device)], 1),
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

    def parts(
        self, cells: Tensor, latent: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the parts `(n_samples, 7)`, undivided, and the rows' errors and reasons by column.

        Parts are in the order of `ScoringFit.medians`, 5 without neighbours and forest, and NaN for
        an aggregate that is not one of the scorer's; errors `(n_rows, n_columns)` are scaled.
        """
        deviations, fitted, window = self.deviations, self.fitted, self._network.window
        complete = is_complete(cells)
        cell_errors, residuals = deviations.errors_and_residuals(cells, outputs, complete=complete)
        joint = whitened(residuals, latent, fitted)
        of_samples = deviations.per_column(cell_errors, window).div_(fitted.scale)
        of_rows = of_samples
        if window > 1:
            of_rows = deviations.per_column(cell_errors).div_(fitted.scale)
        compressed = log_compressed(of_samples)
        of_reasons = compressed if window == 1 else log_compressed(of_rows)
        cell_distances = deviations.distances(cells, fitted)
        univariate = deviations.per_column(cell_distances, window)
        row_univariate = univariate if window == 1 else deviations.per_column(cell_distances)
        parts = [*self._aggregates(compressed, complete), joint, row_means(univariate, complete)]
        reasons = [of_reasons, row_univariate]
        if fitted.forest is not None and fitted.neighbours is not None:
            known = complete and not deviations.layout.later_times
            vectors = self.samples.vectors(cells, complete=known)
            squares = fitted.neighbours.squares(vectors)
            if not known:
                squares = self.samples.without_missing(squares, cells)
            parts += [row_means(squares, known), fitted.forest.isolation(vectors)]
            reasons.append(self.samples.per_column(squares, complete=known))
        if fitted.windows is not None:
            squares, distances = fitted.windows.distances(self.samples.windows(cells))
            parts += [row_means(squares), distances]
            reasons.append(self.samples.per_column(squares).repeat_interleave(window, 0))
        return torch.stack(parts).T, of_rows, self._combination.reasons(reasons)

    def _aggregates(self, errors: Tensor, complete: bool) -> list[Tensor]:
        unused = errors.new_full([len(errors)], torch.nan)
        return [
            aggregated(errors, name, complete) if name in self.aggregates else unused
            for name in AGGREGATES
        ]

    def combined(self, parts: Tensor) -> dict[str, Tensor]:
        """Return scores `(n_samples,)` by aggregate; a missing part counts as 1."""
        return self._combination.scores(parts)

    def run(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents and the outputs of one block of cells."""
        # The layers of a network are wider than its cells: fewer rows stay in the cache.
        rows = convolved_rows(NETWORK_ROWS // self.window) * self.window
        if self.device.type != "cpu" or len(cells) <= rows:
            return self._run(cells)
        latents, outputs = zip(*map(self._run, cells.split(rows)), strict=True)
        return torch.cat(latents), torch.cat(outputs)

    @torch.no_grad()
    def _run(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        device = self._network_device
        shifted = at_last_times(cells, self.deviations.layout, self.window)
        inputs = self._inputs(shifted.to(device), times=cells.to(device))
        with self._products:
            latent = self._network.encode(inputs)
            outputs = self._network.decode(latent)
        return self._finite(latent), self._finite(outputs)

    def _finite(self, values: Tensor) -> Tensor:
        return values.float().to(self.device).clamp_(-HUGE, HUGE).nan_to_num_(0.0)

    @property
    def block_rows(self) -> int:
        """Return the number of rows of every block, padded if there are fewer.

        Matrix products have one shape, so that a score does not depend on the other rows.
        """
        if self.device.type != "cpu":
            rows = GPU_BLOCK
        else:
            rows = BLOCK_CELLS // max(1, self.deviations.layout.cells)
            rows = max(MIN_BLOCK, min(rows, MAX_BLOCK))
        return convolved_rows(rows // self.window) * self.window

    def _block(self, cells: Tensor) -> ScoredSamples:
        rows, window = len(cells), self._network.window
        short = self.block_rows - rows
        padded = F.pad(cells, (0, 0, 0, short)) if short else cells
        padded = padded.to(self.device)
        latent, outputs = self.run(padded)
        scored = without_later_times(padded, self.deviations.layout)
        parts, of_rows, reasons = self.parts(scored, latent, outputs)
        scores = {
            n: values[: rows // window].cpu().double() for n, values in self.combined(parts).items()
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
            latent=latent[: rows // window],
            outputs=outputs[:rows],
        )


def aggregated(values: Tensor, aggregate: str, complete: bool) -> Tensor:
    """Return the mean, the maximum or the mean of the three largest values of observed columns.

    `values` are `(n_samples, n_columns)`, without NaN if they are `complete`; the result is NaN if
    no column is observed.
    """
    if aggregate == "mean":
        return row_means(values, complete)
    if aggregate == "max":
        return _observed(values.nan_to_num(-1.0).amax(1))
    count = min(3, values.shape[1])
    if values.device.type != "cpu":
        return _observed(values.nan_to_num(-1.0).topk(count, dim=1).values).nanmean(1)
    return _observed(torch.from_numpy(largest_columns(values, count)[1])).nanmean(0)


def _observed(values: Tensor) -> Tensor:
    return torch.where(values < 0, torch.nan, values)
