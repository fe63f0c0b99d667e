"""Steps of training: losses, gradients, and the update of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from aecli.device import arithmetic
from aecli.features.shuffling import epoch_order
from aecli.nn.sparsity import limit_columns
from aecli.training.batches import Batches
from aecli.training.objective import Objective, step_figures
from aecli.training.optimizers import Optimizer

Step = Callable[[Tensor, Tensor | None], Tensor]
"""Training on a batch, which returns its figures."""

StepFigures = tuple[Tensor, list[int]]
"""StepFigures of steps `(n_steps, …)`, and the numbers of rows of their batches."""

Rates = Callable[[int], tuple[float, float]]
"""Learning rate and KL warm-up of a step, counted from 0 over all epochs."""

EpochSteps = Callable[[int, int, int], Iterator[StepFigures]]
"""Training of an epoch, step by step; the arguments are its number, its first step, and how many of
its steps are done already."""


def training_step(
    objective: Objective,
    optimizer: Optimizer,
    cells: Tensor,
    codes: Tensor | None,
    *,
    clip: float,
    precision: str,
    layers: Iterable[Tensor] = (),
) -> Tensor:
    """Update the weights by a batch, and return its figures (`step_figures`).

    It reads no number from the device, so that a CUDA graph can contain it.

    Args:
        objective: the losses of the network, which is trained.
        optimizer: of the parameters of the network.
        cells: the batch, `(n_rows, n_cells)`.
        codes: its label codes, or None without a label.
        clip: maximum norm of the gradients; 0 does not clip.
        precision: that of the network's arithmetic.
        layers: the parameters whose gradient norms, before they are clipped, are figures too.
    """
    optimizer.zero_grad()
    with arithmetic(precision, cells.device):
        terms = objective(cells, codes)
    terms.total.backward()
    figures = step_figures(objective, terms, codes, layers)
    if clip:
        torch.nn.utils.clip_grad_norm_(optimizer.params, clip)
    optimizer.step()
    limit_columns(objective.limited_columns)
    return figures


def eager_steps(
    step: Step,
    objective: Objective,
    optimizer: Optimizer,
    batches: Batches,
    rates: Rates,
    epoch: int,
    first_step: int,
    done: int,
    *,
    size: int,
    seed: int,
) -> Iterator[StepFigures]:
    """Train on the batches of an epoch after `done` steps, one by one; yield their figures."""
    order = epoch_order(len(batches), batches.parts, seed, epoch)
    left = batches.shuffled(order, size, done)
    for number, (cells, codes) in enumerate(left, first_step + done):
        optimizer.lr, objective.kl_warm_up = rates(number)
        yield step(cells, codes)[None], [len(cells)]
