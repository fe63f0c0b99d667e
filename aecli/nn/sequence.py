"""Encode and decode windows with LSTMs and transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LSTMEncoder(nn.Module):
    """LSTM over the steps of a window; the last layer's final hidden state is mapped to the latent.

    Dropout is between LSTM layers, so a single layer has none. Maps `(n_rows, length * inputs)`,
    steps in order, to `(n_rows, latent)`.
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

    The initial hidden states of all layers are Linear → tanh of the latent; the input of each step
    is the latent plus a learned position. Dropout is between LSTM layers, so a single layer has
    none. Maps `(n_rows, latent)` to `(n_rows, length * outputs)`, steps in order.
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
        return [self.start.weight, self.lstm.all_weights[0][0]]

    @property
    def added_to_latent(self) -> list[Tensor]:
        """Return the parameters that are added to the latent."""
        return [self.positions]

    def forward(self, z: Tensor) -> Tensor:
        """Return the windows of latents."""
        start = self.start(z).tanh().reshape(len(z), *self._states)
        state = start.transpose(0, 1).contiguous()  # required by cuDNN
        steps, _ = self.lstm(z[:, None] + self.positions, (state, torch.zeros_like(state)))
        rows: Tensor = self.last(steps)
        return rows.flatten(1)


def _lstm(inputs: int, hidden: int, layers: int, dropout: float) -> nn.LSTM:
    between = dropout if layers > 1 else 0.0
    return nn.LSTM(inputs, hidden, num_layers=layers, batch_first=True, dropout=between)


class TransformerEncoder(nn.Module):
    """Attention among the steps of a window, which are then mapped to one latent.

    Linear → plus positions → `depth` pre-norm layers → LayerNorm → Linear over all steps at once.
    Maps `(n_rows, length * inputs)`, steps in order, to `(n_rows, latent)`.

    Raises:
        ValueError: `hidden` is not a multiple of `heads`.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        length: int,
        inputs: int,
        hidden: int,
        heads: int,
        feedforward: int,
        depth: int,
        latent: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._shape = (length, inputs)
        self.first = nn.Linear(inputs, hidden)
        self.register_buffer("positions", sinusoids(length, hidden), persistent=False)
        self.stack = _stack(hidden, heads, feedforward, depth, dropout)
        self.last = nn.Linear(length * hidden, latent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the latents of windows."""
        steps = self.first(x.reshape(len(x), *self._shape)) + self.positions
        latent: Tensor = self.last(self.stack(steps).flatten(1))
        return latent


class TransformerDecoder(nn.Module):
    """Projection of a latent to the steps of a window, followed by attention among them.

    Linear to all steps at once → plus positions → `depth` pre-norm layers → LayerNorm → Linear.
    Maps `(n_rows, latent)` to `(n_rows, length * outputs)`, steps in order.

    Raises:
        ValueError: `hidden` is not a multiple of `heads`.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        length: int,
        outputs: int,
        hidden: int,
        heads: int,
        feedforward: int,
        depth: int,
        latent: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._shape = (length, hidden)
        self.first = nn.Linear(latent, length * hidden)
        self.register_buffer("positions", sinusoids(length, hidden), persistent=False)
        self.stack = _stack(hidden, heads, feedforward, depth, dropout)
        self.last = nn.Linear(hidden, outputs)

    @property
    def reads(self) -> list[Tensor]:
        """Return the parameters whose last axis is the latent."""
        return [self.first.weight]

    def forward(self, z: Tensor) -> Tensor:
        """Return the windows of latents."""
        steps = self.first(z).reshape(len(z), *self._shape) + self.positions
        rows: Tensor = self.last(self.stack(steps))
        return rows.flatten(1)


def sinusoids(length: int, width: int) -> Tensor:
    """Return positions `(length, width)`: sines in even columns, cosines in odd (Vaswani, 2017).

    The tensor is allocated even for a module on the meta device.
    """
    step = torch.arange(length, dtype=torch.float64, device="cpu")[:, None]
    column = torch.arange(width, device="cpu")
    angle = step / 10_000 ** ((column - column % 2).double() / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def _stack(
    hidden: int, heads: int, feedforward: int, depth: int, dropout: float
) -> nn.TransformerEncoder:
    if hidden % heads:
        raise ValueError(f"hidden={hidden} must be a multiple of heads={heads}")

    def layer() -> nn.TransformerEncoderLayer:
        return nn.TransformerEncoderLayer(
            hidden,
            heads,
            feedforward,
            dropout,
            activation="gelu",
            norm_first=True,
            batch_first=True,
        )

    norm = nn.LayerNorm(hidden)
    stack = nn.TransformerEncoder(layer(), depth, norm=norm, enable_nested_tensor=False)
    # torch copies one layer with its weights; each layer needs weights of its own.
    stack.layers = nn.ModuleList(layer() for _ in range(depth))
    return stack
