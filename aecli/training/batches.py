"""Cut staged cells into batches on the device, in a given order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aecli.features.staging import Staged

EVALUATION_NUMBERS = 1 << 23
"""Numbers of the widest layer in one batch without gradients: 32 MB, enough for a processor."""


class Batches:
    """Batches of staged rows on a device; a table that fits moves there as a whole."""

    def __init__(self, staged: Staged, device: torch.device) -> None:
        self._device = device
        self._cells, self._codes = staged.cells, staged.codes
        if device.type != "cpu" and _fits(staged.cells, device):
            self._cells = self._cells.to(device)
        if self._codes is not None:
            self._codes = self._codes.to(self._cells.device)
        self._staged = replace(staged, cells=self._cells, codes=self._codes)

    def __len__(self) -> int:
        return len(self._staged)

    def shuffled(
        self, order: npt.NDArray[np.int64], size: int
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the cells of batches of `size` samples in `order`; the last one may be smaller.

        The cells of a batch are overwritten by the next one.
        """
        rows = self._staged.size * min(size, len(order))
        buffer = self._cells.new_empty(rows, self._cells.shape[1])
        for chosen in torch.from_numpy(order).split(size):
            indices = self._staged.rows(chosen).to(self._cells.device)
            cells = buffer[: len(indices)]
            torch.index_select(self._cells, 0, indices, out=cells)
            codes = None if self._codes is None else self._codes[chosen.to(self._codes.device)]
            yield self._moved(cells), None if codes is None else self._moved(codes)

    def in_order(self, widest: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield large batches in the order of the samples, `widest` numbers a sample at most."""
        size = max(1, EVALUATION_NUMBERS // max(widest, self._cells.shape[1] * self._staged.size))
        cells = self._staged.blocks(size)
        codes = repeat(None) if self._codes is None else iter(self._codes.split(size))
        for part, labels in zip(cells, codes, strict=False):
            yield self._moved(part), None if labels is None else self._moved(labels)

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor if tensor.device == self._device else tensor.to(self._device)


def _fits(cells: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return cells.numel() * 4 < free // 2
