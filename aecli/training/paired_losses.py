"""Compare two classifiers by the cross-entropies of the same validation rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from aecli.features.inputs import Inputs
from aecli.features.staging import Staged
from aecli.metrics.intervals import RowGroups, is_clear, paired_interval
from aecli.nn.losses import best_temperature
from aecli.training.baselines import block_samples
from aecli.training.build import TrainingSetup


@torch.no_grad()
def held_out_logits(setup: TrainingSetup, inputs: Inputs, valid: Staged) -> Tensor:
    """Return the classifier's logits of validation samples `(n_samples, n_classes)`."""
    network = setup.objective.network.eval()
    device = next(network.parameters()).device
    blocks = valid.blocks(block_samples(setup.network, valid))
    logits = [network.classify(network.encode(inputs(block.to(device)))) for block in blocks]
    return torch.cat(logits).float()


def cross_entropies(setup: TrainingSetup, valid: Staged) -> Tensor:
    """Return the weighted loss of each labelled sample at the best temperature `(n_labelled,)`."""
    assert valid.codes is not None, "classifiers are compared by labelled samples"
    logits = held_out_logits(setup, setup.objective.inputs, valid)
    codes, weights = valid.codes.to(logits.device), setup.objective.class_weights
    labelled = codes >= 0
    calibrated = logits[labelled] / best_temperature(logits, codes, weights)
    return functional.cross_entropy(calibrated, codes[labelled], weights, reduction="none")


def is_clearly_lower(losses: Tensor, others: Tensor) -> bool:
    """Return whether the mean of losses `(n_rows,)` is lower, and the 95 % interval excludes 0.

    Losses and others are those of the same rows. A few hundred validation rows decide by chance
    otherwise.
    """
    groups = RowGroups(3)
    groups.add(torch.stack([losses, others, torch.ones_like(losses)], dim=1))
    sums = groups.sums()
    difference = float((others - losses).mean())
    interval = paired_interval(difference, sums[:, [0, 2]], sums[:, [1, 2]])
    return interval is not None and difference > 0 and is_clear(interval)
