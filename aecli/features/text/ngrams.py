"""Hashed character n-grams of words, as a sparse count matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyArray, Indices, Mask
from aecli.features.text.multibyte import set_positions

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BUCKETS = 1 << 18
"""Number of hash values of n-grams."""

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
        columns: column of each hash value `(BUCKETS,)`; -1 is not counted.
    """
    from scipy.sparse import csr_array

    n_columns = int(columns.max()) + 1
    bits = n_columns.bit_length()
    found = _known_ngrams(words, columns, bits)
    found.sort()
    different = np.ones(len(found), dtype=np.bool_)
    np.not_equal(found[1:], found[:-1], out=different[1:])
    firsts = np.flatnonzero(different)
    counts = np.diff(firsts, append=len(found)).astype(np.float32)
    found = found.take(firsts).astype(np.int64)
    rows, indices = found >> bits, (found & ((1 << bits) - 1)).astype(np.int32)
    ends = np.append(0, np.bincount(rows, minlength=len(words)).cumsum()).astype(np.int32)
    return csr_array((counts, indices, ends), shape=(len(words), n_columns))


def _known_ngrams(words: pa.Array, columns: Indices, bits: int) -> AnyArray:
    """Return the word's position and, in the lowest bits, the column of each n-gram that has one.

    Numbers of 32 bits, which are sorted faster, where these are enough.
    """
    characters, firsts = _characters(words)
    lengths = np.diff(firsts, append=len(characters))
    codes, starts = _with_boundaries(characters, lengths)
    remaining = np.repeat(starts + lengths + 2, lengths + 2) - np.arange(len(codes))
    kind = np.uint32 if len(words) << bits <= 1 << 32 else np.uint64
    first: AnyArray = (np.arange(len(words)) << bits).astype(kind)
    of_codes = np.repeat(first, lengths + 2)
    found = columns.take(_buckets(_word_hashes(characters, firsts), size=0))
    parts = [_with_columns(first, found, found >= 0)]
    hashes = codes.copy()
    for size in range(2, max(SIZES) + 1):
        # The hash of the n-gram from each position: Horner's rule, wrapping at 64 bits.
        hashes *= np.uint64(_MULTIPLIER)
        hashes[: max(0, len(codes) - size + 1)] += codes[size - 1 :]
        if size in SIZES:
            found = columns.take(_buckets(hashes, size=size))
            parts.append(_with_columns(of_codes, found, (found >= 0) & (remaining >= size)))
    return np.concatenate(parts)


def _with_columns(words: AnyArray, columns: Indices, chosen: Mask) -> AnyArray:
    positions = set_positions(chosen)
    joined: AnyArray = words.take(positions) | columns.take(positions).astype(words.dtype)
    return joined


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
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed >>= np.uint64(64 - 18)
    return mixed.view(np.int64)
