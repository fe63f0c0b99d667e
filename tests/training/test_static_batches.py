"""Batches on the device are those of the same order, wherever the table is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aecli.features.shuffling import epoch_order
from aecli.features.staging import Staged
from aecli.training import streamed_batches
from aecli.training.batches import Batches
from aecli.training.static_batches import StaticBatches
from aecli.training.streamed_batches import StreamedBatches

CPU = torch.device("cpu")


def table(parts: int) -> Staged:
    cells = torch.arange(75, dtype=torch.float32)[:, None]
    return Staged(cells, cells[:, 0].long(), complete=True, parts=parts)


def epoch_of(batches: StaticBatches | StreamedBatches, epoch: int) -> list[int]:
    """Return the rows of an epoch in their order."""
    batches.shuffle(epoch)
    rows: list[int] = []
    for position in range(batches.full + 1):
        if position % batches.loaded == 0:
            batches.load(position)
        size = batches.size if position < batches.full else batches.rest
        cells, codes = batches.batch(torch.tensor([position]), size)
        assert codes is not None
        assert cells[:, 0].tolist() == codes.tolist()
        rows += codes.tolist()
    return rows


@pytest.mark.parametrize("parts", [1, 3])
def test_the_order_does_not_depend_on_where_the_table_is(
    monkeypatch: pytest.MonkeyPatch, parts: int
):
    monkeypatch.setattr(streamed_batches, "STREAMED_BYTES", 64)
    staged = table(parts)
    on_device = StaticBatches(staged, 8, CPU, seed=5)
    streamed = StreamedBatches(staged, 8, CPU, seed=5)
    seen = []
    for epoch in (0, 1, 2, 7, 2):  # also one that was not drawn ahead, as a resumed training needs
        order = epoch_order(75, parts, 5, epoch)
        batches = Batches(staged, CPU).shuffled(order, 8)
        wanted = np.concatenate([codes.numpy() for _, codes in batches if codes is not None])
        assert epoch_of(on_device, epoch) == epoch_of(streamed, epoch) == wanted.tolist()
        seen.append(tuple(wanted.tolist()))
    assert len(set(seen)) == 4
