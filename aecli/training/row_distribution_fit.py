"""Fit the distribution of rows that `sample` draws from, after the training of the network."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from aecli.features.cell_codes import fit_cell_codes
from aecli.features.layout import Layout
from aecli.features.staging import Staged
from aecli.inference.row_distribution import RowDistribution, row_distribution
from aecli.nn.autoregressive import Autoregressive
from aecli.schema.network import Network
from aecli.training.baselines import block_samples
from aecli.training.objective import Objective
from aecli.training.optimizers import make_optimizer

MAX_VALUES = 128
"""Maximum number of latents and cells of a row that has such a distribution; each is a step."""

MAX_SLOTS = 1 << 11
"""Maximum number of values of its categories, which take memory for each row of a batch."""

MAX_ROWS = 1 << 16
"""Maximum number of rows that it is fitted on, evenly spaced."""

HIDDEN = 128
"""Hidden units of the autoregressive network."""

MAX_STEPS = 250
"""Maximum number of steps of the optimizer."""

MAX_EPOCHS = 100
"""Maximum number of times that a row is seen."""

BATCH = 512
MIN_BATCHES = 4
"""Minimum number of batches of an epoch, as far as the rows suffice."""

PEAK_RATE = 2e-2
WARM_UP = 20
"""Steps in which the learning rate rises; it falls linearly to 0 after them."""

WEIGHT_DECAY = 1e-3

CHECKS = 8
"""Number of comparisons with validation rows; the best weights are kept."""

MAX_VALID_ROWS = 1 << 12
"""Maximum number of validation rows of a comparison."""

MATCHED_ROWS = 1 << 13
"""Number of drawn rows whose codes are made as frequent as those of the training rows."""


def has_row_distribution(layout: Layout, spec: Network, objective: Objective) -> bool:
    """Return whether a variational model has a distribution of rows."""
    few = layout.cells + spec.latent <= MAX_VALUES and sum(layout.cardinalities) <= MAX_SLOTS
    return few and spec.window == 1 and "reconstruction" in objective.weights


def fit_row_distribution(
    objective: Objective, layout: Layout, train: Staged, valid: Staged, spec: Network, seed: int
) -> RowDistribution:
    """Fit the distribution of rows by maximum likelihood, on their classes, latents and cells.

    The latents are sampled, so that the cells given the latents are the autoregressive decoder of a
    variational autoencoder (Chen et al. 2017, Variational lossy autoencoder, §2), and the latents
    have a learned prior.
    """
    chosen, valid = train.thinned(MAX_ROWS), valid.thinned(MAX_VALID_ROWS)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        latents, held_out = (_latents(objective, part, spec) for part in (chosen, valid))
        codes = fit_cell_codes(layout, latents, chosen.cells.cpu())
        fitted = row_distribution(codes, n_classes=spec.classes, hidden=HIDDEN)
        rows = _with_classes(codes.encode(latents, chosen.cells.cpu()), chosen, spec)
        others = _with_classes(codes.encode(held_out, valid.cells.cpu()), valid, spec)
        frequencies = _frequencies(fitted.network, rows)
        fitted.network.bias.data = torch.cat(frequencies).log()
        _train(fitted.network, rows, others)
        labelled = rows[rows[:, 0] >= 0, 0]
        classes = labelled[torch.randint(len(labelled), (MATCHED_ROWS,))] if spec.classes else None
        fitted.network.sample(
            MATCHED_ROWS, torch.default_generator, first=classes, frequencies=frequencies
        )
    return fitted


@torch.no_grad()
def _latents(objective: Objective, staged: Staged, spec: Network) -> Tensor:
    """Return a sampled latent of each row."""
    network, device = objective.network, next(objective.network.parameters()).device
    latents = [torch.empty(0, spec.latent)]
    for block in staged.blocks(block_samples(spec, staged)):
        code = network.distribution(objective.inputs(block.to(device)))
        latents.append(code.sample().cpu())
    return torch.cat(latents)


def _with_classes(codes: Tensor, staged: Staged, spec: Network) -> Tensor:
    """Return the codes of rows with that of their class in front, where there is a classifier."""
    if not spec.classes:
        return codes
    assert staged.codes is not None, "a classifier has a label"
    return torch.cat([staged.codes.long().unsqueeze(1), codes], dim=1)


def _frequencies(network: Autoregressive, codes: Tensor) -> list[Tensor]:
    """Return the frequencies of the codes of each value, none of which is 0."""
    counts = [
        torch.bincount(of_value[of_value >= 0], minlength=size) + 0.1
        for of_value, size in zip(codes.unbind(1), network.sizes, strict=True)
    ]
    return [count / count.sum() for count in counts]


def _train(network: Autoregressive, rows: Tensor, held_out: Tensor) -> None:
    """Minimise the cross-entropy of rows; keep the weights that are best on held-out rows."""
    batch = max(1, min(BATCH, len(rows) // MIN_BATCHES))
    steps = min(MAX_STEPS, MAX_EPOCHS * -(-len(rows) // batch))
    optimizer = make_optimizer(
        "AdamW", network.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY
    )
    best, kept = math.inf, network.state_dict()
    for step, chosen in enumerate(_batches(len(rows), batch, steps)):
        optimizer.lr = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
        optimizer.zero_grad()
        network.losses(rows[chosen]).sum(1).mean().backward()
        optimizer.step()
        if not (step + 1) % max(1, steps // CHECKS):
            loss = _loss(network, held_out) if len(held_out) else -step
            if loss < best:
                best = loss
                kept = {name: part.clone() for name, part in network.state_dict().items()}
    network.load_state_dict(kept)


def _batches(count: int, batch: int, steps: int) -> Iterator[Tensor]:
    """Yield the rows of each step, in a new order for each epoch."""
    done = 0
    while True:
        for chosen in torch.randperm(count).split(batch):
            if done == steps:
                return
            yield chosen
            done += 1


@torch.no_grad()
def _loss(network: Autoregressive, codes: Tensor) -> float:
    return float(network.losses(codes).sum(1).mean())
