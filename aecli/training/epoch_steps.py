"""Choose how the steps of a training run: one by one, or with fixed addresses for CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from aecli.features.staging import Staged
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.progress import Progress
from aecli.ranks import Ranks
from aecli.schema.training_options import TrainingOptions
from aecli.training.batches import Batches, fits_on
from aecli.training.cuda_graph import obstacle
from aecli.training.objective import Objective
from aecli.training.optimizers import Optimizer, is_capturable
from aecli.training.rank_steps import RankSteps
from aecli.training.requests import Requests
from aecli.training.static_batches import StaticBatches
from aecli.training.static_steps import StaticSteps
from aecli.training.step import EpochSteps, Rates, eager_steps, training_step
from aecli.training.streamed_batches import StreamedBatches


def has_static_steps(options: TrainingOptions, device: torch.device) -> bool:
    """Return whether the steps of a training have fixed addresses: on a GPU, where that is faster.

    Optimizers whose learning rate is a Python number have none.
    """
    return device.type == "cuda" and is_capturable(options.optimizer.name)


def is_captured(
    options: TrainingOptions, device: torch.device, network: AutoencoderNetwork, progress: Progress
) -> bool:
    """Return whether the steps are repeated as CUDA graphs; why not is reported with `--debug`."""
    if device.type != "cuda" or not options.cuda_graph:
        return False
    reason = obstacle(network)
    if not has_static_steps(options, device):
        reason = f"torch cannot capture the optimizer {options.optimizer.name}"
    if reason is not None:
        progress.debug(f"training without a CUDA graph: {reason}")
    return reason is None


def epoch_steps(
    objective: Objective,
    optimizer: Optimizer,
    train: Staged,
    options: TrainingOptions,
    rates: Rates,
    *,
    device: torch.device,
    precision: str,
    batch_size: int,
    static: bool,
    captured: bool,
    weighs_numbers: bool,
    layers: Iterable[Tensor],
    progress: Progress,
    ranks: Ranks,
    requests: Requests,
) -> EpochSteps:
    """Return the function that trains the steps of an epoch.

    Args:
        objective: the losses of the network, which is trained.
        optimizer: of its parameters.
        train: the training samples.
        options: of the user.
        rates: the learning rate and the KL warm-up of a step.
        device: where the network is.
        precision: that of the network's arithmetic.
        batch_size: number of samples of a batch.
        static: whether the steps have fixed addresses.
        captured: whether such steps are repeated as CUDA graphs.
        weighs_numbers: whether the weight of numbers changes between epochs.
        layers: the parameters whose gradient norms are among the figures of a step.
        progress: receives the reason why a step is not captured.
        ranks: the processes of the training; several run the steps one by one.
        requests: on which several ranks agree in their steps.
    """
    if ranks.size > 1:
        return RankSteps(
            objective, optimizer, train, rates, ranks, requests, device=device,
            precision=precision, size=batch_size, clip=options.clip, seed=options.seed,
            layers=layers,
        ).epoch  # fmt: skip
    step = partial(
        training_step, objective, optimizer, clip=options.clip, precision=precision,
        layers=list(layers),
    )  # fmt: skip
    if not static:
        batches = Batches(train, device)
        return partial(
            eager_steps, step, objective, optimizer, batches, rates, size=batch_size,
            seed=options.seed,
        )  # fmt: skip
    on_device = StaticBatches if fits_on(device, train.cells) else StreamedBatches
    fixed = on_device(train, batch_size, device, options.seed)
    return StaticSteps(
        step, objective, optimizer, fixed, rates, device=device, captured=captured,
        weighs_numbers=weighs_numbers, progress=progress,
    ).epoch  # fmt: skip
