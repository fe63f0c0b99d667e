"""Divide rows into training and validation rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aecli.array_types import Codes, Floats, Mask
from aecli.features.shuffling import random_generator
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.table.row_order import Times

BLOCK_ROWS = 1 << 18
"""Rows that are ranked at once, which bounds the memory."""


def training_rows(
    rows: int,
    share: float,
    seed: int,
    codes: Codes | None = None,
    *,
    first: int = 0,
    ranks: Ranks = ONE_PROCESS,
) -> Mask:
    """Return a mask `(rows,)`, True for training rows; the others are validation rows.

    With label `codes` the split is stratified (unlabelled rows are a stratum): a rare class is in
    both parts if it has enough rows, and at least one row of each class is a training row. If
    every class is too small for the share, rows of classes with several rows are held out. Of
    several ranks each has the codes of its rows, from `first` on.
    """
    mask = _without_lowest(rows, share, seed, codes, first, ranks)
    if bool(mask.all()) and round(share * rows):
        if codes is not None:
            codes = np.concatenate(ranks.gather(codes))  # of small classes
        spare = np.concatenate([members[:-1] for members in _shuffled_classes(rows, seed, codes)])
        shuffled = random_generator(seed, stream=0).permutation(spare)
        mask[shuffled[: round(share * rows)]] = False
    return mask


def _without_lowest(
    rows: int, share: float, seed: int, codes: Codes | None, first: int, ranks: Ranks
) -> Mask:
    """Return a mask `(rows,)`, False for the rows with the lowest random numbers of each class.

    Only numbers near the border of a class are kept in memory.
    """
    last = rows if codes is None else first + len(codes)
    if codes is None:
        first, ranks = 0, ONE_PROCESS  # each rank draws for all rows
    sizes = _class_sizes(rows, codes, ranks)
    left = np.array([max(0, min(round(share * size), size - 1)) for size in sizes.tolist()])
    # The k-th lowest of n uniform numbers is about k / n, with a deviation of at most sqrt(k) / n.
    spread = np.where(left > 0, 10 * np.sqrt(left) + 50, 0)
    low, high = ((left + sign * spread) / np.maximum(sizes, 1) for sign in (-1, 1))
    mask = np.ones(last - first, dtype=np.bool_)
    taken = np.zeros_like(left)
    near = [(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.int64))]
    for start, numbers in _random_numbers(seed, first, last):
        part = slice(start, start + len(numbers))
        classes = np.zeros(len(numbers), np.int64) if codes is None else codes[part] + 1
        below = numbers < low[classes]
        taken += np.bincount(classes[below], minlength=len(left))
        mask[part] = ~below
        at = np.flatnonzero(~below & (numbers < high[classes]))
        near.append((first + start + at, numbers[at], classes[at]))
    left -= np.sum(ranks.gather(taken), axis=0)
    if ranks.size > 1:
        mask = np.concatenate(ranks.gather(mask))
    gathered = ranks.gather([np.concatenate(column) for column in zip(*near, strict=True)])
    positions, numbers, classes = (np.concatenate(column) for column in zip(*gathered, strict=True))
    order = np.lexsort((numbers, classes))
    ordered = classes[order]
    place = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    mask[positions[order[place < left[ordered]]]] = False
    return mask


def _class_sizes(rows: int, codes: Codes | None, ranks: Ranks) -> Codes:
    """Return the number of unlabelled rows and of those of each class, of all ranks."""
    if codes is None:
        return np.array([rows])
    classes = max(ranks.gather(int(codes.max(initial=-1)))) + 2
    sizes = np.zeros(classes, dtype=np.int64)
    for start in range(0, len(codes), BLOCK_ROWS):
        sizes += np.bincount(codes[start : start + BLOCK_ROWS] + 1, minlength=classes)
    summed: Codes = np.sum(ranks.gather(sizes), axis=0)
    return summed


def _random_numbers(seed: int, first: int, last: int) -> Iterator[tuple[int, Floats]]:
    """Yield blocks of the random numbers of the rows from `first` to `last`, and their starts.

    The number of a row depends on the seed and on its position in the table only. A start is the
    position in the block's rows from `first` on.
    """
    generator = random_generator(seed, stream=0)
    for start in range(0, last, BLOCK_ROWS):
        numbers = generator.random(min(start + BLOCK_ROWS, last) - start)[max(0, first - start) :]
        if len(numbers):
            yield max(0, start - first), numbers


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
