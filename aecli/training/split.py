"""Divide rows into training and validation, and order them within an epoch."""

from __future__ import annotations

import numpy as np

from aecli.array_types import Codes, Mask

# Rows that are shuffled together. A block is one sequential read when cells are staged on
# disk, and a window of blocks fits in memory; smaller tables are shuffled as a whole.
SHUFFLED_BLOCK = 4_096
SHUFFLED_WINDOW = 64 * SHUFFLED_BLOCK


def training_rows(rows: int, share: float, seed: int, codes: Codes | None = None) -> Mask:
    """Return a mask `(rows,)`, True for training rows; the others are validation rows.

    With label `codes` the split is stratified (unlabelled rows are a stratum): a rare class is in
    both parts if it has enough rows, and at least one row of each class is a training row. If
    every class is too small for the share, rows of classes with several rows are held out.
    """
    mask = np.ones(rows, dtype=np.bool_)
    classes = _shuffled_classes(rows, seed, codes)
    for members in classes:
        mask[members[: min(round(share * len(members)), len(members) - 1)]] = False
    if mask.all() and rows:
        spare = np.concatenate([members[:-1] for members in classes])
        mask[_generator(seed, stream=0).permutation(spare)[: round(share * rows)]] = False
    return mask


def rows_outside(fold: int, folds: int, rows: int, seed: int, codes: Codes | None = None) -> Mask:
    """Return a mask `(rows,)`, False for the rows of one of `folds` stratified folds.

    The row of a class with one row is in no fold, so it is always a training row.
    """
    mask = np.ones(rows, dtype=np.bool_)
    offset = 0
    for members in _shuffled_classes(rows, seed, codes):
        if len(members) > 1:
            mask[members[(np.arange(len(members)) + offset) % folds == fold]] = False
        offset += len(members)
    return mask


def last_rows(rows: int, share: float, times: Codes | None = None) -> Mask:
    """Return a mask `(rows,)` of the last rows by time, or by their order; at least one.

    Rows with equal times stay together, so the share may differ. No row is chosen if all times are
    equal.
    """
    first = min(rows - max(1, round(share * rows)), rows - 1)
    times = np.arange(rows, dtype=np.int64) if times is None else times
    if rows < 2:
        return np.zeros(rows, dtype=np.bool_)
    border = np.partition(times, first)[first]
    mask: Mask = times >= border if border > times.min() else times > border
    return mask


def segment_of_fold(rows: int, times: Codes | None, fold: int, folds: int) -> Mask:
    """Return a mask `(rows,)` of one of `folds` segments of the rows in time order."""
    order = np.arange(rows) if times is None else times.argsort(kind="stable")
    mask = np.zeros(rows, dtype=np.bool_)
    first, last = (rows * part // folds for part in (fold, fold + 1))
    mask[order[first:last]] = True
    return mask


def group_rows(groups: Codes, share: float, seed: int) -> Mask:
    """Return a mask `(rows,)` of whole groups with about `share` of the rows.

    Groups are drawn by `seed`; a group that would exceed the share is skipped. If every group
    would, the smallest is chosen.
    """
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        return np.zeros(len(groups), dtype=np.bool_)
    left = round(share * len(groups))
    chosen = []
    for index in _generator(seed, stream=0).permutation(len(names)).tolist():
        if sizes[index] <= left:
            left -= int(sizes[index])
            chosen.append(names[index])
    return np.isin(groups, chosen or [names[sizes.argmin()]])


def groups_of_fold(groups: Codes, fold: int, folds: int, seed: int) -> Mask:
    """Return a mask `(rows,)` of the rows of one of `folds` folds of whole groups."""
    names = _generator(seed, stream=0).permutation(np.unique(groups))
    return np.isin(groups, names[fold::folds])


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
    complete permutation of small tables, and mostly sequential reads of large ones.
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
