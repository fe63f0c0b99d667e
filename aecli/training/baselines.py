"""Comparison of a trained network with PCA and the column means, and figures of its units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.features.layout import Layout
from aecli.features.staging import Staged
from aecli.metrics.column_scores import Predictor, character_accuracy, mean_accuracy
from aecli.metrics.columns import BLOCK_VALUES, ColumnFigures
from aecli.metrics.latent import LatentFigures, dead_units, input_variance
from aecli.metrics.number_ranges import number_ranges
from aecli.metrics.pca import PCA, fit_pca
from aecli.metrics.products import summed
from aecli.model.layers import ACTIVATION_CLASSES
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.losses import ReconstructionLoss
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.model_spec import Baseline
from aecli.schema.network import Network
from aecli.training.validation import NumberTarget

FITTED_ROWS = 1 << 18
"""Rows that PCA is fitted on: enough for a covariance matrix, and much faster than an epoch."""

COMPARED_ROWS = 1 << 16

RANGED_ROWS = 1 << 16
RANGED_VALUES = 1 << 23
"""Maximum number of numbers that ranges are fitted on: 64 MB in float64."""

MAX_BLOCK_SAMPLES = 8_192

WATCHED_SAMPLES = 1 << 11
"""Samples for which the outputs of hidden units are compared."""

TOLERANCE = 2e-4
"""R² below 1 that is as good as an exact reconstruction."""

BLOCK_NUMBERS = 1 << 24
"""Numbers of the widest layer in one block: 64 MB."""

NAMES: dict[Predictor, Literal["this model", "PCA", "column means"]] = {
    "model": "this model",
    "pca": "PCA",
    "baseline": "column means",
}


def fit_baseline(
    train: Staged,
    layout: Layout,
    components: int,
    *,
    ranks: Ranks = ONE_PROCESS,
    zeroed: Sequence[slice] = (),
) -> PCA:
    """Fit PCA with `components` components on a sample of the training inputs of all ranks.

    The inputs `zeroed` of a row are 0 in all rows.
    """
    inputs = Inputs(layout, copies=False)
    chosen = train.thinned(FITTED_ROWS // ranks.size)

    def batches() -> Iterator[Tensor]:
        for cells in chosen.blocks(MAX_BLOCK_SAMPLES):
            rows = inputs(cells)
            for inputs_of_one in zeroed:
                rows[:, inputs_of_one] = 0.0
            if len(rows):
                yield rows.reshape(len(rows) // train.size, -1)

    return fit_pca(batches, min(components, layout.inputs * train.size), ranks=ranks)


def fit_number_ranges(train: Staged, layout: Layout, *, ranks: Ranks = ONE_PROCESS) -> Tensor:
    """Return `number_ranges` of a sample of all ranks' training rows `(3, n_numbers)`."""
    rows = min(RANGED_ROWS, RANGED_VALUES // max(1, layout.numbers)) // train.size
    chosen = train.thinned(max(1, rows // ranks.size))
    sample = next(chosen.blocks(max(1, len(chosen))))[:, : layout.numbers].cpu().clone()
    return number_ranges(torch.cat(ranks.gather(sample)))


@torch.no_grad()
def number_target(
    pca: PCA, layout: Layout, ranges: Tensor, staged: Staged, *, ranks: Ranks = ONE_PROCESS
) -> NumberTarget:
    """Return the error of PCA on the numbers of all ranks' rows, as a target for a network.

    It is at least that of an R² of 1 - `TOLERANCE`, because PCA may reconstruct exactly.
    """
    low, high, variance = ranges.float()
    target = NumberTarget(low, high, 0.0)
    inputs = Inputs(layout, copies=False)
    error = torch.zeros((), dtype=torch.float64)
    count = 0
    for cells in staged.blocks(max(1, MAX_BLOCK_SAMPLES // staged.size)):
        if not len(cells):
            continue
        flat = inputs(cells).reshape(-1, pca.components.shape[1])
        error += target.errors(cells, pca.reconstruct(flat).reshape(len(cells), -1))
        count += len(cells)
    error, count = summed(error, ranks), sum(ranks.gather(count))
    least = TOLERANCE * count * float(variance.sum())
    return replace(target, error=max(float(error), least))


def block_samples(spec: Network, staged: Staged) -> int:
    """Return the number of samples per block, so that wide layers fit into memory."""
    return min(max(1, MAX_BLOCK_SAMPLES // staged.size), spec.samples_within(BLOCK_NUMBERS))


@torch.no_grad()
def compare(
    network: AutoencoderNetwork,
    inputs: Inputs,
    layout: Layout,
    pca: PCA,
    ranges: Tensor,
    staged: Staged,
    spec: Network,
    *,
    decode: bool = True,
) -> tuple[list[Baseline], ColumnFigures, LatentFigures]:
    """Return the comparison on staged rows, and the figures of their columns and latents.

    Without `decode`, for an untrained decoder, all figures of columns are None.
    """
    device = next(network.parameters()).device
    column_figures = ColumnFigures(layout, pca.to(device), ranges)
    latent_figures = LatentFigures(
        spec.latent,
        variational=spec.variational,
        input_variance=input_variance(layout.columns),
    )
    chosen = staged.thinned(COMPARED_ROWS // staged.size)
    for block in chosen.blocks(block_samples(spec, staged)):
        cells = block.to(device)
        latent = network.encode(inputs(cells))
        if decode:
            column_figures.add(cells, network.decode(latent))
        latent_figures.add(latent)
    scores = column_figures.scores()
    rows = [
        Baseline(
            name=title,
            r2=column_figures.number_r2(key),
            accuracy=mean_accuracy(scores, key),
            characters=character_accuracy(scores, key),
            mse=column_figures.number_mse(key),
        )
        for key, title in NAMES.items()
    ]
    return rows, column_figures, latent_figures


def dead_hidden_units(
    network: AutoencoderNetwork, inputs: Inputs, staged: Staged, spec: Network
) -> dict[str, int]:
    """Count hidden units whose output is the same for `WATCHED_SAMPLES` evenly spaced samples."""
    device = next(network.parameters()).device
    kinds = tuple({*ACTIVATION_CLASSES.values()} - {torch.nn.Identity})
    samples = min(WATCHED_SAMPLES, block_samples(spec, staged))
    cells = next(staged.thinned(samples).blocks(samples))
    return dead_units(network, kinds, inputs(cells.to(device)))


def trivial_losses(
    loss: ReconstructionLoss, layout: Layout, train: Staged, *, ranks: Ranks = ONE_PROCESS
) -> list[float]:
    """Return the loss of each non-constant column for the best constant prediction.

    That is the training mean of a number, and the training frequencies of a boolean or category:
    a reconstruction loss divided by this is 1 for a network that has learned nothing. The rows are
    those of all ranks.
    """
    prediction = _constant_prediction(layout, train, ranks, complete=loss.complete)
    sums = torch.zeros(layout.cells, dtype=torch.float64)
    counts = torch.zeros(layout.cells, dtype=torch.float64)
    for block in _blocks(layout, train):
        errors = loss.cell_errors(prediction.expand(len(block), -1), block)
        sums += errors.nansum(0)
        counts += _observed(errors, complete=loss.complete)
    sums, counts = summed(sums, ranks), summed(counts, ranks)
    owner = torch.tensor(layout.column_of)
    columns = len(layout.columns)
    per_column = torch.zeros(columns, dtype=torch.float64).index_add_(0, owner, sums)
    observed = torch.zeros(columns, dtype=torch.float64).index_add_(0, owner, counts)
    return [float(value) for value in per_column / observed.clamp(min=1)]


def _blocks(layout: Layout, train: Staged) -> Iterator[Tensor]:
    yield from train.row_blocks(max(1, BLOCK_VALUES // max(1, layout.outputs)))


def _observed(block: Tensor, *, complete: bool) -> Tensor:
    """Return the number of values of each column that are not NaN."""
    return torch.tensor(len(block)) if complete else (~block.isnan()).sum(0)


def _constant_prediction(layout: Layout, train: Staged, ranks: Ranks, *, complete: bool) -> Tensor:
    dense = layout.numbers + layout.booleans
    sums = torch.zeros(dense, dtype=torch.float64)
    counts = torch.zeros(dense, dtype=torch.float64)
    tallies = [torch.zeros(size, dtype=torch.float64) for size in layout.cardinalities]
    for block in _blocks(layout, train):
        sums += block[:, :dense].nansum(0)
        counts += _observed(block[:, :dense], complete=complete)
        for position, tally in enumerate(tallies, start=dense):
            codes = block[:, position]
            tally += torch.bincount(codes[codes >= 0].long(), minlength=len(tally))
    sums, counts = summed(sums, ranks), summed(counts, ranks)
    tallies = [summed(tally, ranks) for tally in tallies]
    means = sums / counts.clamp(min=1)
    logits = torch.logit(means[layout.numbers :], eps=1e-6)
    logs = [(tally / tally.sum().clamp(min=1)).clamp(min=1e-9).log() for tally in tallies]
    return torch.cat([means[: layout.numbers], logits, *logs]).float()
