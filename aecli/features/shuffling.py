"""Scatter rows over the parts of a matrix while it is filled, and order them within an epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aecli.array_types import Indices

PART_ROWS = 1 << 18
PART_BYTES = 1 << 28
"""Rows and bytes from which a matrix is divided into parts, which are shuffled one by one."""

MIN_PART_ROWS = 1 << 14
"""Minimum number of rows of a part, however wide: many batches."""

_SCATTER_STREAM = (1 << 63) - 1


def part_count(rows: int, width: int) -> int:
    """Return the number of parts of a matrix of float32 `(rows, width)`."""
    fitting = PART_BYTES // (4 * max(1, width))
    return max(1, rows // max(MIN_PART_ROWS, min(PART_ROWS, fitting)))


class Scatter:
    """Random positions of successive rows in a matrix of several parts.

    Of as many successive rows as there are parts, each part gets one, so that each part is a sample
    of the complete table, also if that is sorted. Parts are filled from their first row on, by
    which a file is written in a few sequential streams.
    """

    def __init__(self, rows: int, parts: int, seed: int) -> None:
        self._generator = random_generator(seed, _SCATTER_STREAM)
        self._parts = parts
        self._part_rows = rows // parts
        self._rounds = 0
        self._left = np.empty(0, dtype=np.int64)

    def positions(self, count: int) -> Indices:
        """Return the positions `(count,)` of the next rows."""
        rounds = max(0, -(-(count - len(self._left)) // self._parts))
        parts = np.tile(np.arange(self._parts), (rounds, 1))
        numbers = np.arange(self._rounds, self._rounds + rounds)[:, None]
        new = self._generator.permuted(parts, axis=1) * self._part_rows + numbers
        # The rows beyond equal parts, fewer than there are parts, stay at the end.
        beyond = numbers * self._parts + parts
        new = np.where(numbers < self._part_rows, new, beyond).reshape(-1)
        positions = np.concatenate([self._left, new])
        self._rounds += rounds
        self._left = positions[count:]
        return positions[:count]


def epoch_order(rows: int, parts: int, seed: int, epoch: int) -> Iterator[Indices]:
    """Yield the shuffled rows of each part, in random order; they depend on the arguments alone.

    A matrix of one part is shuffled as a whole. The next part overwrites the rows of a part.
    """
    generator = random_generator(seed, 1 + epoch)
    size = rows // parts
    # One buffer: blocks that are freed between the small allocations of steps are not reused.
    numbers = np.arange(rows - (parts - 1) * size)
    buffer = np.empty_like(numbers)
    for part in generator.permutation(parts).tolist():
        order = buffer[: size if part < parts - 1 else None]
        np.add(numbers[: len(order)], part * size, out=order)
        generator.shuffle(order)
        yield order


def complete_order(rows: int, parts: int, seed: int, epoch: int) -> Indices:
    """Return the rows of `epoch_order` at once."""
    return np.concatenate([part.copy() for part in epoch_order(rows, parts, seed, epoch)])


def random_generator(seed: int, stream: int) -> np.random.Generator:
    """Return a generator of one of the independent streams of a seed; stream 0 is the split's."""
    return np.random.Generator(np.random.Philox(key=[seed, stream]))
