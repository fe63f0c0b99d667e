"""Transform the latent of a trained network to uncorrelated or independent units."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.metrics.ica import independent_rotation
from aecli.metrics.latent import ACTIVE_SHARE, LatentFigures
from aecli.nn.init import transform_latent
from aecli.training.baselines import COMPARED_ROWS, block_samples
from aecli.training.fit import FittedNetwork

SPARSE = {"l0", "l1", "kl"}
"""Losses of individual latent units, which other axes would change."""

PRINCIPAL_ROWS = 1 << 14
"""Maximum number of rows for the principal axes, whose covariance they estimate within 1 %."""

MAX_PRODUCTS = 1 << 28
"""Maximum number of products in one iteration of FastICA, which limits the rows of wide latents."""

NOT_CONVERGED = "--axes independent: FastICA did not converge; some units may depend on each other"


def align_axes(fitted: FittedNetwork, inputs: Inputs) -> str:
    """Transform a linear latent to the axes of the options; return a note, or "".

    A latent whose individual units a loss depends on is not transformed.
    """
    setup, options = fitted.setup, fitted.options
    network, latent = setup.objective.network, setup.network.latent
    if not setup.network.linear_latent or SPARSE & setup.objective.weights.keys():
        return ""
    figures = LatentFigures(latent)
    for block in _latents(fitted, inputs, PRINCIPAL_ROWS):
        figures.add(block)
    matrix, converged = figures.axes(), True
    if options.network.axes == "independent":
        blocks = _latents(fitted, inputs, min(COMPARED_ROWS, MAX_PRODUCTS // latent**2))
        latents = torch.cat([block.double().cpu() for block in blocks])
        matrix, converged = independent_axes(latents, matrix, options.training.seed)
    transform_latent(network, matrix)
    return "" if converged else NOT_CONVERGED


@torch.no_grad()
def _latents(fitted: FittedNetwork, inputs: Inputs, rows: int) -> Iterator[Tensor]:
    """Return blocks of the latents of evenly spaced training samples, of `rows` rows in all."""
    setup, train = fitted.setup, fitted.prepared.train
    network = setup.objective.network
    device = next(network.parameters()).device
    blocks = train.thinned(max(1, rows // train.size)).blocks(block_samples(setup.network, train))
    for block in blocks:
        yield network.encode(inputs(block.to(device)))


def independent_axes(latents: Tensor, principal: Tensor, seed: int) -> tuple[Tensor, bool]:
    """Return the invertible matrix to independent units, and whether FastICA converged.

    A unit is scaled so that its axis, a column of the inverse matrix, has length 1: the variances
    of all units have the same sum as before, and units are sorted by it. Principal axes that hardly
    vary stay as they are.

    Args:
        latents: the latents, `(n_rows, units)` in float64.
        principal: their principal axes as rows, by descending variance.
        seed: seed of FastICA.
    """
    units = (latents - latents.mean(0)) @ principal.T
    deviations = units.square().mean(0).sqrt()
    active = int((deviations.square() > ACTIVE_SHARE * deviations[0].square()).sum())
    if active < 2:
        return principal, True
    spread, rest = deviations.split([active, len(deviations) - active])
    rotation, converged = independent_rotation(units[:, :active] / spread, seed)
    mixing = principal[:active].T * spread @ rotation.T
    largest = mixing.gather(0, mixing.abs().argmax(0, keepdim=True))[0]
    lengths = mixing.norm(dim=0)
    independent = (largest.sign() * lengths)[:, None] * rotation / spread @ principal[:active]
    matrix = torch.cat([independent, principal[active:]])
    order = torch.cat([lengths, rest]).argsort(descending=True, stable=True)
    return matrix[order], converged
