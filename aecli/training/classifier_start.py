"""Initialise the classifier of a network on its training rows."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.init import start_as_discriminant, start_at_shares
from aecli.nn.layers import MLP
from aecli.schema.model_spec import Label
from aecli.schema.options import TrainOptions
from aecli.training.baselines import MAX_BLOCK_SAMPLES
from aecli.training.data import PreparedTable

DISCRIMINANT_ROWS = 8_192
"""Maximum number of labelled rows from which the start of a classifier is fitted."""

SEARCHED_SAMPLES = 1 << 20
"""Samples among which labelled ones are searched at once."""


def class_shares(label: Label, options: TrainOptions) -> Tensor:
    """Return the share of each class in the classification loss `(n_classes,)`."""
    counts = torch.tensor(label.counts, dtype=torch.float32).clamp(min=1)
    counts = torch.ones_like(counts) if options.losses.balance else counts
    return counts / counts.sum()


def start_classifier(
    module: AutoencoderNetwork, inputs: Inputs, prepared: PreparedTable, options: TrainOptions
) -> None:
    """Initialise a classifier at the shares of the classes, as a discriminant of the first latents.

    Nothing is changed without a classifier, or with another `--init` than auto and pca.
    """
    label, head, train = prepared.plan.label, module.head, prepared.train
    if label is None or head is None or options.network.init not in ("auto", "pca"):
        return
    assert isinstance(head, MLP), "every head has a last layer"
    assert train.codes is not None, "a classifier has a label"
    start_at_shares(head, class_shares(label, options))
    chosen = labelled_samples(train.codes)
    if not len(chosen):
        return
    module.eval()
    with torch.no_grad():
        blocks = chosen.split(max(1, MAX_BLOCK_SAMPLES // train.size))
        latents = torch.cat([module.encode(inputs(train.cells[train.rows(b)])) for b in blocks])
    start_as_discriminant(head, latents, train.codes[chosen])
    module.train()


def labelled_samples(codes: Tensor) -> Tensor:
    """Return at most `DISCRIMINANT_ROWS` labelled samples, evenly spaced among all of them."""
    blocks = codes.split(SEARCHED_SAMPLES)
    labelled = sum(int((block >= 0).sum()) for block in blocks)
    step = max(1, -(-labelled // DISCRIMINANT_ROWS))
    chosen, before = [], 0
    for number, block in enumerate(blocks):
        found = torch.nonzero(block >= 0).flatten()
        chosen.append(number * SEARCHED_SAMPLES + found[-before % step :: step])
        before += len(found)
    return torch.cat(chosen)
