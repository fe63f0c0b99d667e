"""Decode texts character by character, by convolutions over their positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FEATURES = 16
"""Inputs per character: few, since each has its own weights at every position."""

CHANNELS = 64
KERNEL_SIZE = 5
LAYERS = 2


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
