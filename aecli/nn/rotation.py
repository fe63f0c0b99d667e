"""Rotate a latent, and with it every layer that writes or reads it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from aecli.nn.autoencoder import Autoencoder


@torch.no_grad()
def rotate_latent(network: Autoencoder, rotation: Tensor) -> None:
    """Make each latent z `rotation @ z`, and leave outputs and logits as they are to rounding.

    `rotation` is orthogonal, `(latent, latent)`. Encoders name what writes the latent in `last`;
    decoders and heads name in `reads` the parameters whose last axis is the latent.

    Raises:
        ValueError: an activation follows the latent, or it is variational: a rotation would not
            pass through.
    """
    if network.code is not None or network.variational:
        raise ValueError("only a latent that is linear can be rotated")
    last = network.encoder.last
    assert isinstance(last, nn.Linear), "every encoder names its last layer"
    writers, readers = [last], _reads(network.decoder)
    if network.path is not None:
        writers.append(network.path.encode)
        readers.append(network.path.decode.weight)
    if network.head is not None:
        readers += _reads(network.head)
    turn = rotation.to(last.weight)
    for layer in writers:
        layer.weight.copy_(turn @ layer.weight)
        layer.bias.copy_(turn @ layer.bias)
    for parameter in readers:
        parameter.copy_(parameter @ turn.T)


def _reads(part: nn.Module) -> list[Tensor]:
    return list(cast("list[Tensor]", part.reads))
