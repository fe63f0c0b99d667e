"""Characters of several bytes in UTF-8: their lower case, and which ones are whitespace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyArray, Indices, Mask

FIRST_LEAD = 0xC2
"""Lowest first byte of a character of several bytes."""

FIRST_CAPITAL, LAST_CAPITAL = 0x80, 0x1FFFF
"""Code points between which all letters are that have a lower case and several bytes."""

# Those of Unicode (the property White_Space) of several bytes.
_WHITESPACE = [0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]

GROUP = 8
"""Number of elements of a mask that are compared together."""

_NUMBERS = {
    size: [
        int.from_bytes(encoded, "little")
        for encoded in (chr(point).encode() for point in _WHITESPACE)
        if len(encoded) == size
    ]
    for size in (2, 3)
}

_UNKNOWN = np.uint16(0)

Bytes = npt.NDArray[np.uint8]


def set_positions(mask: Mask) -> Indices:
    """Return the positions of a mask that are set, ascending."""
    if not len(mask) < 100 * np.count_nonzero(mask) < 10 * len(mask):
        return mask.nonzero()[0]
    # NumPy searches for each one of less than a tenth: comparing eight together is faster.
    whole = len(mask) // GROUP * GROUP
    groups = mask[:whole].view(np.uint64)
    used = (groups != 0).nonzero()[0]
    found = groups.take(used).view(np.bool_).nonzero()[0]
    positions = used.take(found // GROUP) * GROUP + found % GROUP
    return np.append(positions, whole + mask[whole:].nonzero()[0])


@dataclass(frozen=True)
class Characters:
    """Characters of several bytes in texts: where they start, and their first two bytes."""

    starts: Indices
    pairs: AnyArray

    @classmethod
    def of(cls, data: Bytes) -> Characters:
        """Return those of UTF-8 that ends with padding."""
        starts = set_positions(data >= FIRST_LEAD)
        return cls(starts, _pairs(data.take(starts), data.take(starts + 1)))

    def to_lower(self, data: Bytes) -> bool:
        """Change the bytes to lower case; return False where that has other sizes, or may have."""
        if not len(self.pairs):
            return True
        lower = _lower_pairs().take(self.pairs)
        if not lower.all():
            return False
        changed = np.flatnonzero(lower != self.pairs)
        starts, lower = self.starts[changed], lower[changed]
        data[starts], data[starts + 1] = lower >> 8, lower & 0xFF
        return True

    def mark_whitespace(self, data: Bytes, marks: Mask) -> None:
        """Set the marks of the bytes of whitespace."""
        if not len(self.pairs):
            return
        found = self.starts[np.flatnonzero(_whitespace_pairs().take(self.pairs))]
        for size, numbers in _NUMBERS.items() if len(found) else ():
            encoded = sum(data[found + at].astype(np.int64) << 8 * at for at in range(size))
            bytes_of = found[np.isin(encoded, numbers)][:, None] + np.arange(size)
            marks[bytes_of] = True


def _pairs(first: AnyArray, second: AnyArray) -> AnyArray:
    return first.astype(np.uint16) << np.uint16(8) | second


@lru_cache(maxsize=1)
def _lower_pairs() -> AnyArray:
    """Return the first two bytes of the lower case by those of a character `(65536,)`.

    0 stands for those that several characters share, of which one has a lower case, and for lower
    case of another size.
    """
    points = np.arange(FIRST_CAPITAL, LAST_CAPITAL + 1, dtype=np.uint32)
    points = points[(points < 0xD800) | (points > 0xDFFF)]  # without surrogates
    text = pc.utf8_lower(pa.scalar(points.tobytes().decode("utf-32-le"))).as_py()
    lower = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    pairs = _first_bytes(points)
    table = np.full(1 << 16, _UNKNOWN)
    table[pairs] = pairs
    table[pairs[lower != points]] = _UNKNOWN
    two_bytes = (points < 0x800) & (lower >= FIRST_CAPITAL) & (lower < 0x800)
    table[pairs[two_bytes]] = _first_bytes(lower[two_bytes])
    return table


@lru_cache(maxsize=1)
def _whitespace_pairs() -> Mask:
    """Return which first two bytes whitespace may have `(65536,)`."""
    table = np.zeros(1 << 16, dtype=np.bool_)
    table[_first_bytes(np.array(_WHITESPACE, dtype=np.uint32))] = True
    return table


def _first_bytes(points: AnyArray) -> AnyArray:
    """Return the first two bytes of code points that have two to four."""
    size = 2 + (points >= 0x800).astype(np.uint32) + (points >= 0x10000)
    shift = 6 * (size - 1)
    lead = np.array([0xC0, 0xE0, 0xF0])[size - 2] | points >> shift
    return _pairs(lead, 0x80 | points >> (shift - 6) & 0x3F)
