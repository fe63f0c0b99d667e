"""A trimmed loss leaves the rows that are reconstructed worst out."""

from __future__ import annotations

import torch

from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.losses import ReconstructionLoss
from aecli.schema.model_spec import Column
from aecli.training.objective import Objective

COLUMN = Column(name="x", kind="number", type="double", center=[0.0], scale=[1.0], reason="")


def loss_of(cells: torch.Tensor, *, trimmed_loss: bool, training: bool, window: int = 1) -> float:
    """Return the loss of a network that answers 0."""
    encoder, decoder = torch.nn.Linear(window, 1), torch.nn.Linear(1, window)
    torch.nn.init.zeros_(decoder.weight)
    torch.nn.init.zeros_(decoder.bias)
    network = AutoencoderNetwork(
        encoder=encoder, decoder=decoder, head=None, output=None, numbers=1, window=window
    )
    network.train(training)
    loss = ReconstructionLoss(numbers=1, booleans=0, cardinalities=[], column_of=[0], weights=[1.0])
    objective = Objective(
        network, Inputs(lay_out([COLUMN])), loss, {"reconstruction": 1.0}, trimmed_loss=trimmed_loss
    )
    return float(objective(cells, None)[0].detach())


def test_the_worst_tenth_of_a_batch_does_not_count():
    cells = torch.ones(20, 1)
    cells[3], cells[11] = 100.0, -50.0
    assert loss_of(cells, trimmed_loss=True, training=True) == 1.0
    assert loss_of(cells, trimmed_loss=True, training=False) > 100
    assert loss_of(cells, trimmed_loss=False, training=True) > 100


def test_whole_windows_are_left_out():
    cells = torch.ones(40, 1)
    cells[6] = 100.0
    assert loss_of(cells, trimmed_loss=True, training=True, window=4) == 1.0
