"""Vectors of words and texts that are kept across batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import AnyArray, Float32s, Indices, Integers
from aecli.features.text.multibyte import set_positions
from aecli.features.text.words import Hashes

MAX_VECTORS = 1 << 16
"""Number of vectors that are kept; those of 64 elements take 17 MB."""

SLOT_BITS = 20
"""Bits of a key that select a slot, and of a position."""

_LOW = np.uint64((1 << SLOT_BITS) - 1)


class VectorCache:
    """Vectors by the keys of words or texts, with a squared length for each one.

    The last bits of a key select a slot, which has the other bits of the key and the position of
    its vector. If it is used by another key, the bits before select another slot. All vectors are
    dropped when there is no room for more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._drop_all(MAX_VECTORS)

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._count - 1

    def share(self, keys: Hashes) -> float:
        """Return the share of keys that have a vector, 0 without keys."""
        if not len(keys):
            return 0.0
        _, missing = self._find(keys)
        return 1 - len(missing) / len(keys)

    def positions(
        self, keys: Hashes, vectors_of: Callable[[Indices], tuple[Float32s, Integers]]
    ) -> AnyArray:
        """Return the positions of keys in `vectors` and `squares`, after new ones are added.

        Args:
            keys: of words or texts `(n,)`.
            vectors_of: maps positions among the keys to their vectors and squared lengths.
        """
        positions, missing = self._find(keys)
        if not len(missing):
            return positions
        encoded = pa.array(keys[missing]).dictionary_encode()
        count = len(encoded.dictionary)
        if self._count + count > len(self._keys):
            self._drop_all(max(MAX_VECTORS, count))
            return self.positions(keys, vectors_of)
        codes = encoded.indices.to_numpy()
        new = np.empty(count, dtype=np.int64)
        new[codes] = missing
        self._add(keys[new], *vectors_of(new))
        positions[missing] = codes + (self._count - count)
        return positions

    def _find(self, keys: Hashes) -> tuple[Indices, Indices]:
        """Return the positions of vectors, and which keys have none."""
        entries = self._slots.take(_slots(keys))
        positions = (entries & _LOW).view(np.int64)
        entries ^= keys
        missing = set_positions(entries > _LOW)
        if len(missing):
            others = (self._slots[_second_slots(keys[missing])] & _LOW).view(np.int64)
            positions[missing] = others
            missing = missing[self._keys[others] != keys[missing]]
        return positions, missing

    def _add(self, keys: Hashes, vectors: Float32s, squares: Integers) -> None:
        first, stop = self._count, self._count + len(keys)
        self.vectors[first:stop] = torch.from_numpy(vectors)
        self.squares[first:stop], self._keys[first:stop] = squares, keys
        entries = np.arange(first, stop, dtype=np.uint64) | (keys & ~_LOW)
        slots, others = _slots(keys), _second_slots(keys)
        empty = self._slots[slots] == 0
        self._slots[slots[empty]] = entries[empty]
        used = self._slots[slots] != entries
        self._slots[others[used]] = entries[used]
        self._count = stop

    def _drop_all(self, room: int) -> None:
        """Start without vectors, with room for a number of them."""
        # An empty slot refers to the first vector, which is 0, as that of an empty text is. The
        # chance of another key without bits before those of its slot is 2**-44.
        self._slots = np.zeros(1 << SLOT_BITS, dtype=np.uint64)
        self._keys = np.zeros(room + 1, dtype=np.uint64)
        self.vectors = torch.zeros(room + 1, self._size)
        self.squares = np.zeros(room + 1, dtype=np.int64)
        self._count = 1


def _slots(keys: Hashes) -> Indices:
    return (keys & _LOW).view(np.int64)


def _second_slots(keys: Hashes) -> Indices:
    return _slots(keys >> np.uint64(SLOT_BITS))
