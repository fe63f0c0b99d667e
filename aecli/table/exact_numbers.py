"""Exact differences from a reference value, the origin, and their sums, in integer arithmetic.

A float64 has 53 bits. A column whose values are so large that float64 loses their spread is
computed as `value - origin`, in words of 32 bits.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.array_types import Floats
from aecli.table.arrow_types import decoded_type, number_values

# Above this value, not every integer is a float64.
EXACT_INTEGER = 2.0**53
# Share of the spread that float64 may lose without an origin.
_TOLERATED_LOSS = 1e-6
_WORD = 1 << 32


def beyond_float64(kind: pa.DataType, low: float, high: float) -> bool:
    """Return whether values of a type from `low` to `high` have more digits than a float64."""
    return _largest(kind, low, high) >= EXACT_INTEGER


def needs_origin(kind: pa.DataType, low: float, high: float) -> bool:
    """Return whether float64 loses more than a millionth of the spread from `low` to `high`."""
    # Decimal fractions are not exact in float64; integers are, up to a limit.
    decimal = pa.types.is_decimal(decoded_type(kind))
    limit = EXACT_INTEGER * (_TOLERATED_LOSS if decimal else 1)
    if _largest(kind, low, high) < limit:
        return False
    return bool(np.spacing(max(-low, high)) > _TOLERATED_LOSS * (high - low))


def wide_decimal(kind: pa.DataType) -> pa.DataType:
    """Return a decimal type for texts of numbers of a type, with extra digits on both sides."""
    if pa.types.is_decimal(kind):
        return pa.decimal256(76, max(0, kind.scale) + (76 - kind.precision) // 2)
    return pa.decimal256(76, 20)


def first_value(array: pa.Array) -> str | None:
    """Return the first value as a decimal number in text, with all of its digits.

    Times are integers in their own unit. Returns None for an array without values.
    """
    array = array.drop_null()
    if not len(array):
        return None
    if pa.types.is_temporal(array.type):
        array = array.cast(pa.int64())
    return format(Decimal(array[0].as_py()), "f")


def differences(array: pa.Array, origin: Fraction) -> Floats:
    """Return `array - origin` `(n_rows,)`, computed exactly before rounding, NaN for null.

    Times are integers in their own unit.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _unit(array.type) is None:
        values = number_values(array).astype(np.float64)
        nearest = float(origin)
        return (values - nearest) - float(origin - Fraction(nearest))
    if array.type.bit_width < 64:
        decimal = pa.types.is_decimal(array.type)
        array = array.cast(pa.decimal128(9, array.type.scale) if decimal else pa.int64())
    unit = _unit(array.type) or Fraction(1)
    whole = math.floor(origin * unit)
    words = _words(array, len(_words_of(whole)))
    result = np.zeros(len(array))
    for at, word in reversed(list(enumerate(_words_of(whole, words.shape[1])))):
        result = result * _WORD + (words[:, at] - word)
    result = (result - float(origin * unit - whole)) / float(unit)
    result[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return result


def sums(offsets: Floats, origin: Fraction, kind: pa.DataType) -> pa.Array:
    """Return `origin + offsets` as an integer, decimal or 64-bit time, rounded to its unit.

    Values are clipped to the range of the type.
    """
    unit = _unit(kind) or Fraction(1)
    low, high = _bounds(kind)
    base = min(max(math.floor(origin * unit), low), high)
    with np.errstate(over="ignore"):
        steps = offsets * float(unit) + float(origin * unit - base)
    steps = np.clip(np.rint(steps), _at_least(low - base), _at_most(high - base))
    origin_words = _words_of(base, max(2, kind.bit_width // 32))
    words = np.empty((len(steps), len(origin_words)), dtype=np.int64)
    for at in reversed(range(len(origin_words))):
        size = float(_WORD) ** at
        words[:, at] = np.trunc(steps / size)  # same sign as the whole, so it is exact
        steps -= words[:, at] * size
    carry: npt.NDArray[np.int64] | int = 0
    for at, word in enumerate(origin_words):
        words[:, at] += word + carry
        carry = words[:, at] >> 32
    return _from_words((words & (_WORD - 1)).astype(np.uint32), kind)


def _largest(kind: pa.DataType, low: float, high: float) -> float:
    """Return the largest magnitude in units of the last digit; 0 for types that are exact."""
    kind = decoded_type(kind)
    unit = _unit(kind)
    if unit is None or kind.bit_width < 64 or not low <= high:
        return 0.0
    return max(-low, high) * float(unit)


def _unit(kind: pa.DataType) -> Fraction | None:
    """Return the number of steps per 1 of a type, None for types not stored as integers."""
    if pa.types.is_decimal(kind):
        return Fraction(10 ** abs(kind.scale)) ** (1 if kind.scale >= 0 else -1)
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return Fraction(1)
    return None


def _bounds(kind: pa.DataType) -> tuple[int, int]:
    if pa.types.is_decimal(kind):
        largest = 10**kind.precision - 1
        return -largest, largest
    limits = np.iinfo(kind.to_pandas_dtype() if pa.types.is_integer(kind) else np.int64)
    return int(limits.min), int(limits.max)


def _at_least(value: int) -> float:
    nearest = float(value)
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)


def _at_most(value: int) -> float:
    nearest = float(value)
    return nearest if nearest <= value else math.nextafter(nearest, -math.inf)


def _words_of(value: int, size: int | None = None) -> list[int]:
    """Return the words of an integer, lowest first; only the highest has a sign."""
    size = size or value.bit_length() // 32 + 1
    lower = [(value >> (32 * at)) % _WORD for at in range(size - 1)]
    return [*lower, value >> (32 * (size - 1))]


def _words(array: pa.Array, size: int) -> npt.NDArray[np.int64]:
    """Return the words of each value `(n_rows, n_words)`, at least `size` words."""
    stored = array.type.bit_width // 32
    raw = np.zeros((0, stored), dtype=np.uint32)
    if len(array):
        start = array.offset * stored * 4
        raw = np.frombuffer(array.buffers()[1], np.uint32, len(array) * stored, start)
        raw = raw.reshape(-1, stored)
    words = raw.astype(np.int64)
    if not pa.types.is_unsigned_integer(array.type):
        words[:, -1] = raw[:, -1].astype(np.int32)
    for _ in range(size - stored):
        words = np.column_stack([words, words[:, -1] >> 32])
        words[:, -2] &= _WORD - 1
    return words


def _from_words(words: npt.NDArray[np.uint32], kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        content: Any = np.ascontiguousarray(words[:, : kind.bit_width // 32])
        return pa.Array.from_buffers(kind, len(words), [None, pa.py_buffer(content)])
    whole = words.view(np.uint64)[:, 0]
    if pa.types.is_integer(kind):
        return pa.array(whole.astype(kind.to_pandas_dtype()))
    return pa.array(whole.view(np.int64)).cast(kind)
