"""Anomaly scores of samples, from their reconstruction errors and their distance to the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.array_types import Mask
from aecli.errors import ModelError
from aecli.features.layout import Inputs
from aecli.features.reader import Cells
from aecli.features.training_range import at_last_times, without_later_times
from aecli.inference.loaded_model import LoadedModel, require_decoder
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.schema.model_spec import AGGREGATES, Column
from aecli.scoring.deviations import (
    HUGE,
    PREFIX,
    Deviations,
    ScoringFit,
    log_compressed,
)

SCORING_BLOCK = 1_024
"""Rows of every batch, padded if there are fewer: matrix products have one shape, so that a score
does not depend on the other rows."""

STORED = tuple(field.name for field in fields(ScoringFit))


def stored_fit(model: LoadedModel) -> ScoringFit:
    """Return the scoring fit in a model's weights file.

    Raises:
        ModelError: there is none, since an older aecli saved the model.
    """
    if model.spec.calibration is None or any(PREFIX + n not in model.baseline for n in STORED):
        raise ModelError(
            f"{model.directory} was saved without a scoring fit",
            hint=f"train it again: aecli train DATA -m {model.directory}",
        )
    tensors = {name: model.baseline[PREFIX + name].double() for name in STORED}
    layout = model.reader.layout
    sizes = [2 + 1] * layout.booleans + [size + 1 for size in layout.cardinalities]
    if len(tensors["rarity"]) != sum(sizes) or len(tensors["scale"]) != len(layout.columns):
        raise ModelError(
            f"{model.directory} has a scoring fit whose columns differ from those in spec.json",
            hint=f"train it again: aecli train DATA -m {model.directory}",
        )
    rarity = list(tensors.pop("rarity").split(sizes))
    return ScoringFit(rarity=rarity, **tensors)


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

    The score of a sample is the mean of three parts, each divided by its held-out median, so that
    an ordinary sample scores about 1: the reconstruction errors of its columns, the squared
    Mahalanobis distance of its residuals and latent together, and the univariate distance, the mean
    squared robust z-score of its values. Errors and parts above `LINEAR_RATIO` grow with their
    logarithm. A cell that differs from a constant of training adds a fixed amount. If a sample is
    later than training, its times are moved back together for the network, and are not scored.
    """

    def __init__(
        self,
        network: AutoencoderNetwork,
        inputs: Inputs,
        columns: Sequence[Column],
        fitted: ScoringFit,
    ) -> None:
        self.fitted = fitted
        self.deviations = Deviations(columns)
        self._network = network
        self._inputs = inputs
        self._device = next(network.parameters()).device

    @classmethod
    def of(cls, model: LoadedModel) -> Scorer:
        """Return the scorer of a loaded model.

        Raises:
            UsageError: its decoder was not trained.
            ModelError: the model was saved without a scoring fit.
        """
        require_decoder(model)
        return cls(model.network, model.inputs, model.spec.columns, stored_fit(model))

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
            scores={name: scored.scores[name] + scores[name] for name in AGGREGATES},
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
        reasons = torch.where(differs, amounts["mean"] * columns, torch.nan).double()
        return {name: counts * amounts[name] for name in AGGREGATES}, reasons

    def _scored(self, cells: Tensor) -> ScoredSamples:
        parts = [self._block(block) for block in cells.split(self._block_rows())]
        if not parts:
            parts = [self._block(cells)]
        return ScoredSamples(
            scores={n: torch.cat([part.scores[n] for part in parts]) for n in AGGREGATES},
            errors=torch.cat([part.errors for part in parts]),
            reasons=torch.cat([part.reasons for part in parts]),
            row_errors=torch.cat([part.row_errors for part in parts]),
            row_reasons=torch.cat([part.row_reasons for part in parts]),
            outputs=torch.cat([part.outputs for part in parts]),
        )

    def parts(
        self, cells: Tensor, latent: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the parts `(n_samples, 5)`, undivided, and the rows' errors and reasons by column.

        Parts are in the order of `ScoringFit.medians`; errors `(n_rows, n_columns)` are scaled.
        """
        deviations, fitted, window = self.deviations, self.fitted, self._network.window
        cell_errors = deviations.errors(cells, outputs)
        of_samples = deviations.per_column(cell_errors, window) / fitted.scale
        of_rows = of_samples if window == 1 else deviations.per_column(cell_errors) / fitted.scale
        cell_distances = deviations.distances(cells, fitted)
        univariate = deviations.per_column(cell_distances, window)
        row_univariate = univariate if window == 1 else deviations.per_column(cell_distances)
        joint = joint_vectors(deviations.residuals(cells, outputs), latent)
        compressed = log_compressed(of_samples)
        parts = [aggregated(compressed, name) for name in AGGREGATES]
        parts += [whitened(joint, fitted), aggregated(univariate, "mean")]
        medians = fitted.medians
        reasons = (log_compressed(of_rows) / medians[0] + row_univariate / medians[-1]) / 2
        return torch.stack(parts, 1), of_rows, reasons

    def combined(self, parts: Tensor) -> dict[str, Tensor]:
        """Return scores `(n_samples,)` by aggregate; a missing part counts as 1."""
        ratios = (parts / self.fitted.medians).nan_to_num(1.0).clamp(max=HUGE)
        ratios = log_compressed(ratios)
        count = len(AGGREGATES)
        rest = ratios[:, count] + ratios[:, count + 1]
        return {name: (ratios[:, i] + rest) / 3 for i, name in enumerate(AGGREGATES)}

    def run(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents and the outputs of one block of cells."""
        cells = at_last_times(cells, self.deviations.layout, self.window)
        with torch.no_grad():
            latent = self._network.encode(self._inputs(cells.to(self._device)))
            outputs = self._network.decode(latent)
        return _finite(latent), _finite(outputs)

    def _block_rows(self) -> int:
        window = self._network.window
        return max(1, SCORING_BLOCK // window) * window

    def _block(self, cells: Tensor) -> ScoredSamples:
        rows, window = len(cells), self._network.window
        padded = F.pad(cells, (0, 0, 0, self._block_rows() - rows))
        latent, outputs = self.run(padded)
        scored = without_later_times(padded, self.deviations.layout)
        parts, of_rows, reasons = self.parts(scored, latent, outputs)
        scores = {n: values[: rows // window] for n, values in self.combined(parts).items()}
        by_row = torch.stack([of_rows, reasons])[:, :rows]
        by_sample = by_row.view(2, -1, window, by_row.shape[2]).nanmean(2) if window > 1 else by_row
        return ScoredSamples(
            scores=scores,
            errors=by_sample[0],
            reasons=by_sample[1],
            row_errors=by_row[0],
            row_reasons=by_row[1],
            outputs=outputs[:rows],
        )


def _finite(values: Tensor) -> Tensor:
    return values.float().cpu().nan_to_num().clamp(-HUGE, HUGE)


def joint_vectors(residuals: Tensor, latent: Tensor) -> Tensor:
    """Join residuals `(n_samples * window, n_cells)` and latents into `(n_samples, n_joint)`."""
    return torch.cat([residuals.reshape(len(latent), -1), latent.double()], 1)


def whitened(joint: Tensor, fitted: ScoringFit) -> Tensor:
    """Return squared Mahalanobis distances per dimension `(n_samples,)`."""
    distances: Tensor
    centred = joint - fitted.centre
    if fitted.whiten.dim() == 2:
        distances = torch.square(centred @ fitted.whiten).mean(1)
        return distances
    residuals, latent = centred.split([len(fitted.whiten), len(fitted.whiten_latent)], 1)
    squares = (residuals * fitted.whiten).square().sum(1)
    squares = squares + torch.square(latent @ fitted.whiten_latent).sum(1)
    distances = squares / joint.shape[1]
    return distances


def aggregated(values: Tensor, aggregate: str) -> Tensor:
    """Return the mean, the maximum or the mean of the three largest values of observed columns.

    `values` are `(n_samples, n_columns)`; `NaN` if no column is observed.
    """
    if aggregate == "mean":
        return values.nanmean(1)
    observed = ~values.isnan()
    count = 1 if aggregate == "max" else min(3, values.shape[1])
    largest = values.nan_to_num(-1.0).topk(count, dim=1).values
    is_observed = torch.arange(count) < observed.sum(1, keepdim=True)
    return torch.where(is_observed, largest, torch.nan).nanmean(1)
