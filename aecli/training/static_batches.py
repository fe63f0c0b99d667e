"""Batches of a table on the device, in tensors with fixed addresses, as a CUDA graph reads them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from aecli.features.shuffling import epoch_order
from aecli.features.staging import Staged
from aecli.training.cuda_graph import copying_stream


class StaticBatches:
    """Batches of `size` samples of a table on the device, in a new order in each epoch.

    A batch is chosen by a tensor, its position in the epoch, so that a CUDA graph reads another one
    in each replay. A sample has `window` rows. `full` is the number of complete batches of an
    epoch, `rest` the size of its last batch, 0 without one, and `loaded` the number of batches that
    `load` makes available.

    The order is that of tables that do not fit on the device: it must not depend on the memory that
    other programs leave. A thread copies that of the next epoch to the device, on another stream,
    while the device trains.
    """

    def __init__(self, staged: Staged, size: int, device: torch.device, seed: int) -> None:
        self.size = size
        self.window = staged.size
        self.full, self.rest = divmod(len(staged), size)
        self.loaded = self.full + 1
        self._parts = staged.parts
        self._seed = seed
        self._order = torch.empty(len(staged), dtype=torch.int64, device=device)
        self._next_order = torch.empty_like(self._order)
        self._thread = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[None]] = {}
        self._stream = copying_stream(device, [self._next_order])
        moved = staged.moved_to(device)
        self._cells, self._codes = moved.cells, moved.codes
        if staged.windows is not None:
            self._steps = torch.arange(staged.size, device=device)
            self._starts = torch.from_numpy(staged.windows.starts).to(device)
            self._row_order = torch.from_numpy(staged.windows.order).to(device)

    def shuffle(self, epoch: int) -> None:
        """Draw the order of an epoch, which depends on the seed and the epoch alone."""
        drawn = self._ahead.pop(epoch, None) or self._thread.submit(self._draw, epoch)
        drawn.result()
        if self._stream is not None:
            torch.cuda.current_stream(self._order.device).wait_stream(self._stream)
        self._order.copy_(self._next_order)
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._order.device))
        self._ahead = {epoch + 1: self._thread.submit(self._draw, epoch + 1)}

    def load(self, position: int) -> None:
        """Make the batches from this position available; here all of them are."""

    def batch(self, position: Tensor, size: int) -> tuple[Tensor, Tensor | None]:
        """Return the cells and codes of the batch at a position `(1,)` of the epoch.

        Its number of samples is `size`: that of all batches, or `rest` for the last one.
        """
        complete = self.full * self.size
        if size < self.size:
            chosen = self._order[complete:]
        else:
            chosen = self._order[:complete].view(-1, size).index_select(0, position).view(-1)
        codes = None if self._codes is None else self._codes.index_select(0, chosen)
        return self._cells.index_select(0, self._rows(chosen)), codes

    def _draw(self, epoch: int) -> None:
        """Copy the order of an epoch to the device, in parts that take little memory."""
        start = 0
        with torch.cuda.stream(self._stream):
            for part in epoch_order(len(self._order), self._parts, self._seed, epoch):
                self._next_order[start : start + len(part)].copy_(torch.from_numpy(part))
                start += len(part)

    def _rows(self, samples: Tensor) -> Tensor:
        """Return the row indices `(n_samples * window,)` of samples."""
        if self.window == 1:
            return samples
        first = self._starts.index_select(0, samples)
        return self._row_order.index_select(0, (first[:, None] + self._steps).flatten())
