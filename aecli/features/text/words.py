"""Split texts into words: where each one is, and a key that equal words share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyArray, Float32s, Indices, Mask
from aecli.table.text_sample import MAX_CHARACTERS, cut_texts

BLOCK_BYTES = 1 << 19
"""Size of the texts that are split together, which bounds the memory."""

MAX_TEXT_BYTES = 4 * MAX_CHARACTERS
"""Maximum size of the characters of a text that are used."""

# Whitespace of Unicode (the property White_Space) beyond the control characters and the space.
_WHITESPACE = [0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
_PATTERNS = {
    size: [
        int.from_bytes(encoded, "little")
        for encoded in (chr(point).encode() for point in _WHITESPACE)
        if len(encoded) == size
    ]
    for size in (2, 3)
}
_FIRST_BYTES = np.array(sorted({chr(point).encode()[0] for point in _WHITESPACE}), dtype=np.uint8)

_KEY_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

MAX_ASCII = 127
LETTERS = 26

MAX_COMPARED_WORDS = 16
"""Number of words of a text up to which each one is compared with all others."""

WINDOW = 8
"""Bytes of a word that are hashed together."""

_LOW_BYTES = np.array([(1 << 8 * size) - 1 for size in range(WINDOW + 1)], dtype=np.uint64)

Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Words:
    """Words of texts, in order: those of text `i` are from `ends[i]` to `ends[i + 1]`.

    Word `i` is `data[starts[i] : starts[i] + lengths[i]]` in UTF-8. Equal words have equal `keys`.
    """

    data: Bytes
    starts: Indices
    lengths: Indices
    keys: Hashes
    ends: Indices

    @cached_property
    def text_of(self) -> Indices:
        """Return the position of each word's text."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))

    def strings(self, positions: Indices) -> pa.Array:
        """Return the words at positions."""
        starts, lengths = self.starts[positions], self.lengths[positions]
        ends = np.append(0, np.cumsum(lengths))
        inside = np.arange(int(ends[-1])) + np.repeat(starts - ends[:-1], lengths)
        buffers = (pa.py_buffer(ends), pa.py_buffer(self.data[inside]))
        return pa.LargeStringArray.from_buffers(len(positions), *buffers)

    def distinct(self) -> tuple[pa.Array, Indices]:
        """Return the distinct words, and the position of each word among these."""
        encoded = pa.array(self.keys).dictionary_encode()
        codes = encoded.indices.to_numpy().astype(np.int64)
        first = np.empty(len(encoded.dictionary), dtype=np.int64)
        first[codes] = np.arange(len(codes))
        return self.strings(first), codes

    def counts(self) -> Float32s:
        """Return how often each word is in its text."""
        counts = np.ones(len(self.keys), dtype=np.float32)
        repeated = np.flatnonzero(self._repeated())
        if len(repeated):
            pairs = self.keys[repeated] + self.text_of[repeated].view(np.uint64) * _KEY_MULTIPLIER
            codes = pa.array(pairs).dictionary_encode().indices.to_numpy()
            counts[repeated] = np.bincount(codes)[codes]
        return counts

    def _repeated(self) -> Mask:
        """Return the words that are in their texts again; where a text is long, all words."""
        longest = int(np.diff(self.ends).max(initial=0))
        repeated = np.full(len(self.keys), longest > MAX_COMPARED_WORDS)
        if not repeated.all():
            for distance in range(1, longest):
                equal = self.keys[distance:] == self.keys[:-distance]
                equal &= self.text_of[distance:] == self.text_of[:-distance]
                repeated[distance:] |= equal
                repeated[:-distance] |= equal
        return repeated


def text_blocks(array: pa.Array) -> Iterator[pa.Array]:
    """Yield slices of texts, none of which is null, of limited size."""
    if array.nbytes <= BLOCK_BYTES:
        yield array
        return
    sizes = pc.binary_length(array).to_numpy(zero_copy_only=False)
    ends = np.cumsum(np.minimum(sizes, MAX_TEXT_BYTES))
    starts = np.searchsorted(ends, np.arange(0, 1 + ends[-1], BLOCK_BYTES))
    for start, stop in pairwise([*np.unique(starts), len(array)]):
        yield array.slice(start, stop - start)


