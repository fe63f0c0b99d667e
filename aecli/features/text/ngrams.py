"""Hashed character n-grams of words, as a sparse count matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Indices

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BUCKETS = 1 << 18
"""Number of hash values of n-grams."""

NO_NGRAM = BUCKETS

SIZES = (2, 3, 4, 5)
"""Numbers of characters of the n-grams, where the boundary of a word is one."""

BOUNDARY = 2
"""Code of a word's boundary; the control character of this code is rare in texts."""

_MULTIPLIER = 0x9E3779B97F4A7C15

Hashes = npt.NDArray[np.uint64]


def ngram_counts(words: pa.Array, columns: Indices) -> csr_array:
    """Return how often words have n-grams, and the whole word as one more feature.

    Args:
        words: in lower case, of type `large_string`, none empty.
        columns: column of each hash value `(BUCKETS + 1,)`, and of `NO_NGRAM`; -1 is not counted.
    """
    from scipy.sparse import csr_array

    buckets, starts = _hash_values(words)
    found = columns[buckets].ravel()
    known = found >= 0
    counts_of = np.add.reduceat(known, starts * buckets.shape[1], dtype=np.int32)
    ends = np.append(0, np.cumsum(counts_of, dtype=np.int32))
    ones = np.ones(int(ends[-1]), dtype=np.float32)
    shape = (len(words), int(columns.max()) + 1)
    counts = csr_array((ones, found[known], ends), shape=shape)
    counts.sum_duplicates()
    return counts


def _hash_values(words: pa.Array) -> tuple[npt.NDArray[np.int32], Indices]:
    """Return the hash values of the n-grams of each size at each character, `NO_NGRAM` for none.

    The first column is that of whole words. The second array is where each word starts.
    """
    characters, firsts = _characters(words)
    lengths = np.diff(firsts, append=len(characters))
    codes, starts = _with_boundaries(characters, lengths)
    remaining = np.repeat(starts + lengths + 2, lengths + 2) - np.arange(len(codes))
    buckets = np.full((len(codes), 1 + len(SIZES)), NO_NGRAM, dtype=np.int32)
    buckets[starts, 0] = _buckets(_word_hashes(characters, firsts), size=0)
    hashes = codes.copy()
    for size in range(2, max(SIZES) + 1):
        # The hash of the n-gram from each position: Horner's rule, wrapping at 64 bits.
        hashes *= np.uint64(_MULTIPLIER)
        hashes[: max(0, len(codes) - size + 1)] += codes[size - 1 :]
        if size in SIZES:
            chosen = remaining >= size
            buckets[chosen, 1 + SIZES.index(size)] = _buckets(hashes[chosen], size=size)
    return buckets, starts


def _characters(array: pa.Array) -> tuple[npt.NDArray[np.uint32], Indices]:
    """Return the code points of all texts, one after another, and the start of each text."""
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    text = b"" if data is None else data[int(offsets[0]) : int(offsets[-1])].to_pybytes()
    codes = np.frombuffer(text.decode().encode("utf-32-le"), dtype=np.uint32)
    lengths = pc.utf8_length(array).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, np.cumsum(lengths) - lengths


def _word_hashes(codes: npt.NDArray[np.uint32], starts: Indices) -> Hashes:
    """Return a polynomial hash, modulo 2**64, of the words from each start on."""
    if not len(starts):
        return np.empty(0, dtype=np.uint64)
    sums = np.add.reduceat(codes * _powers(_MULTIPLIER, len(codes)), starts)
    # As if each word started at 0: the multiplier is not even, so it has an inverse.
    return sums * _powers(pow(_MULTIPLIER, -1, 1 << 64), len(codes))[starts]


@lru_cache(maxsize=2)
def _power_table(base: int, count: int) -> Hashes:
    return np.multiply.accumulate(np.full(count, base, dtype=np.uint64))


def _powers(base: int, count: int) -> Hashes:
    """Return `base` to the powers from 1 to `count`, modulo 2**64."""
    return _power_table(base, 1 << count.bit_length())[:count]


def _with_boundaries(
    characters: npt.NDArray[np.uint32], lengths: Indices
) -> tuple[Hashes, Indices]:
    """Return the characters of words with a boundary at both ends, and where each word starts."""
    starts = np.cumsum(lengths + 2) - (lengths + 2)
    padded = np.full(len(characters) + 2 * len(lengths), BOUNDARY, dtype=np.uint64)
    shifts = 2 * np.arange(len(lengths)) + 1
    padded[np.arange(len(characters)) + np.repeat(shifts, lengths)] = characters
    return padded, starts


def _buckets(hashes: Hashes, *, size: int) -> Indices:
    """Return the hash values in 0..BUCKETS - 1: the upper bits of SplitMix64's finalizer."""
    mixed = hashes + np.uint64(size + 1)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed >> np.uint64(64 - 18)).astype(np.int64)
