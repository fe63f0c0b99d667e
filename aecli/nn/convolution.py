"""Encode and decode images and windows with convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

_CONVOLUTIONS: tuple[type[nn.Conv1d], type[nn.Conv2d]] = (nn.Conv1d, nn.Conv2d)
_DROPOUTS: tuple[type[nn.Module], type[nn.Module]] = (nn.Dropout1d, nn.Dropout2d)


class ConvEncoder(nn.Module):
    """Encoder of windows or images: convolution → activation → [dropout] each, then Linear.

    `shape` is (length, inputs) of a window, for convolutions over time, or (height, width,
    channels) of an image. Each size in `channels` halves the sides, rounded up. Maps rows of the
    flattened shape, channel last, to `(n_rows, latent)`. With `positions` input i is cell
    `positions[i]` of the shape, and other cells are 0.

    Raises:
        ValueError: `channels` is empty, or `positions` repeat or are outside the shape.
    """

    positions: Tensor | None

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: Sequence[int],
        latent: int,
        activation: Callable[[], nn.Module],
        dropout: float = 0.0,
        positions: Sequence[int] | None = None,
    ) -> None:
        *sides, channels_in = shape
        smallest = _halvings(sides, channels)[-1]
        super().__init__()
        self._shape = shape
        convolution, drop = _CONVOLUTIONS[len(sides) - 1], _DROPOUTS[len(sides) - 1]
        self.layers = nn.Sequential()
        for size_in, size in pairwise([channels_in, *channels]):
            self.layers.append(convolution(size_in, size, kernel_size=3, stride=2, padding=1))
            self.layers.append(activation())
            if dropout > 0:
                self.layers.append(drop(dropout))
        self.last = nn.Linear(channels[-1] * prod(smallest), latent)
        self.register_buffer("positions", _indices(positions, prod(shape)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the latents of windows or images."""
        if self.positions is not None:
            x = x.new_zeros(len(x), prod(self._shape)).index_copy(1, self.positions, x)
        grid = x.reshape(len(x), *self._shape).movedim(-1, 1)
        latent: Tensor = self.last(self.layers(grid).flatten(1))
        return latent


class ConvDecoder(nn.Module):
    """Mirror of `ConvEncoder`, with upsampling; the last convolution has no activation.

    Maps `(n_rows, latent)` to rows of the flattened `shape`, or only of its `positions`.

    Raises:
        ValueError: `channels` is empty, or `positions` repeat or are outside the shape.
    """

    positions: Tensor | None

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: Sequence[int],
        latent: int,
        activation: Callable[[], nn.Module],
        dropout: float = 0.0,
        positions: Sequence[int] | None = None,
    ) -> None:
        *sides, channels_out = shape
        *larger, smallest = _halvings(sides, channels)
        super().__init__()
        convolution, drop = _CONVOLUTIONS[len(sides) - 1], _DROPOUTS[len(sides) - 1]
        start = (channels[-1], *smallest)
        self.first = nn.Linear(latent, prod(start))
        self.layers = nn.Sequential(activation(), nn.Unflatten(1, start))
        for level in range(len(channels) - 1, 0, -1):
            size_in, size = channels[level], channels[level - 1]
            self.layers.append(nn.Upsample(larger[level]))
            self.layers.append(convolution(size_in, size, kernel_size=3, padding=1))
            self.layers.append(activation())
            if dropout > 0:
                self.layers.append(drop(dropout))
        self.layers.append(nn.Upsample(larger[0]))
        self.last = convolution(channels[0], channels_out, kernel_size=3, padding=1)
        self.register_buffer("positions", _indices(positions, prod(shape)), persistent=False)

    @property
    def reads(self) -> list[Tensor]:
        """Return the parameters whose last axis is the latent."""
        return [self.first.weight]

    def forward(self, z: Tensor) -> Tensor:
        """Return the windows or images of latents."""
        grid: Tensor = self.last(self.layers(self.first(z)))
        cells = grid.movedim(1, -1).flatten(1)
        return cells if self.positions is None else cells.index_select(1, self.positions)


def _halvings(sides: Sequence[int], channels: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the sides before the first convolution and after each convolution."""
    if not channels:
        raise ValueError("channels must contain at least one size")
    levels = [tuple(sides)]
    for _ in channels:
        levels.append(tuple((side + 1) // 2 for side in levels[-1]))
    return levels


def _indices(positions: Sequence[int] | None, cells: int) -> Tensor | None:
    """Return positions as a tensor, allocated even for a module on the meta device."""
    if positions is None:
        return None
    if len(set(positions)) < len(positions):
        raise ValueError("positions must be distinct")
    if not all(0 <= position < cells for position in positions):
        raise ValueError(f"positions must be in 0..{cells - 1}")
    return torch.tensor(positions, dtype=torch.long, device="cpu")
