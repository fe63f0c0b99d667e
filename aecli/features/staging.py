"""Stage the cells of a table for training: a matrix in memory, or memory-mapped if it is large."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aecli.array_types import Mask
from aecli.errors import OutputError
from aecli.features.reader import CellReader, Cells
from aecli.features.windows import Windows, window_codes
from aecli.progress import SILENT, Progress
from aecli.table.source import Source


@dataclass(frozen=True)
class Staged:
    """Samples: the cells `(n_rows, n_cells)` of rows, or of windows of them.

    `codes` `(n_samples,)` are label codes, -1 for unlabelled. With `complete` no cell is missing or
    unseen. With `windows` each sample is a window of rows.
    """

    cells: Tensor
    codes: Tensor | None
    complete: bool
    windows: Windows | None = None

    def __len__(self) -> int:
        return len(self.cells if self.windows is None else self.windows)

    @property
    def size(self) -> int:
        """Return the number of rows per sample."""
        return 1 if self.windows is None else self.windows.size

    def rows(self, chosen: Tensor) -> Tensor:
        """Return the row indices `(n_chosen * size,)` of chosen samples, sample by sample."""
        if self.windows is None:
            return chosen
        return torch.from_numpy(self.windows.rows(chosen.numpy()).reshape(-1))

    def thinned(self, limit: int) -> Staged:
        """Return at most `limit` samples, evenly spaced, because tables are often sorted."""
        step = -(-len(self) // max(1, limit))
        if step <= 1:
            return self
        codes = None if self.codes is None else self.codes[::step]
        if self.windows is None:
            return Staged(self.cells[::step], codes, self.complete)
        windows = replace(self.windows, starts=self.windows.starts[::step])
        return Staged(self.cells, codes, self.complete, windows)

    def first(self, count: int) -> Staged:
        """Return the first `count` samples."""
        codes = None if self.codes is None else self.codes[:count]
        if self.windows is None:
            return replace(self, cells=self.cells[:count], codes=codes)
        windows = replace(self.windows, starts=self.windows.starts[:count])
        return replace(self, codes=codes, windows=windows)

    def blocks(self, samples: int) -> Iterator[Tensor]:
        """Yield the cells `(n_samples * size, n_cells)` of blocks of samples, in order."""
        if self.windows is None:
            yield from self.cells.split(samples)
            return
        for chosen in torch.arange(len(self)).split(samples):
            yield self.cells.index_select(0, self.rows(chosen).to(self.cells.device))


def as_windows(staged: Staged, windows: Windows, rows: Mask, rule: str) -> Staged:
    """Return the staged rows where `rows` is True, as samples of the windows among them."""
    inside = windows.within(rows)
    codes = staged.codes
    if codes is not None:
        codes = torch.from_numpy(window_codes(codes.numpy(), inside, rule))
    return replace(staged, codes=codes, windows=inside)


def stage(
    source: Source,
    reader: CellReader,
    *,
    rows: Mask,
    codes: npt.NDArray[np.int64] | None,
    memory: int,
    progress: Progress = SILENT,
) -> tuple[Staged, Staged]:
    """Read the table once; return the rows where `rows` is True, and the others.

    Args:
        source: the table, with the columns of the reader.
        rows: `(n_rows,)`, True for training rows.
        codes: label codes of all rows, or None without a label.
        memory: maximum size of the cells in memory, in bytes; larger ones are in a temporary file.

    Raises:
        OutputError: the temporary file does not fit on the disk.
    """
    width = reader.layout.cells
    counts = int(rows.sum()), int((~rows).sum())
    in_memory = 4 * width * sum(counts) <= memory
    parts = [_matrix(count, width, in_memory) for count in counts]
    start = held_out = 0
    progress.stage("reading", len(rows))
    for batch in source.batches():
        is_training = rows[start : start + batch.num_rows]
        kept = parts[0][start - held_out :][: int(is_training.sum())]
        others = parts[1][held_out:][: len(is_training) - len(kept)]
        if len(others):
            cells = reader.read(batch, table=source.name, before=start)
            kept[:], others[:] = cells[is_training], cells[~is_training]
        else:
            reader.read(batch, kept, table=source.name, before=start)
        start += len(is_training)
        held_out += len(others)
        progress.rows(batch.num_rows)
    first_category = reader.layout.numbers + reader.layout.booleans
    train, other = (
        _staged(part, None if codes is None else codes[mask], first_category)
        for part, mask in zip(parts, (rows, ~rows), strict=True)
    )
    return train, other


def _staged(part: Cells, codes: npt.NDArray[np.int64] | None, first_category: int) -> Staged:
    cells = torch.from_numpy(part)
    # The sum of a block is NaN if one of its cells is: one pass, and no mask in memory.
    complete = not any(
        bool(block.sum().isnan()) or bool((block[:, first_category:] < 0).any())
        for block in cells.split(65_536)
    )
    return Staged(cells, None if codes is None else torch.from_numpy(codes), complete)


def _matrix(rows: int, width: int, in_memory: bool) -> Cells:
    if in_memory or rows == 0:
        return np.empty((rows, width), dtype=np.float32)
    size = 4 * rows * width
    try:
        with tempfile.TemporaryFile(prefix="aecli-cells-") as file:
            # Allocated at once: a full disk under a memory map would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
    except OSError as error:
        raise OutputError(
            f"cannot stage {size / 1e9:.1f} GB of cells in {tempfile.gettempdir()}",
            facts=[str(error)],
            hint="TMPDIR=/a/larger/disk aecli train …, or a larger --memory",
        ) from error
