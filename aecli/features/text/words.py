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

from aecli.array_types import AnyArray, Indices, Integers, Mask
from aecli.features.text.multibyte import Bytes, Characters, set_positions
from aecli.table.text_sample import MAX_CHARACTERS, cut_texts

BLOCK_BYTES = 1 << 19
"""Size of the texts that are split together, which bounds the memory."""

MAX_TEXT_BYTES = 4 * MAX_CHARACTERS
"""Maximum size of the characters of a text that are used."""

_KEY_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

LETTERS = 26

MAX_COMPARED_WORDS = 16
"""Number of words of a text up to which each one is compared with all others."""

WINDOW = 16
"""Bytes of a word that are hashed together."""

_LOW_BYTES = np.array(
    [((1 << 8 * min(size, 8)) - 1, (1 << 8 * max(size - 8, 0)) - 1) for size in range(WINDOW + 1)],
    dtype="<u8",
).view(f"V{WINDOW}")[:, 0]

_PADDING = np.zeros(WINDOW, dtype=np.uint8)

# What a byte is: the first one of a text, which may be whitespace too.
_SPACE, _FIRST = np.uint8(1), np.uint8(2)

Hashes = npt.NDArray[np.uint64]


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
    def sizes(self) -> Indices:
        """Return the number of words of each text."""
        return self.ends[1:] - self.ends[:-1]

    def spread(self, values: AnyArray) -> AnyArray:
        """Return the value of each word's text `(n_words,)`, of the values of texts."""
        bits, starts = values.view(f"i{values.itemsize}"), self.ends[:-1]
        if not self.sizes.all():
            bits, starts = bits[self.sizes > 0], starts[self.sizes > 0]
        # The differences of their bits have exact sums, three times as fast as `np.repeat`.
        steps = np.zeros(len(self.keys), dtype=bits.dtype)
        steps[starts[:1]] = bits[:1]
        steps[starts[1:]] = bits[1:] - bits[:-1]
        return np.cumsum(steps, out=steps).view(values.dtype)

    def sums(self, values: Integers) -> Integers:
        """Return the sum of each text's part of the values of all words."""
        # Cumulative sums of integers are exact, and ten times as fast as those of floats.
        totals = np.zeros(len(values) + 1, dtype=np.int64)
        np.cumsum(values, out=totals[1:])
        totals = totals.take(self.ends)
        return totals[1:] - totals[:-1]

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

    def counts(self, codes: Indices) -> AnyArray:
        """Return how often each word is in its text; equal words have equal codes `(n_words,)`."""
        longest = int(self.sizes.max(initial=0))
        if longest > MAX_COMPARED_WORDS:
            texts = self.spread(np.arange(len(self.sizes)))
            pairs = codes + texts * (int(codes.max()) + 1)
            found = pa.array(pairs).dictionary_encode().indices.to_numpy()
            totals: AnyArray = np.bincount(found)[found]
            return totals
        counts = np.ones(len(codes), dtype=np.uint8)
        continued = np.ones(len(codes) + 1, dtype=np.bool_)
        continued[self.ends] = False
        same_text = np.ones(len(codes), dtype=np.bool_)
        for distance in range(1, longest):
            same_text = same_text[:-1] & continued[distance:-1]
            first = set_positions((codes[distance:] == codes[:-distance]) & same_text)
            counts[first] += 1
            counts[first + distance] += 1
        return counts


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
    array = _used_texts(array)
    data, offsets = _padded(array)
    characters = Characters.of(data)
    if not characters.to_lower(data):
        data, offsets = _padded(pc.utf8_lower(array))
        characters = Characters.of(data)
    # Also where there are characters beyond ASCII, none of whose bytes is changed.
    upper = data - np.uint8(ord("A"))
    np.less(upper, LETTERS, out=upper.view(np.bool_))
    upper *= np.uint8(ord("a") - ord("A"))
    data += upper
    spaces = data[: offsets[-1] + 1] <= ord(" ")
    spaces[-1] = False
    characters.mark_whitespace(data, spaces)
    starts, lengths, ends = _word_slices(spaces, offsets)
    return Words(data, starts, lengths, _keys(data, starts, lengths), ends)


