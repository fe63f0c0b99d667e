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
"""Numbers in the widest layer of a batch without gradients: 32 MB."""


class Batches:
    """Batches of staged rows on a device; a table that fits is moved there as a whole."""

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

        The next batch overwrites the cells of a batch.
        """
        rows = self._staged.size * min(size, len(order))
        buffer = self._cells.new_empty(rows, self._cells.shape[1])
        for chosen in torch.from_numpy(order).split(size):
            indices = self._staged.rows(chosen).to(self._cells.device)
            cells = buffer[: len(indices)]
            torch.index_select(self._cells, 0, indices, out=cells)
            codes = None if self._codes is None else self._codes[chosen.to(self._codes.device)]
            yield self._on_device(cells), None if codes is None else self._on_device(codes)

    def in_order(self, widest: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield large batches in order; the widest layer has `widest` numbers per sample."""
        size = max(1, EVALUATION_NUMBERS // max(widest, self._cells.shape[1] * self._staged.size))
        cells = self._staged.blocks(size)
        codes = repeat(None) if self._codes is None else iter(self._codes.split(size))
        for part, labels in zip(cells, codes, strict=False):
            yield self._on_device(part), None if labels is None else self._on_device(labels)

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor if tensor.device == self._device else tensor.to(self._device)


def _fits(cells: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return cells.numel() * 4 < free // 2