def split_words(array: pa.Array) -> Words:
    """Split texts, in lower case, at whitespace.

    Args:
        array: texts `(n_texts,)`, without null.
    """
    array = cut_texts(array)
    lowered = _data(array)
    if lowered.max(initial=0) > MAX_ASCII:
        array = pc.utf8_lower(array)
        lowered = _data(array)
    else:
        lowered = lowered + (lowered - ord("A") < LETTERS) * np.uint8(ord("a") - ord("A"))
    data = np.append(lowered, np.zeros(WINDOW, dtype=np.uint8))
    text_starts = _offsets(array)[:-1] - _offsets(array)[0]
    starts, lengths = _word_slices(_inside_words(data, len(lowered)), text_starts)
    ends = np.append(_first_words(starts, text_starts, len(lowered)), len(starts))
    return Words(data, starts, lengths, _keys(data, starts, lengths), ends)


def _first_words(starts: Indices, text_starts: Indices, size: int) -> Indices:
    """Return how many words start before each text."""
    begins = np.zeros(size + 1, dtype=np.bool_)
    begins[text_starts] = True
    first = np.flatnonzero(begins[starts])
    # Usually each text starts with a word, at its first byte.
    return first if len(first) == len(text_starts) else np.searchsorted(starts, text_starts)


def _offsets(array: pa.Array) -> Indices:
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64)
    return offsets[array.offset : array.offset + len(array) + 1]


def _data(array: pa.Array) -> Bytes:
    """Return the bytes of all texts, one after another."""
    if not len(array):
        return np.zeros(0, dtype=np.uint8)
    offsets, data = _offsets(array), array.buffers()[2]
    values = np.frombuffer(b"" if data is None else data, dtype=np.uint8)
    return values[offsets[0] : offsets[-1]]


def _windows(data: Bytes) -> Hashes:
    """Return a view of the `WINDOW` bytes from each position on, as one little-endian number."""
    count = len(data) - WINDOW + 1
    return np.ndarray((count,), dtype="<u8", buffer=data.data, strides=(1,))


def _inside_words(data: Bytes, size: int) -> Mask:
    """Return which of the first `size` bytes are not whitespace."""
    inside: Mask = data[:size] > ord(" ")
    if not size or data.max() < _FIRST_BYTES[0]:
        return inside
    first = np.flatnonzero(np.isin(data[:size], _FIRST_BYTES))
    windows = _windows(data)[first]
    for length, patterns in _PATTERNS.items():
        found = first[np.isin(windows & _LOW_BYTES[length], np.array(patterns, dtype=np.uint64))]
        inside[found[:, None] + np.arange(length)] = False
    return inside


def _word_slices(inside: Mask, text_starts: Indices) -> tuple[Indices, Indices]:
    """Return the starts and the lengths of words, which end at spaces and at ends of texts."""
    # Padded by a byte outside of words at both ends; `joined[i]` is whether byte i continues
    # the word of byte i - 1.
    joined = np.zeros(len(inside) + 1, dtype=np.bool_)
    np.logical_and(inside[1:], inside[:-1], out=joined[1:-1])
    joined[text_starts] = False
    starts = np.flatnonzero(inside & ~joined[:-1])
    ends = np.flatnonzero(inside & ~joined[1:])
    return starts, ends + 1 - starts


def text_keys(array: pa.Array) -> Hashes:
    """Return a hash of the characters of each text that are used; equal texts have equal keys.

    Args:
        array: texts `(n_texts,)`, without null.
    """
    array = cut_texts(array)
    data, offsets = np.append(_data(array), np.zeros(WINDOW, dtype=np.uint8)), _offsets(array)
    lengths = np.diff(offsets)
    # A text may end with a byte of 0, as what is behind it does.
    return _keys(data, offsets[:-1] - offsets[0], lengths) ^ _mixed(lengths.view(np.uint64))


def _keys(data: Bytes, starts: Indices, lengths: Indices) -> Hashes:
    """Return hashes of words of which no byte is 0, by multiplication and shift."""
    windows = _windows(data)
    keys = _mixed(windows[starts] & _LOW_BYTES[np.minimum(lengths, WINDOW)])
    longer = np.flatnonzero(lengths > WINDOW)
    done = WINDOW
    while len(longer):
        rest = lengths[longer] - done
        part = windows[starts[longer] + done] & _LOW_BYTES[np.minimum(rest, WINDOW)]
        keys[longer] = _mixed(keys[longer] ^ part)
        longer = longer[rest > WINDOW]
        done += WINDOW
    return keys


def _mixed(values: AnyArray) -> Hashes:
    mixed = values * _KEY_MULTIPLIER
    mixed ^= mixed >> np.uint64(32)
    return mixed * _KEY_MULTIPLIER
