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
from aecli.spec.model import Baseline
from aecli.training.split import epoch_order

FITTED_ROWS = 1 << 18
"""Rows that PCA is fitted on: enough for a covariance, far less work than an epoch."""

COMPARED_ROWS = 1 << 16

BLOCK = 8_192

NAMES = {"model": "this model", "pca": "PCA", "baseline": "column means"}


def fit_baseline(train: Staged, inputs: Inputs, layout: Layout, components: int, seed: int) -> PCA:
    """Fit PCA with `components` components on (a sample of) the training rows' inputs."""
    order = torch.from_numpy(epoch_order(len(train), seed, 0)[:FITTED_ROWS].copy()).sort().values

    def batches() -> Iterator[Tensor]:
        for chosen in order.split(BLOCK):
            yield inputs(train.cells[chosen])

    return fit_pca(batches, min(components, layout.inputs))


class Comparison:
    """Gather column figures of a network's outputs and of PCA's, over the same cells."""

    def __init__(self, inputs: Inputs, layout: Layout, pca: PCA | None) -> None:
        self._inputs = inputs
        self._pca = pca
        self._figures = ColumnFigures(layout)
        self.rows = 0

    def add(self, cells: Tensor, outputs: Tensor) -> None:
        """Take in cells `(n_rows, n_cells)` and the network's outputs `(n_rows, n_outputs)`."""
        predictions = {"model": (outputs, 0.0)}
        if self._pca is not None:
            predictions["pca"] = (self._pca.reconstruct(self._inputs(cells)), 0.5)
        self._figures.add(cells, predictions)
        self.rows += len(cells)

    def columns(self) -> list[ColumnFigure]:
        """Return the figures of every varying column."""
        return self._figures.figures()


@torch.no_grad()
def compare(
    network: Autoencoder, inputs: Inputs, layout: Layout, pca: PCA, staged: Staged
) -> tuple[list[Baseline], int, int]:
    """Return the comparison on staged rows, the number of rows, and of active latent units."""
    device = next(network.parameters()).device
    moved = PCA(pca.mean.to(device), pca.components.to(device))
    comparison = Comparison(inputs, layout, moved)
    latent_figures: LatentFigures | None = None
    for block in staged.cells[:COMPARED_ROWS].split(BLOCK):
        cells = block.to(device)
        latent = network.encode(inputs(cells))
        comparison.add(cells, network.decode(latent))
        latent_figures = latent_figures or LatentFigures(latent.shape[1])
        latent_figures.add(latent)
    assert latent_figures is not None, "an empty table is refused before training"
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
    return rows, comparison.rows, latent_figures.size - len(latent_figures.dead())


def dead_hidden_units(network: Autoencoder, inputs: Inputs, staged: Staged) -> dict[str, int]:
    """Count hidden units that answer the same for every one of (at most) 8,192 rows."""
    device = next(network.parameters()).device
    kinds = tuple({type(make()) for make in ACTIVATIONS.values()} - {torch.nn.Identity})
    return dead_units(network, kinds, inputs(staged.cells[:BLOCK].to(device)))
