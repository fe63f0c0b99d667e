"""Vectors of words and texts that are kept across batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import AnyArray, Float32s, Indices
from aecli.features.text.words import Hashes

MAX_VECTORS = 1 << 16
"""Number of vectors that are kept; those of 64 elements take 17 MB."""

SLOT_BITS = 20
"""Bits of a key that select a slot."""


class VectorCache:
    """Vectors by the keys of words or texts, with a squared length for each one.

    The first bits of a key select a slot, which has the position of its vector, or the next bits
    another one, if the first is used by another key. All vectors are dropped when there is no room
    for more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._slots = np.zeros(1 << SLOT_BITS, dtype=np.int32)
        self._drop_all(MAX_VECTORS)

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._count - 1

    def share(self, keys: Hashes) -> float:
        """Return the share of keys that have a vector, 0 without keys."""
        if not len(keys):
            return 0.0
        found = [self._keys[self._slots[_slots(keys, choice)]] == keys for choice in (0, 1)]
        return float((found[0] | found[1]).mean())

    def positions(
        self, keys: Hashes, vectors_of: Callable[[Indices], tuple[Float32s, Float32s]]
    ) -> AnyArray:
        """Return the positions of keys in `vectors` and `squares`, after new ones are added.

        Args:
            keys: of words or texts `(n,)`.
            vectors_of: maps positions among the keys to their vectors and squared lengths.
        """
        positions = self._slots[_slots(keys)]
        missing = np.flatnonzero(self._keys[positions] != keys)
        if len(missing):
            others = self._slots[_slots(keys[missing], 1)]
            positions[missing] = others
            missing = missing[self._keys[others] != keys[missing]]
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

    def _add(self, keys: Hashes, vectors: Float32s, squares: Float32s) -> None:
        first, stop = self._count, self._count + len(keys)
        self.vectors[first:stop] = torch.from_numpy(vectors)
        self.squares[first:stop], self._keys[first:stop] = squares, keys
        positions = np.arange(first, stop, dtype=np.int32)
        slots, others = _slots(keys), _slots(keys, 1)
        empty = self._slots[slots] == 0
        self._slots[slots[empty]] = positions[empty]
        used = self._slots[slots] != positions
        self._slots[others[used]] = positions[used]
        self._count = stop

    def _drop_all(self, room: int) -> None:
        """Start without vectors, with room for a number of them."""
        # An empty slot refers to the first vector, which is of no key.
        self._slots[:] = 0
        self._keys = np.zeros(room + 1, dtype=np.uint64)
        self.vectors = torch.zeros(room + 1, self._size)
        self.squares = np.zeros(room + 1, dtype=np.float32)
        self._count = 1


def _slots(keys: Hashes, choice: int = 0) -> AnyArray:
    """Return the first or second choice of slots of keys."""
    slots: AnyArray = keys >> np.uint64(64 - (choice + 1) * SLOT_BITS)
    return slots & np.uint64((1 << SLOT_BITS) - 1) if choice else slots
