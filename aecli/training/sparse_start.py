"""Start a network with thresholds: their values, and a bounded decoder for L1."""

from __future__ import annotations

import math

import torch

from aecli.features.staging import Staged
from aecli.nn.init import latent_columns, start_with_limited_columns
from aecli.nn.sparsity import SoftThreshold
from aecli.schema.network import Network
from aecli.training.objective import Objective

START_SAMPLES = 1_024
"""Training samples that the thresholds start from."""

MAX_START_VALUES = 1 << 24
"""Maximum size of a layer of these samples."""


@torch.no_grad()
def start_thresholds(objective: Objective, network: Network, train: Staged) -> None:
    """Set the thresholds of a sparse latent from training samples; else do nothing.

    They start at the optimum of the penalty for a decoder with orthonormal columns, like that of
    PCA. With a soft threshold the objective limits the decoder's weights that read the latent.
    """
    module, weights = objective.network, objective.weights
    thresholds = [part for part in module.modules() if isinstance(part, SoftThreshold)]
    if not thresholds:
        return
    if network.threshold == "soft":
        start_with_limited_columns(module)
        objective.limited_columns = latent_columns(module)
    module.eval()
    samples = min(START_SAMPLES, network.samples_within(MAX_START_VALUES))
    cells = next(train.thinned(samples).blocks(samples))
    penalty = weights["l1" if network.threshold == "soft" else "l0"] / network.latent
    cell = weights.get("reconstruction", 0.0) / (cells.shape[1] * train.size)
    weight = penalty / cell if cell else math.inf
    thresholds[0].start(module.encode(objective.inputs(cells)), weight)
