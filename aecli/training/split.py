"""Divide rows into training and validation, and order them within an epoch."""

from __future__ import annotations

import numpy as np

from aecli.array_types import Codes, Mask

# Rows that are shuffled together. A block is read from disk in one piece when cells are staged
# there, and a window of blocks fits in memory; smaller tables are shuffled as a whole.
SHUFFLED_BLOCK = 4_096
SHUFFLED_WINDOW = 64 * SHUFFLED_BLOCK


def training_rows(rows: int, share: float, seed: int, codes: Codes | None = None) -> Mask:
    """Return a mask `(rows,)`, True for training rows; the others are for validation.

    With label `codes` each class (and the unlabelled rows) is divided by itself, so that a rare
    class is on both sides where it has the rows. At least one row of each stays for training.
    """
    mask = np.ones(rows, dtype=np.bool_)
    for members in _shuffled_classes(rows, seed, codes):
        mask[members[: min(round(share * len(members)), len(members) - 1)]] = False
    return mask


def rows_outside(fold: int, folds: int, rows: int, seed: int, codes: Codes | None = None) -> Mask:
    """Return a mask `(rows,)`, False for one of `folds` parts; each class is spread over them all.

    A class of one row stays outside of every part, so that training always has it.
    """
    mask = np.ones(rows, dtype=np.bool_)
    place = 0
    for members in _shuffled_classes(rows, seed, codes):
        if len(members) > 1:
            mask[members[(np.arange(len(members)) + place) % folds == fold]] = False
        place += len(members)
    return mask


def _shuffled_classes(rows: int, seed: int, codes: Codes | None) -> list[Codes]:
    """Return each class's row numbers in a seeded order; the unlabelled rows are a class."""
    groups = np.zeros(rows, dtype=np.int64) if codes is None else codes
    rank = _generator(seed, stream=0).random(rows)
    order = np.lexsort((rank, groups))
    _, starts = np.unique(groups[order], return_index=True)
    return np.split(order, starts[1:])


def epoch_order(rows: int, seed: int, epoch: int) -> Codes:
    """Return the order `(rows,)` of one epoch's rows; it depends on `seed` and `epoch` alone.

    Blocks of neighbouring rows are shuffled, then the rows within each window of 64 blocks: a
    whole permutation for small tables, and sequential enough for a disk for large ones.
    """
    generator = _generator(seed, stream=1 + epoch)
    if rows <= SHUFFLED_WINDOW:
        return generator.permutation(rows)
    blocks = generator.permutation(-(-rows // SHUFFLED_BLOCK))
    order = (blocks[:, None] * SHUFFLED_BLOCK + np.arange(SHUFFLED_BLOCK)).reshape(-1)
    order = order[order < rows]
    for start in range(0, rows, SHUFFLED_WINDOW):
        generator.shuffle(order[start : start + SHUFFLED_WINDOW])
    return order


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream]))
