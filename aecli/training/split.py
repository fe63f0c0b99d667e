"""Divide rows into training and validation rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aecli.array_types import Codes, Mask
from aecli.features.shuffling import random_generator
from aecli.table.row_order import Times

BLOCK_ROWS = 1 << 18
"""Rows that are ranked at once, which bounds the memory."""


def training_rows(rows: int, share: float, seed: int, codes: Codes | None = None) -> Mask:
    """Return a mask `(rows,)`, True for training rows; the others are validation rows.

    With label `codes` the split is stratified (unlabelled rows are a stratum): a rare class is in
    both parts if it has enough rows, and at least one row of each class is a training row. If
    every class is too small for the share, rows of classes with several rows are held out.
    """
    mask = _higher_ranks(rows, share, seed, codes)
    if bool(mask.all()) and round(share * rows):
        spare = np.concatenate([members[:-1] for members in _shuffled_classes(rows, seed, codes)])
        shuffled = random_generator(seed, stream=0).permutation(spare)
        mask[shuffled[: round(share * rows)]] = False
    return mask


def _higher_ranks(rows: int, share: float, seed: int, codes: Codes | None) -> Mask:
    """Return a mask `(rows,)`, False for the rows with the lowest random ranks of each class.

    Only ranks near the border of a class are kept in memory.
    """
    sizes = np.zeros(1 if codes is None else 2 + int(codes.max(initial=-1)), dtype=np.int64)
    for _, classes in _blocks(rows, codes):
        sizes += np.bincount(classes, minlength=len(sizes))
    left = np.array([max(0, min(round(share * size), size - 1)) for size in sizes.tolist()])
    # The k-th lowest of n uniform ranks is about k / n, with a deviation of at most sqrt(k) / n.
    spread = np.where(left > 0, 10 * np.sqrt(left) + 50, 0)
    low, high = ((left + sign * spread) / np.maximum(sizes, 1) for sign in (-1, 1))
    mask = np.ones(rows, dtype=np.bool_)
    generator = random_generator(seed, stream=0)
    near = [(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.int64))]
    for start, classes in _blocks(rows, codes):
        ranks = generator.random(len(classes))
        below = ranks < low[classes]
        left -= np.bincount(classes[below], minlength=len(left))
        mask[start : start + len(classes)] = ~below
        at = np.flatnonzero(~below & (ranks < high[classes]))
        near.append((start + at, ranks[at], classes[at]))
    numbers, ranks, classes = (np.concatenate(column) for column in zip(*near, strict=True))
    order = np.lexsort((ranks, classes))
    ordered = classes[order]
    position = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    mask[numbers[order[position < left[ordered]]]] = False
    return mask


def _blocks(rows: int, codes: Codes | None) -> Iterator[tuple[int, Codes]]:
    """Yield the first row of each block, and a number from 0 for the class of each of its rows."""
    for start in range(0, rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, rows)
        yield start, np.zeros(stop - start, np.int64) if codes is None else codes[start:stop] + 1


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


def last_rows(rows: int, share: float, times: Times | None = None) -> Mask:
    """Return a mask `(rows,)` of the last rows by time, or by their order; at least one.

    Rows with equal times stay together, so the share may differ. No row is chosen if all times are
    equal.
    """
    first = min(rows - max(1, round(share * rows)), rows - 1)
    mask = np.zeros(rows, dtype=np.bool_)
    if rows < 2:
        return mask
    if times is None:
        mask[max(1, first) :] = True
        return mask
    border = np.partition(times, first)[first]
    mask[:] = times >= border if border > times.min() else times > border
    return mask


def segment_of_fold(rows: int, times: Times | None, fold: int, folds: int) -> Mask:
    """Return a mask `(rows,)` of one of `folds` segments of the rows in time order."""
    mask = np.zeros(rows, dtype=np.bool_)
    first, last = (rows * part // folds for part in (fold, fold + 1))
    mask[slice(first, last) if times is None else times.argsort(kind="stable")[first:last]] = True
    return mask


def group_rows(groups: Codes, share: float, seed: int) -> Mask:
    """Return a mask `(rows,)` of whole groups with about `share` of the rows.

    Groups are drawn by `seed`; a group that would exceed the share is skipped. If every group
    would, the smallest is chosen. `groups` are numbers from 0.
    """
    sizes = np.bincount(groups)
    names = np.flatnonzero(sizes)
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    if len(names) < 2:
        return chosen[groups]
    left = round(share * len(groups))
    for name in random_generator(seed, stream=0).permutation(names).tolist():
        if sizes[name] <= left:
            left -= int(sizes[name])
            chosen[name] = True
    if not chosen.any():
        chosen[names[sizes[names].argmin()]] = True
    return chosen[groups]


def groups_of_fold(groups: Codes, fold: int, folds: int, seed: int) -> Mask:
    """Return a mask `(rows,)` of the rows of one of `folds` folds of whole groups."""
    names = random_generator(seed, stream=0).permutation(np.unique(groups))
    return np.isin(groups, names[fold::folds])


def _shuffled_classes(rows: int, seed: int, codes: Codes | None) -> list[Codes]:
    """Return each class's row numbers in a seeded order; the unlabelled rows are a class."""
    groups = np.zeros(rows, dtype=np.int64) if codes is None else codes
    rank = random_generator(seed, stream=0).random(rows)
    order = np.lexsort((rank, groups))
    _, starts = np.unique(groups[order], return_index=True)
    return np.split(order, starts[1:])
