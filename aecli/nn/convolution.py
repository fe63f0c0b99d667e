"""Encode and decode images and windows with convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import NotRequired, TypedDict, Unpack

import torch
from torch import Tensor, nn

_CONVOLUTIONS: tuple[type[nn.Conv1d], type[nn.Conv2d]] = (nn.Conv1d, nn.Conv2d)
_DROPOUTS: tuple[type[nn.Module], type[nn.Module]] = (nn.Dropout1d, nn.Dropout2d)


class Levels(TypedDict):
    """Arguments of all encoders and decoders here; dropout is 0 by default."""

    channels: Sequence[int]
    latent: int
    activation: Callable[[], nn.Module]
    dropout: NotRequired[float]


class _GridEncoder(nn.Module):
    """Encoder that halves a grid of one or two sides with each size in `channels`, channel last."""

    def __init__(
        self,
        *,
        sides: tuple[int, ...],
        channels_in: int,
        channels: Sequence[int],
        latent: int,
        activation: Callable[[], nn.Module],
        dropout: float = 0.0,
    ) -> None:
        smallest = _halvings(sides, channels)[-1]
        super().__init__()
        self._shape = (*sides, channels_in)
        convolution, drop = _CONVOLUTIONS[len(sides) - 1], _DROPOUTS[len(sides) - 1]
        self.layers = nn.Sequential()
        for size_in, size in pairwise([channels_in, *channels]):
            self.layers.append(convolution(size_in, size, kernel_size=3, stride=2, padding=1))
            self.layers.append(activation())
            if dropout > 0:
                self.layers.append(drop(dropout))
        self.last = nn.Linear(channels[-1] * prod(smallest), latent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the latents of grids."""
        grid = x.reshape(len(x), *self._shape).movedim(-1, 1)
        latent: Tensor = self.last(self.layers(grid).flatten(1))
        return latent


class _GridDecoder(nn.Module):
    """Decoder that undoes the halvings of a `_GridEncoder`, level by level."""

    def __init__(
        self,
        *,
        sides: tuple[int, ...],
        channels_in: int,
        channels: Sequence[int],
        latent: int,
        activation: Callable[[], nn.Module],
        dropout: float = 0.0,
    ) -> None:
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
        self.layers.append(nn.Upsample(sides))
        self.last = convolution(channels[0], channels_in, kernel_size=3, padding=1)

    @property
    def reads(self) -> list[Tensor]:
        """Return the parameters whose last axis is the latent."""
        return [self.first.weight]

    def forward(self, z: Tensor) -> Tensor:
        """Return the grids of latents."""
        grid: Tensor = self.last(self.layers(self.first(z)))
        return grid.movedim(1, -1).flatten(1)


class Conv1dEncoder(_GridEncoder):
    """Convolutions over time that encode windows: Conv1d → activation → [dropout], then Linear.

    Each size in `channels` halves the length, rounded up. Maps `(n_rows, length * inputs)`, steps
    in order, to `(n_rows, latent)`.

    Raises:
        ValueError: `channels` is empty.
    """

    def __init__(self, *, length: int, inputs: int, **levels: Unpack[Levels]) -> None:
        super().__init__(sides=(length,), channels_in=inputs, **levels)


class Conv1dDecoder(_GridDecoder):
    """Mirror of `Conv1dEncoder`, which decodes windows; the last convolution is bare.

    Maps `(n_rows, latent)` to `(n_rows, length * outputs)`, steps in order.

    Raises:
        ValueError: `channels` is empty.
    """

    def __init__(self, *, length: int, outputs: int, **levels: Unpack[Levels]) -> None:
        super().__init__(sides=(length,), channels_in=outputs, **levels)


class Conv2dEncoder(_GridEncoder):
    """Convolutions that encode images: Conv2d → activation → [dropout] each, then Linear.

    Input i is cell `positions[i]` of the flattened height × width × channels_in grid; cells that no
    input fills are 0. Each size in `channels` halves the sides, rounded up. Maps
    `(n_rows, len(positions))` to `(n_rows, latent)`.

    Raises:
        ValueError: `channels` is empty, or `positions` repeat or leave the grid.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        height: int,
        width: int,
        channels_in: int,
        positions: Sequence[int],
        **levels: Unpack[Levels],
    ) -> None:
        super().__init__(sides=(height, width), channels_in=channels_in, **levels)
        self._cells = height * width * channels_in
        self.register_buffer("positions", _places(positions, self._cells), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the latents of images, each a row of its varying cells."""
        return super().forward(x.new_zeros(len(x), self._cells).index_copy(1, self.positions, x))


class Conv2dDecoder(_GridDecoder):
    """Mirror of `Conv2dEncoder`, which decodes images; the last convolution is bare.

    Maps `(n_rows, latent)` to `(n_rows, len(positions))`.

    Raises:
        ValueError: `channels` is empty, or `positions` repeat or leave the grid.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        height: int,
        width: int,
        channels_in: int,
        positions: Sequence[int],
        **levels: Unpack[Levels],
    ) -> None:
        super().__init__(sides=(height, width), channels_in=channels_in, **levels)
        places = _places(positions, height * width * channels_in)
        self.register_buffer("positions", places, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """Return the varying cells of the images of latents."""
        return super().forward(z).index_select(1, self.positions)


def _halvings(sides: tuple[int, ...], channels: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the sides before the first convolution and after each."""
    if not channels:
        raise ValueError("channels must name at least one size")
    levels = [sides]
    for _ in channels:
        levels.append(tuple((side + 1) // 2 for side in levels[-1]))
    return levels


def _places(positions: Sequence[int], cells: int) -> Tensor:
    """Return positions as a tensor, a real one even where a module is built on `meta`."""
    if len(set(positions)) < len(positions):
        raise ValueError("positions must differ from each other")
    if not all(0 <= position < cells for position in positions):
        raise ValueError(f"positions must lie in 0..{cells - 1}")
    return torch.tensor(positions, dtype=torch.long, device="cpu")
