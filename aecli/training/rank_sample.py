"""Gather a sample of the rows of all ranks, for what is fitted on few rows."""

from __future__ import annotations

from dataclasses import replace

import torch

from aecli.features.staging import Staged
from aecli.ranks import Ranks
from aecli.training.data import PreparedTable

SAMPLED_ROWS = 1 << 16
SAMPLED_CELLS = 1 << 23
"""Maximum number of rows, and of their cells: 32 MB of training rows, and as much of the others."""

MIN_SAMPLED_ROWS = 1 << 10


def shared_table(prepared: PreparedTable, ranks: Ranks) -> PreparedTable:
    """Return a table whose rows are divided among ranks, with a sample of the rows of all of them.

    In one process it is the same table.
    """
    if ranks.size == 1:
        return prepared
    sample = replace(
        prepared,
        train=_gathered(prepared.train, prepared.n_train, ranks),
        valid=_gathered(prepared.valid, prepared.n_valid, ranks),
    )
    return replace(prepared, ranks=ranks, sample=sample)


def _gathered(staged: Staged, samples: int, ranks: Ranks) -> Staged:
    """Return evenly spaced rows of all ranks, which have `samples` rows."""
    width = staged.cells.shape[1]
    most = min(SAMPLED_ROWS, max(MIN_SAMPLED_ROWS, SAMPLED_CELLS // max(1, width)))
    chosen = staged.thinned(-(-most * len(staged) // max(1, samples)))
    parts = ranks.gather((chosen.cells.contiguous(), chosen.codes))
    codes = None if staged.codes is None else torch.cat([c for _, c in parts if c is not None])
    cells = torch.cat([cells for cells, _ in parts])
    return Staged(cells, codes, staged.complete)
