"""Decode texts character by character, and start latent units as codes of characters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aecli.nn.autoencoder import LinearPath

FEATURES = 16
"""Inputs per character: few, since each has its own weights at every position."""

CHANNELS = 64
KERNEL_SIZE = 5
LAYERS = 2

CODE_DEVIATION = 2.0
"""Standard deviation of a latent unit that starts as the code of a character."""

CODE_NOISE = 0.25
"""Standard deviation that the decoder expects of a code, in distances of two codes."""

MIN_SHARE_AT_POSITION = 1e-3
"""Share of a character at a position, for the decoder: a rare one is decoded too."""


class CharacterConvolutions(nn.Module):
    """Convolutions over the positions of a text, residual ones, and one linear layer per character.

    All positions share the weights, so that what is learned of a word at one position applies at
    any other. Maps features `(n_rows, length * FEATURES)` to logits `(n_rows, length * codes)`.
    """

    def __init__(self, *, length: int, codes: int) -> None:
        super().__init__()
        self._length = length
        self.first, *layers = (
            nn.Conv1d(inputs, CHANNELS, KERNEL_SIZE, padding=KERNEL_SIZE // 2)
            for inputs in (FEATURES, *[CHANNELS] * LAYERS)
        )
        self.layers = nn.ModuleList(layers)
        self.last = nn.Linear(CHANNELS, codes)
        # Without biases, features of 0 have logits of 0: the start as PCA is not changed.
        for layer in (self.first, *self.layers, self.last):
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of the characters."""
        grid = self.first(features.view(len(features), FEATURES, self._length))
        for layer in self.layers:
            grid = grid + layer(grid).relu()
        logits: Tensor = self.last(grid.transpose(1, 2))
        return logits.flatten(1)


class CharacterDecoder(nn.Module):
    """Last part of a decoder with columns of texts: convolutions for each of these columns.

    `texts` are the length and the number of codes of each column. Maps rows of `plain` outputs,
    which are not changed, and of the features of each text, to rows of all outputs.
    """

    def __init__(self, *, plain: int, texts: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._widths = [plain, *(length * FEATURES for length, _ in texts)]
        self.columns = nn.ModuleList(
            CharacterConvolutions(length=length, codes=codes) for length, codes in texts
        )

    @property
    def inputs(self) -> int:
        """Return the width of a row before this part."""
        return sum(self._widths)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the outputs `(n_rows, n_outputs)` of rows `(n_rows, inputs)`."""
        plain, *features = rows.split_with_sizes(self._widths, dim=1)
        logits = [
            column(part.contiguous()) for column, part in zip(self.columns, features, strict=True)
        ]
        return torch.cat([plain, *logits], dim=1)


@torch.no_grad()
def start_at_codes(path: LinearPath, unit: int, inputs: slice, shares: Tensor) -> None:
    """Let a latent unit be the code of the character at one position, and decode it.

    The codes are 0, 1, -1, 2, … times a distance, by descending frequency, so that frequent
    characters are near the mean. The logits are those of a linear discriminant of normal classes
    with equal variances (Hastie, Tibshirani and Friedman 2009, The elements of statistical
    learning, §4.3): linear in the latent, and right for every character, also of texts that
    training did not have. No text at the position is the mean, 0.

    Args:
        path: linear path of the network, whose other units are not changed.
        unit: the latent unit.
        inputs: one-hot inputs, and outputs, of the position.
        shares: shares of the characters at the position `(n_codes,)`, which add up to 1.
    """
    ranks = torch.empty(len(shares), dtype=torch.float64)
    order = torch.arange(len(shares), dtype=torch.float64)
    ranks[shares.argsort(descending=True, stable=True)] = (order / 2).ceil() * (2 * (order % 2) - 1)
    weights = shares.double()
    ranks -= weights @ ranks
    distance = CODE_DEVIATION / (weights @ ranks.square()).sqrt()
    codes, variance = distance * ranks, (CODE_NOISE * distance).square()
    path.encode.weight[unit] = 0.0
    path.encode.weight[unit, inputs] = codes.to(path.encode.weight)
    path.encode.bias[unit] = 0.0
    path.decode.weight[:, unit] = 0.0
    path.decode.weight[inputs, unit] = (codes / variance).to(path.decode.weight)
    likely = weights.clamp(min=MIN_SHARE_AT_POSITION).log()
    path.decode.bias[inputs] = (likely - codes.square() / (2 * variance)).to(path.decode.bias)
