"""Words of texts and their hashed character n-grams, as sparse count matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Indices, Mask
from aecli.table.text_sample import cut_texts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BUCKETS = 1 << 18
"""Number of hash values of n-grams."""

SIZES = (2, 3, 4, 5)
"""Numbers of characters of the n-grams, where the boundary of a word is one."""

BOUNDARY = 2
"""Code of a word's boundary; the control character of this code is rare in texts."""

# Whitespace of Unicode (the property White_Space) beyond the control characters and the space.
_WHITESPACE = np.array(
    [0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000],
    dtype=np.uint32,
)
_MULTIPLIER = 0x9E3779B97F4A7C15

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Words:
    """Distinct words of texts: `counts` `(n_texts, n_words)` and each word's characters.

    `codes` are the characters of all words, each with a boundary at both ends; word `i` is
    `codes[starts[i] : starts[i] + lengths[i]]`. `hashes` are those of the whole words.
    """

    counts: csr_array
    codes: Hashes
    starts: Indices
    lengths: Indices
    hashes: Hashes


def split_words(array: pa.Array) -> Words:
    """Split texts, in lower case, at whitespace.

    Args:
        array: texts `(n_texts,)`, without null.
    """
    codes, text_starts = _characters(pc.utf8_lower(cut_texts(array)))
    inside = codes > ord(" ")
    if len(codes) and codes.max() >= _WHITESPACE[0]:
        inside &= ~np.isin(codes, _WHITESPACE)
    # Words end at spaces and at the ends of texts.
    edge = np.zeros(len(codes) + 1, dtype=np.bool_)
    edge[text_starts] = edge[-1] = True
    starts = np.flatnonzero(inside & (edge[:-1] | ~_shifted(inside, 1)))
    lengths = np.flatnonzero(inside & (edge[1:] | ~_shifted(inside, -1))) + 1 - starts
    encoded = pa.array(_word_hashes(codes * inside, starts)).dictionary_encode()
    words = encoded.indices.to_numpy()
    first = np.empty(len(encoded.dictionary), dtype=np.int64)
    first[words[::-1]] = np.arange(len(words) - 1, -1, -1)
    padded, padded_starts = _with_boundaries(codes, starts[first], lengths[first])
    ends = np.concatenate([np.searchsorted(starts, text_starts), [len(starts)]])
    return Words(
        _counts(words, ends, columns=len(first)),
        padded,
        padded_starts,
        lengths[first] + 2,
        encoded.dictionary.to_numpy(),
    )


def ngram_counts(words: Words) -> csr_array:
    """Return how often each word has the n-grams of each hash value `(n_words, BUCKETS)`.

    The whole word is one more feature.
    """
    owners = [np.arange(len(words.lengths))]
    buckets = [_buckets(words.hashes, size=0)]
    owner_of = np.repeat(owners[0], words.lengths)
    position = np.arange(len(words.codes)) - np.repeat(words.starts, words.lengths)
    remaining = np.repeat(words.lengths, words.lengths) - position
    hashes = np.zeros(len(words.codes), dtype=np.uint64)
    for size in range(1, max(SIZES) + 1):
        # The hash of the n-gram from each position: Horner's rule, wrapping at 64 bits.
        hashes = hashes * np.uint64(_MULTIPLIER)
        hashes[: len(hashes) - size + 1] += words.codes[size - 1 :]
        if size in SIZES:
            chosen = remaining >= size
            owners.append(owner_of[chosen])
            buckets.append(_buckets(hashes[chosen], size=size))
    order = np.argsort(np.concatenate(owners), kind="stable")
    ends = np.searchsorted(np.concatenate(owners)[order], np.arange(len(words.lengths) + 1))
    return _counts(np.concatenate(buckets)[order], ends, columns=BUCKETS)


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
    """Return a polynomial hash, modulo 2**64, of the words from each start on; spaces are 0."""
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


def _shifted(mask: Mask, by: int) -> Mask:
    """Return the mask of the characters before (1) or after (-1) each one; False at the end."""
    shifted = np.zeros_like(mask)
    if by > 0:
        shifted[by:] = mask[:-by]
    else:
        shifted[:by] = mask[-by:]
    return shifted


def _gathered(starts: Indices, lengths: Indices) -> tuple[Indices, Indices]:
    """Return the positions in slices, one after another, and where each slice starts there."""
    firsts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) + np.repeat(starts - firsts, lengths), firsts


def _with_boundaries(
    codes: npt.NDArray[np.uint32], starts: Indices, lengths: Indices
) -> tuple[Hashes, Indices]:
    """Return the characters of words with a boundary at both ends, and where each one starts."""
    flat, firsts = _gathered(starts, lengths)
    padded_starts = firsts + 2 * np.arange(len(starts))
    padded = np.full(len(flat) + 2 * len(starts), BOUNDARY, dtype=np.uint64)
    padded[np.arange(len(flat)) + np.repeat(padded_starts + 1 - firsts, lengths)] = codes[flat]
    return padded, padded_starts


def _buckets(hashes: Hashes, *, size: int) -> Indices:
    """Return the hash values in 0..BUCKETS - 1: the upper bits of SplitMix64's finalizer."""
    mixed = hashes + np.uint64(size + 1)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed >> np.uint64(64 - 18)).astype(np.int64)


def _counts(columns_of: Indices, ends: Indices, *, columns: int) -> csr_array:
    """Return counts of the column indices of each row, which end at `ends[1:]`."""
    from scipy.sparse import csr_array

    ones = np.ones(len(columns_of), dtype=np.float32)
    counts = csr_array((ones, columns_of, ends), shape=(len(ends) - 1, columns))
    counts.sum_duplicates()
    return counts
