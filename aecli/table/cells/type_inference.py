"""Infer the types of the values in text cells."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Mask
from aecli.table.cells.conversion import cast_text, clock_times, without_nulls
from aecli.table.cells.type_joins import decimal_type, join_types

_TIMES = (
    pa.date32(),
    *(pa.timestamp(unit) for unit in ("s", "us", "ns")),
    *(pa.timestamp(unit, "UTC") for unit in ("s", "us", "ns")),
)
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?")
_PROBED_NUMBERS = 16
_PADDED = np.isin(np.arange(256), list(b"0123456789xX"))
_DOUBLE_DIGITS = 17  # numbers with more digits may share their nearest float64


def infer_text(array: pa.Array, known: pa.DataType) -> pa.DataType:
    """Return the narrowest type that fits the cells of a text array and those of type `known`.

    Integers padded with zeros and hexadecimal numbers stay text. Numbers with more digits than a
    float64 are unsigned integers or decimals.
    """
    if pa.types.is_string(known) or array.null_count == len(array):
        return known
    array = array.drop_null()
    kind = _narrowest_type(array, known)
    if pa.types.is_string(kind):
        array = without_nulls(array).drop_null()
        kind = _narrowest_type(array, known) if len(array) else pa.null()
    return join_types(known, kind) or pa.string()


def infer_times(array: pa.Array) -> pa.DataType:
    """Return the type of dates or times if all texts are such, else the type of the array."""
    present = array.drop_null()
    if not len(present):
        return pa.null()
    return next((kind for kind in _TIMES if _casts(present, kind)), array.type)


def _narrowest_type(array: pa.Array, known: pa.DataType) -> pa.DataType:
    if not pa.types.is_floating(known) and _casts(array, pa.int64()):
        return pa.string() if _are_codes(array) else pa.int64()
    numbers = _cast_or_none(array, pa.float64())
    if numbers is not None:
        missing = pc.is_nan(numbers)
        if pc.any(missing).as_py():
            array, numbers = (values.filter(pc.invert(missing)) for values in (array, numbers))
            return _narrowest_type(array, known) if len(array) else pa.null()
        if _are_codes(array) or _out_of_range(array, numbers):
            return pa.string()
        return pa.float64() if pa.types.is_floating(known) else _exact_type(array)
    # The texts 0 and 1 are numbers, in any block of a file.
    if _casts(array, pa.bool_()) and pc.min(pc.binary_length(array)).as_py() > 1:
        return pa.bool_()
    time_type = next((kind for kind in _TIMES if _casts(array, kind)), None)
    return time_type or _clock_type(array) or pa.string()


def _clock_type(array: pa.Array) -> pa.DataType | None:
    """Return the type of times of day such as 8:30, None for other texts."""
    if not _TIME_OF_DAY.fullmatch(array[0].as_py()):
        return None
    for unit in ("us", "ns"):
        try:
            clock_times(array, pa.time64(unit))
        except pa.ArrowInvalid:
            continue
        return pa.time64(unit)
    return None


def _exact_type(array: pa.Array) -> pa.DataType:
    """Return the type that keeps every digit of numbers: float64 if it does."""
    if pc.max(pc.binary_length(array)).as_py() <= _DOUBLE_DIGITS:
        return pa.float64()
    digits = pc.extract_regex(array, r"^[+-]?(?P<whole>\d*)\.?(?P<part>\d*)$")
    if digits.null_count:  # exponents, inf and nan
        return pa.float64()
    lengths = [pc.binary_length(pc.struct_field(digits, [index])) for index in (0, 1)]
    long = array.filter(pc.greater(pc.add(*lengths), _DOUBLE_DIGITS))
    whole, scale = (pc.max(length).as_py() for length in lengths)
    if not len(long) or (scale and all(map(_prints_double, long[:_PROBED_NUMBERS].to_pylist()))):
        return pa.float64()
    if not scale and _casts(array, pa.uint64()):
        return pa.uint64()
    return decimal_type(whole, scale) or pa.float64()


def _prints_double(text: str) -> bool:
    """Return whether a number's digits are exactly those of the nearest float64."""
    scale = len(text.partition(".")[2])
    return f"{float(text):.{scale}f}".lstrip("-0") == text.lstrip("+-0")


def _casts(array: pa.Array, kind: pa.DataType) -> bool:
    return _cast_or_none(array, kind) is not None


def _cast_or_none(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return cast_text(array, kind)
    except pa.ArrowInvalid:
        return None


def _are_codes(array: pa.Array) -> bool:
    """Return whether numbers are padded with zeros, or all look like phone numbers."""
    if _any_padded(array):
        return True
    phone = array[0].as_py().startswith("+")
    return phone and bool(pc.all(pc.match_substring_regex(array, r"^\+[0-9]{7,}$")).as_py())


def _any_padded(array: pa.Array) -> bool:
    """Return whether a text begins with 0 followed by a digit or x, after a sign.

    The pattern is `^[+-]?0[0-9xX]`; Arrow's regular expressions are slower than the conversion.
    """
    _, offset_bytes, text_bytes = array.buffers()
    text = np.frombuffer(text_bytes, np.uint8)
    offsets = np.frombuffer(offset_bytes, np.int32)[array.offset :][: len(array) + 1]
    first = text[offsets[:-1]]
    start = offsets[:-1] + ((first == ord("+")) | (first == ord("-")))
    zeros = np.flatnonzero(text[start] == ord("0"))
    after = start[zeros] + 1
    after = after[after < offsets[zeros + 1]]
    return bool(_PADDED[text[after]].any())


def _out_of_range(array: pa.Array, values: pa.Array) -> bool:
    """Return whether numbers, such as the identifier 12e3456, are infinite or 0 as float64."""
    known = values.to_numpy(zero_copy_only=False)
    infinite, zero = np.isinf(known), known == 0
    if infinite.any() and _any_matches(array, infinite, "[0-9]"):
        return True
    return bool(zero.any()) and _any_matches(array, zero, "^[^eE]*[1-9]")


def _any_matches(array: pa.Array, chosen: Mask, pattern: str) -> bool:
    matches = pc.match_substring_regex(array.filter(pa.array(chosen)), pattern)
    return bool(pc.any(matches).as_py())
