"""Compare a trained network with PCA and the column means, and look at its units."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from aecli.evaluation.figures import ColumnFigure, ColumnFigures, average, number_mse
from aecli.evaluation.latent import LatentFigures, dead_units
from aecli.evaluation.pca import PCA, fit_pca
from aecli.feed.inputs import Inputs
from aecli.feed.layout import Layout
from aecli.feed.staging import Staged
from aecli.nn.activations import ACTIVATIONS
from aecli.nn.autoencoder import Autoencoder
from aecli.spec.model import Baseline, Network
from aecli.training.objective import Objective
from aecli.training.split import epoch_order

FITTED_ROWS = 1 << 18
"""Rows that PCA is fitted on: enough for a covariance, far less work than an epoch."""

COMPARED_ROWS = 1 << 16

CLASS_ROWS = 1 << 14
"""Rows of a class that its place in the latent is taken from."""

BLOCK = 8_192

BLOCK_NUMBERS = 1 << 24
"""Numbers of the widest layer in one block: 64 MB."""

NOISE_ROWS = 1 << 16
"""Rows that the decoder's noise is measured on."""

NAMES = {"model": "this model", "pca": "PCA", "baseline": "column means"}


def fit_baseline(train: Staged, layout: Layout, components: int, seed: int) -> PCA:
    """Fit PCA with `components` components on (a sample of) the training samples' inputs."""
    inputs = Inputs(layout, compressed=False)
    order = torch.from_numpy(epoch_order(len(train), seed, 0)[:FITTED_ROWS].copy()).sort().values

    def batches() -> Iterator[Tensor]:
        for chosen in order.split(BLOCK):
            yield inputs(train.cells[train.rows(chosen)]).reshape(len(chosen), -1)

    return fit_pca(batches, min(components, layout.inputs * train.size))


class Comparison:
    """Gather column figures of a network's outputs and of PCA's, over the same cells."""

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
            predictions["pca"] = (self._restored(self._pca, cells), 0.5)
        self._figures.add(cells, predictions)
        self.rows += len(cells)

    def _restored(self, pca: PCA, cells: Tensor) -> Tensor:
        """Return PCA's outputs; it sees windows as flat vectors, as wide as its components."""
        inputs: Tensor = self._inputs(cells)
        return pca.reconstruct(inputs.reshape(-1, pca.components.shape[1])).reshape(inputs.shape)

    def columns(self) -> list[ColumnFigure]:
        """Return the figures of every varying column."""
        return self._figures.figures()


def block_samples(spec: Network, staged: Staged) -> int:
    """Return how many samples to run at a time, so that wide layers stay within memory."""
    return min(max(1, BLOCK // staged.size), spec.samples_within(BLOCK_NUMBERS))


@torch.no_grad()
def compare(
    network: Autoencoder, inputs: Inputs, layout: Layout, pca: PCA, staged: Staged, spec: Network
) -> tuple[list[Baseline], int, LatentFigures]:
    """Return the comparison on staged rows, the number of rows, and how their latents lie."""
    device = next(network.parameters()).device
    comparison = Comparison(layout, pca.to(device))
    latent_figures = LatentFigures(spec.latent, variational=spec.variational)
    chosen = staged.thinned(COMPARED_ROWS // staged.size)
    for block in chosen.blocks(block_samples(spec, staged)):
        cells = block.to(device)
        latent = network.encode(inputs(cells))
        comparison.add(cells, network.decode(latent))
        latent_figures.add(latent)
    figures = comparison.columns()
    rows = [
        Baseline(
            name=title,
            r2=average(figures, "r2", key),
            accuracy=average(figures, "accuracy", key),
            mse=number_mse(figures, key),
        )
        for key, title in NAMES.items()
    ]
    return rows, comparison.rows, latent_figures


def dead_hidden_units(
    network: Autoencoder, inputs: Inputs, staged: Staged, spec: Network
) -> dict[str, int]:
    """Count hidden units that answer the same for every sample of the first block."""
    device = next(network.parameters()).device
    kinds = tuple({type(make()) for make in ACTIVATIONS.values()} - {torch.nn.Identity})
    cells = next(staged.blocks(block_samples(spec, staged)))
    return dead_units(network, kinds, inputs(cells.to(device)))


@torch.no_grad()
def latent_axes(network: Autoencoder, inputs: Inputs, staged: Staged, spec: Network) -> Tensor:
    """Return the rotation `(latent, latent)` that makes the units uncorrelated, widest first."""
    device = next(network.parameters()).device
    figures = LatentFigures(spec.latent)
    for block in staged.thinned(COMPARED_ROWS // staged.size).blocks(block_samples(spec, staged)):
        figures.add(network.encode(inputs(block.to(device))))
    return figures.axes()


@torch.no_grad()
def decoder_noise(objective: Objective, staged: Staged, spec: Network, seed: int) -> Tensor:
    """Return the mean squared error `(n_numbers,)` of each scaled number behind drawn latents.

    It is the variance that a variational decoder leaves to its normal noise: with it, decoded draws
    from the prior vary as much as the rows do.
    """
    network, device = objective.network, next(objective.network.parameters()).device
    sums = torch.zeros(network.numbers, dtype=torch.float64)
    counts = torch.zeros(network.numbers, dtype=torch.float64)
    chosen = staged.thinned(NOISE_ROWS // staged.size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for block in chosen.blocks(block_samples(spec, staged)):
            cells = block.to(device)
            drawn = network.distribution(objective.inputs(cells)).sample()
            outputs = network.decode(drawn).float()[:, : network.numbers]
            errors = (outputs - cells[:, : network.numbers]).double().square()
            sums += errors.nan_to_num(0.0).sum(0).cpu()
            counts += (~errors.isnan()).sum(0).cpu()
    return (sums / counts.clamp(min=1)).float()


@torch.no_grad()
def class_latents(objective: Objective, staged: Staged, spec: Network) -> dict[str, Tensor]:
    """Return where each class lies in a variational latent, for drawing rows of one class.

    `baseline.class_mean` is `(n_classes, latent)`; `baseline.class_scale`, `(n_classes, latent,
    latent)`, the Cholesky factor of the class's covariance over drawn latents: the spread of its
    rows and their own.
    """
    network, device = objective.network, next(objective.network.parameters()).device
    assert staged.codes is not None, "only a labelled table has classes"
    means = torch.zeros(spec.classes, spec.latent, dtype=torch.float64)
    scales = torch.eye(spec.latent, dtype=torch.float64).repeat(spec.classes, 1, 1)
    for code in range(spec.classes):
        of_class = (staged.codes == code).nonzero()[:, 0]
        if not len(of_class):
            continue
        # Spread over the table, since rows are often sorted by class or by time.
        chosen = of_class[:: max(1, len(of_class) * staged.size // CLASS_ROWS)]
        codes = [
            network.distribution(objective.inputs(staged.cells[staged.rows(part)].to(device)))
            for part in chosen.split(block_samples(spec, staged))
        ]
        mean = torch.cat([code.latent for code in codes]).double().cpu()
        spread = torch.cat([code.variance for code in codes]).double().cpu().mean(0)
        means[code] = mean.mean(0)
        centred = mean - means[code]
        covariance = centred.T @ centred / len(mean) + torch.diag(spread + 1e-8)
        scales[code] = torch.linalg.cholesky(covariance)
    return {"baseline.class_mean": means.float(), "baseline.class_scale": scales.float()}
