"""Start the linear path of a network: as PCA, and for texts as codes of their characters."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.features.layout import Layout, code_count
from aecli.features.staging import Staged
from aecli.metrics.pca import PCA, sample_pca
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.characters import start_at_codes
from aecli.nn.init import start_as_pca
from aecli.schema.network import Network
from aecli.training.baselines import fit_baseline

COMPARED_SAMPLES = 4_096
"""Training samples on which starts are compared."""

COMPARED_INPUTS = 1 << 24
"""Maximum number of inputs of these samples: 64 MB."""

MIN_GAIN = 1e-6
"""Share of a column's loss below which a position is constant."""

SHARES_OF_CODES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the latent units that may be codes of characters."""

TOLERATED_LOSS = 0.01
"""Explained shares of variance, summed over other columns, that codes may cost."""


class Position(NamedTuple):
    """Position of a text column: its one-hot inputs, and the shares of its characters.

    `gain` is the share of the position in the loss of its column with constant predictions.
    """

    inputs: slice
    shares: Tensor
    gain: float


def start_linear_path(
    module: AutoencoderNetwork, network: Network, pca: PCA, train: Staged, layout: Layout
) -> None:
    """Initialise the linear path as PCA, or with latent units that are codes of characters.

    PCA of one-hot characters needs many units for one character. With codes, one unit is the
    character at one position of a text, for the positions that vary most, and the others are PCA of
    all other inputs. Windows, whose rows share the latent, and sparse latents start as PCA, and so
    do networks with a classifier: a code does not separate classes linearly.
    """
    path = module.path
    assert path is not None, "the network has a linear path"
    coded: list[Position] = []
    fits = network.window == 1 and network.linear_latent and not network.classes
    if layout.characters and fits and len(train):
        coded, pca = _with_codes(pca, train, layout, network.latent)
    start_as_pca(module, pca.mean, pca.components, inputs=network.inputs, outputs=network.outputs)
    for unit, position in enumerate(coded, start=network.latent - len(coded)):
        start_at_codes(path, unit, position.inputs, position.shares)


@torch.no_grad()
def _with_codes(pca: PCA, train: Staged, layout: Layout, latent: int) -> tuple[list[Position], PCA]:
    """Return the positions that are coded, and PCA of all other inputs with the other units.

    Their number is that which explains the largest share of the trivial loss, with equal weights of
    the columns, of those with which the columns without characters lose nothing.
    """
    varying = [each for each in text_positions(layout, pca.mean) if each.gain > MIN_GAIN]
    ranked = sorted(varying, key=lambda position: -position.gain)[:latent]
    samples = max(1, min(COMPARED_SAMPLES, COMPARED_INPUTS // layout.inputs))
    rows = Inputs(layout, copies=False)(next(train.thinned(samples).blocks(samples)))
    variances = _by_column((rows - pca.mean).square().mean(0), layout).clamp(min=1e-12)
    others, texts = _explained(pca, rows, layout, variances)
    best, most, least = 0, others + texts, others - TOLERATED_LOSS
    for count in sorted({min(round(share * latent), len(ranked)) for share in SHARES_OF_CODES}):
        for position in ranked[:count]:
            rows[:, position.inputs] = 0.0
        others, texts = _explained(sample_pca(rows, latent - count), rows, layout, variances)
        total = others + texts + sum(position.gain for position in ranked[:count])
        if total > most and others >= least:
            best, most = count, total
    if best == latent:
        return ranked, pca.first(0)
    zeroed = [position.inputs for position in ranked[:best]]
    rest = fit_baseline(train, layout, latent - best, zeroed=zeroed) if best else pca
    return ranked[:best], replace(rest, mean=pca.mean)


def _explained(pca: PCA, rows: Tensor, layout: Layout, variances: Tensor) -> tuple[float, float]:
    """Return the explained shares of the columns' variances, summed over others and over texts."""
    scores = ((rows - pca.mean) @ pca.components.T).square().mean(0)
    shares = _by_column(scores @ pca.components.square(), layout) / variances
    texts = shares[-len(layout.characters) :].sum()
    return float(shares.sum() - texts), float(texts)


def _by_column(values: Tensor, layout: Layout) -> Tensor:
    """Return the sums over the outputs of each column of values by input `(n_inputs,)`."""
    outputs = values[: layout.outputs].split(list(layout.output_widths))
    return torch.stack([part.sum() for part in outputs])


def text_positions(layout: Layout, mean: Tensor) -> list[Position]:
    """Return all positions of columns of characters, in the order of their inputs.

    `mean` `(n_inputs,)` is that of the training inputs: the shares of one-hot characters.
    """
    positions: list[Position] = []
    start = layout.outputs - sum(column.length * code_count(column) for column in layout.characters)
    for column in layout.characters:
        codes = code_count(column)
        grid = mean[start : start + column.length * codes].double().view(column.length, codes)
        present = grid.sum(1, keepdim=True)
        shares = grid / present.clamp(min=1e-12)
        losses = present[:, 0] * torch.special.entr(shares).sum(1)
        gains = losses / losses.sum().clamp(min=1e-12)
        for gain, each in zip(gains.tolist(), shares, strict=True):
            positions.append(Position(slice(start, start + codes), each, gain))
            start += codes
    return positions
