"""Batches of shuffled parts: complete ones, and every row once with its code."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
import torch

from aecli.features.shuffling import epoch_order
from aecli.features.staging import Staged
from aecli.features.windows import Windows
from aecli.training.batches import Batches


@pytest.mark.parametrize(
    ("rows", "parts", "size", "sizes"),
    [
        (10, 1, 4, [4, 4, 2]),
        (10, 3, 4, [4, 4, 2]),
        (10, 5, 7, [7, 3]),
        (10, 5, 2, [2] * 5),
        (10, 3, 20, [10]),
        (9, 3, 3, [3, 3, 3]),
    ],
)
def test_batches_are_complete_across_parts(rows: int, parts: int, size: int, sizes: list[int]):
    numbers = torch.arange(rows)
    staged = Staged(numbers[:, None].float(), numbers, complete=True, parts=parts)
    batches = Batches(staged, torch.device("cpu"))
    seen = [
        (cells[:, 0].clone(), codes)
        for cells, codes in batches.shuffled(epoch_order(rows, batches.parts, 0, 0), size)
    ]
    assert [len(cells) for cells, _ in seen] == sizes
    values = torch.cat([cells for cells, _ in seen]).long()
    assert torch.equal(values.sort().values, numbers)
    assert torch.equal(values, torch.cat([codes for _, codes in seen if codes is not None]))


class CountingMap(mmap.mmap):
    """Mapped memory that counts how often its pages are released."""

    released = 0

    def madvise(self, *args: int) -> None:
        self.released += 1
        super().madvise(*args)


def test_the_pages_of_windows_in_a_file_are_released_within_an_epoch(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("aecli.training.batches.READ_NUMBERS", 4 * 5 * 3)  # three batches
    file = CountingMap(-1, 4 * 100)
    cells = torch.frombuffer(file, dtype=torch.float32).view(100, 1)
    windows = Windows(np.arange(100), np.arange(0, 80, 4), 4, np.array([0]))
    staged = Staged(cells, None, complete=True, windows=windows, file=file)
    batches = Batches(staged, torch.device("cpu"))
    assert len([*batches.shuffled(epoch_order(len(staged), 1, 0, 0), 5)]) == 4
    assert file.released == 2  # after three of the four batches, and after the part
