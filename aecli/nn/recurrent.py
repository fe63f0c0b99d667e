"""Encode and decode windows with LSTMs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LSTMEncoder(nn.Module):
    """LSTM over the steps of a window; the last layer's final hidden state gives the latent.

    Dropout acts between LSTM layers, so one layer has none. Maps `(n_rows, length * inputs)`, steps
    in order, to `(n_rows, latent)`.
    """

    def __init__(
        self,
        *,
        length: int,
        inputs: int,
        hidden: int,
        layers: int,
        latent: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._shape = (length, inputs)
        self.lstm = _lstm(inputs, hidden, layers, dropout)
        self.last = nn.Linear(hidden, latent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the latents of windows."""
        _, (final, _) = self.lstm(x.reshape(len(x), *self._shape))
        latent: Tensor = self.last(final[-1])
        return latent


class LSTMDecoder(nn.Module):
    """LSTM that unrolls a latent into a window, without feedback (Srivastava et al., 2015).

    The latent gives the initial hidden states of all layers, through Linear → tanh, and the input
    of each step, where a learned position is added to it. Dropout acts between LSTM layers, so one
    layer has none. Maps `(n_rows, latent)` to `(n_rows, length * outputs)`, steps in order.
    """

    def __init__(
        self,
        *,
        length: int,
        outputs: int,
        hidden: int,
        layers: int,
        latent: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._states = (layers, hidden)
        self.start = nn.Linear(latent, layers * hidden)
        self.positions = nn.Parameter(torch.randn(length, latent))
        self.lstm = _lstm(latent, hidden, layers, dropout)
        self.last = nn.Linear(hidden, outputs)

    @property
    def reads(self) -> list[Tensor]:
        """Return the parameters whose last axis is the latent."""
        return [self.start.weight, self.lstm.all_weights[0][0], self.positions]

    def forward(self, z: Tensor) -> Tensor:
        """Return the windows of latents."""
        start = self.start(z).tanh().reshape(len(z), *self._states)
        state = start.transpose(0, 1).contiguous()  # cuDNN takes no other
        steps, _ = self.lstm(z[:, None] + self.positions, (state, torch.zeros_like(state)))
        rows: Tensor = self.last(steps)
        return rows.flatten(1)


def _lstm(inputs: int, hidden: int, layers: int, dropout: float) -> nn.LSTM:
    between = dropout if layers > 1 else 0.0
    return nn.LSTM(inputs, hidden, num_layers=layers, batch_first=True, dropout=between)
