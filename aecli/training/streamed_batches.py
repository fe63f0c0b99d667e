"""Batches of a table that does not fit on the device, read ahead in blocks of samples."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import torch
from torch import Tensor

from aecli.features.shuffling import complete_order
from aecli.features.staging import Staged
from aecli.training.cuda_graph import copying_stream

STREAMED_BYTES = 64 << 20
"""Size of the cells of a block."""

BLOCKS_AHEAD = 2


class StreamedBatches:
    """Batches as of `StaticBatches`, of a table that stays in main memory or in a file.

    A thread gathers the samples of the next blocks in pinned memory, and copies them on a stream of
    its own while the device trains on the block before.
    """

    def __init__(self, staged: Staged, size: int, device: torch.device, seed: int) -> None:
        self.size = size
        self.window = staged.size
        self.full, self.rest = divmod(len(staged), size)
        sample_bytes = staged.cells.element_size() * staged.cells.shape[1] * staged.size
        self.loaded = max(1, STREAMED_BYTES // max(1, sample_bytes * size))
        self._staged = staged
        self._seed = seed
        self._order = torch.empty(0, dtype=torch.int64)
        self._block = self._buffers(device)
        self._on_host = [self._buffers(torch.device("cpu")) for _ in range(BLOCKS_AHEAD)]
        self._on_device = self._on_host
        if device.type == "cuda":
            self._on_device = [self._buffers(device) for _ in range(BLOCKS_AHEAD)]
            self._on_host = [[part.pin_memory() for part in parts] for parts in self._on_host]
            self._copied = [torch.cuda.Event() for _ in range(BLOCKS_AHEAD)]
            self._used = [torch.cuda.Event() for _ in range(BLOCKS_AHEAD)]
        self._stream = copying_stream(device, chain.from_iterable(self._on_device))
        self._thread = ThreadPoolExecutor(1)
        self._ahead: deque[Future[int]] = deque()
        self._next = 0

    def shuffle(self, epoch: int) -> None:
        """Draw the order of an epoch, which depends on the seed and the epoch alone."""
        while self._ahead:  # of an epoch that was stopped
            self._ahead.popleft().result()
        staged = self._staged
        order = complete_order(len(staged), staged.parts, self._seed, epoch)
        self._order = torch.from_numpy(order)
        self._next = 0
        for _ in range(BLOCKS_AHEAD):
            self._read_ahead()

    def load(self, position: int) -> None:
        """Make the next `loaded` batches available; the first of them has this position."""
        slot = position // self.loaded % BLOCKS_AHEAD
        samples = self._ahead.popleft().result()
        if self._stream is not None:
            torch.cuda.current_stream().wait_event(self._copied[slot])
        for block, part in zip(self._block, self._on_device[slot], strict=True):
            block[:samples].copy_(part[:samples])
        if self._stream is not None:
            self._used[slot].record()
        self._read_ahead()

    def batch(self, position: Tensor, size: int) -> tuple[Tensor, Tensor | None]:
        """Return the cells and codes of `size` samples at a position `(1,)` of the epoch."""
        at = position % self.loaded
        batches = (part.view(self.loaded, self.size, *part.shape[1:]) for part in self._block)
        cells, *codes = (part.index_select(0, at)[0, :size] for part in batches)
        return cells.flatten(0, 1), codes[0] if codes else None

    def _buffers(self, device: torch.device) -> list[Tensor]:
        """Return memory for the cells of the samples of a block, and for their codes."""
        samples, staged = self.loaded * self.size, self._staged
        cells = staged.cells.new_empty(samples, staged.size, staged.cells.shape[1], device=device)
        codes = staged.codes
        return [cells] if codes is None else [cells, codes.new_empty(samples, device=device)]

    def _read_ahead(self) -> None:
        chosen = self._order[self._next * self.size :][: self.loaded * self.size]
        if len(chosen):
            slot = self._next // self.loaded % BLOCKS_AHEAD
            self._ahead.append(self._thread.submit(self._read, chosen, slot))
            self._next += self.loaded

    def _read(self, chosen: Tensor, slot: int) -> int:
        """Gather a block of samples, begin to copy it to the device, and return its size."""
        samples, staged = len(chosen), self._staged
        if self._stream is not None:
            self._copied[slot].synchronize()
        cells = self._on_host[slot][0][:samples].flatten(0, 1)
        torch.index_select(staged.cells, 0, staged.rows(chosen), out=cells)
        staged.release()
        if staged.codes is not None:
            torch.index_select(staged.codes, 0, chosen, out=self._on_host[slot][1][:samples])
        if self._stream is not None:
            self._copy(slot, samples, self._stream)
        return samples

    def _copy(self, slot: int, samples: int, stream: torch.cuda.Stream) -> None:
        stream.wait_event(self._used[slot])
        with torch.cuda.stream(stream):
            for source, target in zip(self._on_host[slot], self._on_device[slot], strict=True):
                target[:samples].copy_(source[:samples], non_blocking=True)
            self._copied[slot].record()
