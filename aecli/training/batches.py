"""Cut staged cells into batches on the device, in a given order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat

import numpy as np
import torch
from torch import Tensor

from aecli.array_types import Indices
from aecli.features.staging import Staged

EVALUATION_NUMBERS = 1 << 23
"""Numbers in the widest layer of a batch without gradients: 32 MB."""

GPU_EVALUATION_NUMBERS = 1 << 27
"""The same on a GPU with 32 GB or more, which is slow if it is given little at once."""

READ_NUMBERS = 1 << 24
"""Numbers of windows in a file that are read between two releases of its pages."""


class Batches:
    """Batches of staged rows on a device; a table that fits is moved there as a whole."""

    def __init__(self, staged: Staged, device: torch.device) -> None:
        self._device = device
        fits = device.type != "cpu" and fits_on(device, staged.cells)
        self._staged = staged.moved_to(device) if fits else staged
        self._cells, self._codes = self._staged.cells, self._staged.codes

    def __len__(self) -> int:
        return len(self._staged)

    @property
    def parts(self) -> int:
        """Return the number of parts that are shuffled one by one."""
        return self._staged.parts

    def shuffled(
        self, order: Iterable[Indices], size: int, done: int = 0
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the cells of batches of `size` samples in `order`; the last one may be smaller.

        The first `done` batches are left out. The next batch overwrites the cells of a batch.
        """
        size = min(size, len(self))
        yield from self.gathered(islice(self._chosen(order, size), done, None), size)

    def gathered(
        self, samples: Iterable[Tensor], size: int
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the cells of batches of samples, at most `size` of them.

        The next batch overwrites the cells of a batch.
        """
        buffer = self._cells.new_empty(self._staged.size * size, self._cells.shape[1])
        for chosen in samples:
            indices = self._staged.rows(chosen).to(self._cells.device)
            cells = buffer[: len(indices)]
            torch.index_select(self._cells, 0, indices, out=cells)
            codes = None if self._codes is None else self._codes[chosen.to(self._codes.device)]
            yield self._on_device(cells), None if codes is None else self._on_device(codes)

    def _chosen(self, order: Iterable[Indices], size: int) -> Iterator[Tensor]:
        """Yield the samples of each batch; a batch may have samples of several parts."""
        left = np.empty(0, dtype=np.int64)
        for part in order:
            first = (size - len(left)) % size
            joined, part = np.concatenate([left, part[:first]]), part[first:]
            if len(joined) == size:
                yield torch.from_numpy(joined)
            elif len(joined):
                left = joined
                continue
            complete = len(part) - len(part) % size
            if complete:
                yield from self._released(torch.from_numpy(part[:complete]).split(size))
            left = part[complete:].copy()
            self._staged.release()
        if len(left):
            yield torch.from_numpy(left)

    def divided(self, order: Iterable[Indices], sizes: Iterable[int]) -> Iterator[Tensor]:
        """Yield the samples of batches of these sizes in `order`."""
        parts, left = iter(order), np.empty(0, dtype=np.int64)
        for size in sizes:
            while len(left) < size:
                left = np.concatenate([left, next(parts)])
                self._staged.release()
            yield torch.from_numpy(left[:size])
            left = left[size:]

    def _released(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield batches; windows of a file are one part, whose pages are released in between."""
        numbers = self._cells.shape[1] * self._staged.size * len(batches[0])
        often = max(1, READ_NUMBERS // max(1, numbers))
        for count, batch in enumerate(batches, 1):
            yield batch
            if self._staged.windows is not None and count % often == 0:
                self._staged.release()

    def in_order(self, widest: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield large batches in order; the widest layer has `widest` numbers per sample."""
        numbers = _evaluation_numbers(self._device)
        size = max(1, numbers // max(widest, self._cells.shape[1] * self._staged.size))
        cells = self._staged.blocks(size)
        codes = repeat(None) if self._codes is None else iter(self._codes.split(size))
        for part, labels in zip(cells, codes, strict=False):
            yield self._on_device(part), None if labels is None else self._on_device(labels)

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor if tensor.device == self._device else tensor.to(self._device)


def fits_on(device: torch.device, cells: Tensor) -> bool:
    """Return whether cells take at most half of a device's memory, and are not too much for now."""
    if device.type != "cuda":
        return True
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return 4 * cells.numel() < min(total // 2, 3 * free // 4)


def _evaluation_numbers(device: torch.device) -> int:
    """Return the numbers in the widest layer: on a GPU they take 1/64 of its memory."""
    if device.type != "cuda":
        return EVALUATION_NUMBERS
    memory = torch.cuda.get_device_properties(device).total_memory
    return min(max(memory // 256, EVALUATION_NUMBERS), GPU_EVALUATION_NUMBERS)
