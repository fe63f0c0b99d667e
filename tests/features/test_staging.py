"""Staged rows: the same in memory and on disk, scattered, and no trace of a full disk."""

from __future__ import annotations

import mmap
import os
import resource
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from aecli.errors import OutputError
from aecli.features import staging
from aecli.features.reader import CellReader
from aecli.features.shuffling import PART_ROWS
from aecli.features.staging import COPIED_ROWS, Staged, stage
from aecli.table.source import open_source
from tests.columns import category, number

NUMBERS = [number("x"), category("k", "u", "v")]


def staged(rows: int, *, memory: int, **columns: list[object]) -> tuple[Staged, Staged]:
    """Stage rows of which each tenth is held out, with the row number as number and as code."""
    table = {"x": np.arange(rows, dtype=np.float32), "k": ["u", "v"] * (rows // 2)} | columns
    return stage(
        open_source(pa.table(table)),
        CellReader(NUMBERS),
        rows=np.arange(rows) % 10 != 9,
        codes=np.arange(rows),
        memory=memory,
        seed=0,
    )


@pytest.mark.parametrize("memory", [1 << 30, 0], ids=["memory", "disk"])
def test_sorted_rows_are_scattered_with_their_codes(memory: int):
    rows = 10 * (-(-2 * PART_ROWS // 9) + 1)
    train, valid = staged(rows, memory=memory)
    assert (train.file is None) == (memory > 0)
    assert train.parts == 2
    values, codes = train.cells[:, 0], train.codes
    assert codes is not None
    assert torch.equal(values.long(), codes)
    assert torch.equal(
        values.sort().values.long(), torch.arange(rows)[torch.arange(rows) % 10 != 9]
    )
    first, second = (half.mean() for half in values[: 2 * (len(train) // 2)].view(2, -1))
    assert float(first) == pytest.approx(float(second), rel=1e-3)
    assert torch.equal(valid.cells[:, 0].long(), torch.arange(9, rows, 10))


@pytest.mark.parametrize(
    ("row", "cell", "complete"),
    [(0, None, (False, True)), (9, None, (True, False)), (0, "w", (False, True))],
)
def test_a_side_with_a_missing_or_unseen_cell_is_not_complete(row, cell, complete):
    kinds = ["u", "v"] * 10
    kinds[row] = cell
    train, valid = staged(20, memory=0, k=kinds)
    assert (train.complete, valid.complete) == complete


def test_a_full_disk_ends_with_a_hint_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The limit of the size of a file ends as a full disk does."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot stage 16.0 kB of cells in /") as raised:
            staged(2_000, memory=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.exit_code == 6
    assert raised.value.hint == "TMPDIR=/a/larger/disk aecli train …, or a larger --memory"
    assert list(tmp_path.iterdir()) == []


class Released(mmap.mmap):
    """Mapped memory that counts how often its pages are released."""

    times = 0

    def madvise(self, *_: int) -> None:
        self.times += 1


def test_a_file_is_copied_to_a_device_in_blocks_whose_pages_are_released():
    file = Released(-1, 1 << 20)
    cells = torch.from_numpy(np.frombuffer(file, dtype=np.float32).reshape(-1, 4))
    cells = cells[: 2 * COPIED_ROWS + 1]
    mapped = Staged(cells, torch.arange(len(cells)), complete=True, file=file)
    moved = mapped.moved_to(torch.device("meta"))
    assert file.times == 3
    assert moved.codes is not None
    assert (moved.cells.shape, moved.cells.device.type) == (cells.shape, "meta")
    assert (moved.codes.device.type, moved.file) == ("meta", None)
    assert mapped.moved_to(cells.device).cells.data_ptr() == cells.data_ptr()


@pytest.mark.parametrize("copied", [10, 1 << 20], ids=["file", "memory"])
def test_a_large_sample_of_a_file_stays_there(copied: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(staging, "COPIED_VALUES", copied)
    file = Released(-1, 1 << 20)
    values = np.frombuffer(file, dtype=np.float32).reshape(-1, 4)
    values[:] = np.arange(values.size).reshape(values.shape)
    sample = Staged(torch.from_numpy(values), None, complete=True, file=file).thinned(10_000)
    assert (sample.file is None) == (copied > 10)
    blocks = list(sample.blocks(3_000))
    assert torch.equal(torch.cat(blocks), torch.from_numpy(values[::7]))
    assert file.times >= 3
    assert all(block.is_contiguous() for block in blocks)


def test_staging_without_posix_fallocate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "posix_fallocate")
    train, _ = staged(200, memory=0)
    assert train.file is not None
    assert len(train.cells[:, 0].unique()) == 180
    full = os.statvfs_result((4096, 4096, 9, 9, 0, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    with pytest.raises(OutputError, match="cannot stage") as raised:
        staged(200, memory=0)
    assert "No space left on device" in raised.value.facts[0]