def _word_slices(spaces: Mask, offsets: Indices) -> tuple[Indices, Indices, Indices]:
    """Return the starts and the lengths of words, and `ends` as in `Words`.

    Args:
        spaces: which bytes are whitespace, with one more element.
        offsets: position of the first byte of each text, and the number of bytes.
    """
    kinds = spaces.view(np.uint8)
    kinds[offsets] |= _FIRST
    bounds = set_positions(kinds.astype(np.bool_))
    kinds = kinds.take(bounds)
    starts = bounds[:-1] + (kinds[:-1] & _SPACE)
    lengths = bounds[1:] - starts
    ends = set_positions(kinds >= _FIRST)
    if len(ends) < len(offsets):
        # A text without bytes starts where the next one does.
        ends = ends[np.cumsum(np.diff(offsets, prepend=-1) > 0) - 1]
    words = lengths > 0
    if not words.all():
        ends = np.append(0, np.cumsum(words))[ends]
        starts, lengths = starts[words], lengths[words]
    return starts, lengths, ends


def _used_texts(array: pa.Array) -> pa.Array:
    """Return texts of type `string` or `large_string`, of which longer ones are cut."""
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        array = array.cast(pa.large_string())
    offsets = _offsets(array)
    longest = int((offsets[1:] - offsets[:-1]).max(initial=0))
    return cut_texts(array) if longest > MAX_CHARACTERS else array


def _padded(array: pa.Array) -> tuple[Bytes, Indices]:
    """Return the bytes of all texts and padding, and where each text starts and ends."""
    offsets, data = _offsets(array), array.buffers()[2]
    values = np.frombuffer(b"" if data is None else data, dtype=np.uint8)
    first = offsets[0]
    data = np.append(values[first : offsets[-1]], _PADDING)
    return data, (offsets - first).astype(np.int64, copy=False)


def _offsets(array: pa.Array) -> AnyArray:
    """Return where each text starts and ends in the buffer, as 32 or 64 bits."""
    if not len(array):
        return np.zeros(1, dtype=np.int64)
    kind = np.int32 if pa.types.is_string(array.type) else np.int64
    return np.frombuffer(array.buffers()[1], dtype=kind)[array.offset :][: len(array) + 1]


def _windows(data: Bytes) -> AnyArray:
    """Return a view of the `WINDOW` bytes from each position on."""
    count = len(data) - WINDOW + 1
    return np.ndarray((count,), dtype=_LOW_BYTES.dtype, buffer=data.data, strides=(1,))


def text_keys(array: pa.Array) -> Hashes:
    """Return a hash of the characters of each text that are used; equal texts have equal keys.

    Args:
        array: texts `(n_texts,)`, without null.
    """
    data, offsets = _padded(_used_texts(array))
    lengths = np.diff(offsets)
    # A text may end with a byte of 0, as what is behind it does.
    keys = _keys(data, offsets[:-1], lengths)
    return keys ^ _mixed(lengths.view(np.uint64))


def _keys(data: Bytes, starts: Indices, lengths: Indices) -> Hashes:
    """Return hashes of words of which no byte is 0, by multiplication and shift."""
    low, high = _first_bytes(data, starts, lengths)
    keys = _mixed(_mixed(low) ^ high)
    longer = rows = set_positions(lengths > WINDOW)
    while len(rows):
        starts, lengths = starts[longer] + WINDOW, lengths[longer] - WINDOW
        low, high = _first_bytes(data, starts, lengths)
        keys[rows] = _mixed(_mixed(keys[rows] ^ low) ^ high)
        longer = np.flatnonzero(lengths > WINDOW)
        rows = rows[longer]
    return keys


def _first_bytes(data: Bytes, starts: Indices, lengths: Indices) -> tuple[Hashes, Hashes]:
    """Return the first `WINDOW` bytes of words as two numbers; what is behind a word is 0."""
    parts = _LOW_BYTES.take(lengths, mode="clip").view("<u8")
    parts &= _windows(data)[starts].view("<u8")
    return parts[::2], parts[1::2]


def _mixed(values: AnyArray) -> Hashes:
    mixed = values * _KEY_MULTIPLIER
    mixed ^= mixed >> np.uint64(32)
    mixed *= _KEY_MULTIPLIER
    return mixed
