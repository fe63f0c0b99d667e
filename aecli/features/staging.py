"""Stage the cells of a table for training: a matrix in memory, or memory-mapped if it is large."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Indices, Mask
from aecli.errors import OutputError
from aecli.features.reader import CellReader, Cells
from aecli.features.shuffling import Scatter, part_count
from aecli.features.windows import Windows, window_codes
from aecli.formatting import size as format_size
from aecli.progress import SILENT, Progress
from aecli.table.column_groups import column_groups
from aecli.table.source import Source

COPIED_ROWS = 4_096
"""Rows of a file that are copied at once; each may be on another page."""

COPIED_VALUES = 1 << 24
"""Maximum number of values of a sample that is copied from a file into memory: 64 MB."""


@dataclass(frozen=True)
class Staged:
    """Samples: the cells `(n_rows, n_cells)` of rows, or of windows of them.

    `codes` `(n_samples,)` are label codes, -1 for unlabelled. With `complete` no cell is missing or
    unseen. With `windows` each sample is a window of rows. Rows are scattered over `parts`, which
    are shuffled one by one. `file` is the mapped file of the cells, if they are not in memory.
    """

    cells: Tensor
    codes: Tensor | None
    complete: bool
    windows: Windows | None = None
    parts: int = 1
    file: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self.cells if self.windows is None else self.windows)

    @property
    def memory_bytes(self) -> int:
        """Return the bytes of the cells in memory, none of those in a file."""
        return 0 if self.file is not None else self.cells.numel() * self.cells.element_size()

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
            cells = self.cells[::step]
            if self.file is None or cells.numel() > COPIED_VALUES:
                return replace(self, cells=cells, codes=codes, parts=1)
            copy = self._copied(cells, cells.device)
            return replace(self, cells=copy, codes=codes, parts=1, file=None)
        windows = replace(self.windows, starts=self.windows.starts[::step])
        return replace(self, codes=codes, windows=windows)

    def moved_to(self, device: torch.device) -> Staged:
        """Return the samples with their cells and codes on a device."""
        codes = None if self.codes is None else self.codes.to(device)
        if self.file is None or device == self.cells.device:
            return replace(self, cells=self.cells.to(device), codes=codes)
        return replace(self, cells=self._copied(self.cells, device), codes=codes, file=None)

    def _copied(self, cells: Tensor, device: torch.device) -> Tensor:
        """Return a copy of cells that are in a file, of which few pages are in memory at once."""
        copy = torch.empty(cells.shape, device=device)
        for block, part in zip(copy.split(COPIED_ROWS), cells.split(COPIED_ROWS), strict=True):
            block.copy_(part)
            self.release()
        return copy

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
            yield from self.row_blocks(samples)
            return
        for chosen in torch.arange(len(self)).split(samples):
            yield self.cells.index_select(0, self.rows(chosen).to(self.cells.device))
            self.release()

    def row_blocks(self, rows: int) -> Iterator[Tensor]:
        """Yield the cells of blocks of rows, in order, also of rows in no window."""
        for block in self.cells.split(rows):
            spaced = self.file is not None and not block.is_contiguous()
            yield self._copied(block, block.device) if spaced else block
            self.release()

    def release(self) -> None:
        """Release the pages of a mapped file, which the system still has, from this process."""
        if self.file is not None:
            self.file.madvise(mmap.MADV_DONTNEED)


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
    seed: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Staged, Staged]:
    """Read the cells once; return the rows where `rows` is True, and the others.

    Args:
        source: the table.
        rows: `(n_rows,)`, True for training rows.
        codes: label codes of all rows, or None without a label.
        memory: maximum size of the cells in memory, in bytes; larger ones are in a temporary file.
        seed: of the parts over which training rows are scattered; None keeps the table's order.

    Raises:
        OutputError: the temporary file does not fit on the disk.
    """
    width = reader.layout.cells
    count = int(rows.sum())
    cells, file = _matrix(len(rows), width, memory, progress)
    parts = 1 if seed is None else part_count(count, width)
    placed_codes = None if codes is None else np.empty_like(codes)
    complete = [True, True]
    progress.stage("staging", len(rows))
    for group, part, at in _column_parts(source, reader):
        start, block = 0, cells[:, at]
        for batch, places in _placed(group, rows, Scatter(count, parts, seed or 0)):
            stop = start + batch.num_rows
            read = part.read(batch, table=source.name, before=start)
            block[places] = read
            if placed_codes is not None and codes is not None and at.start == 0:
                placed_codes[places] = codes[start:stop]
            incomplete = _incomplete(read, part.layout.numbers + part.layout.booleans)
            complete[0] &= not incomplete[rows[start:stop]].any()
            complete[1] &= not incomplete[~rows[start:stop]].any()
            if file is not None:
                file.madvise(mmap.MADV_DONTNEED)
            progress.rows(round(batch.num_rows * (at.stop - at.start) / width))
            start = stop
    matrix = torch.from_numpy(cells)
    labels = None if placed_codes is None else torch.from_numpy(placed_codes)
    train, valid = (
        Staged(matrix[side], None if labels is None else labels[side], whole, file=file)
        for side, whole in zip((slice(count), slice(count, None)), complete, strict=True)
    )
    return replace(train, parts=parts), valid


def _column_parts(source: Source, reader: CellReader) -> Iterator[tuple[Source, CellReader, slice]]:
    """Yield groups of columns, each with its reader and its cells."""
    columns = {column.name: column for column in reader.layout.columns}
    groups = list(column_groups(source.select(list(columns))))
    first = 0
    for group in groups:
        part = reader
        if len(groups) > 1:
            chosen = [columns[name] for name in group.names]
            part = CellReader(chosen, nonfinite=reader.nonfinite)
        yield group, part, slice(first, first + part.layout.cells)
        first += part.layout.cells


def _placed(
    source: Source, rows: Mask, scatter: Scatter
) -> Iterator[tuple[pa.RecordBatch, Indices]]:
    """Yield batches with the positions of their rows: scattered training rows, then the others."""
    start, held_out = 0, int(rows.sum())
    for batch in source.batches():
        is_training = rows[start : start + batch.num_rows]
        others = len(is_training) - int(is_training.sum())
        places = np.empty(len(is_training), dtype=np.int64)
        places[is_training] = scatter.positions(len(is_training) - others)
        places[~is_training] = np.arange(held_out, held_out + others)
        yield batch, places
        start += len(is_training)
        held_out += others


def _incomplete(cells: Cells, first_category: int) -> Mask:
    """Return a mask `(n_rows,)` of rows with a missing or unseen cell."""
    # A sum is NaN if one of its cells is: one pass, and no mask of all cells.
    incomplete: Mask = torch.from_numpy(cells).sum(1).isnan().numpy()
    categories = cells[:, first_category:]
    if categories.shape[1]:
        incomplete |= (categories < 0).any(axis=1)
    return incomplete


def _matrix(
    rows: int, width: int, memory: int, progress: Progress
) -> tuple[Cells, mmap.mmap | None]:
    size = 4 * rows * width
    if size <= memory or size == 0:
        return np.empty((rows, width), dtype=np.float32), None
    try:
        with tempfile.TemporaryFile(prefix="aecli-cells-") as file:
            _allocate(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise OutputError(
            f"cannot stage {format_size(size)} of cells in {tempfile.tempdir or 'TMPDIR'}",
            facts=[str(error)],
            hint="TMPDIR=/a/larger/disk aecli train …, or a larger --memory",
        ) from error
    progress.debug(f"{format_size(size)} of cells are in a file in {tempfile.gettempdir()}")
    return np.frombuffer(mapped, dtype=np.float32).reshape(rows, width), mapped


def _allocate(file: int, size: int) -> None:
    """Allocate an empty file at once: a full disk under a memory map would kill the process.

    Raises:
        OSError: the disk has less space.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    disk = os.fstatvfs(file)
    if disk.f_bavail * disk.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(file, size)
