"""Infer types of text cells, find the common type of several types, and convert cells."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.table.arrow_types import decoded_type, is_list, is_plain_number, is_text
from aecli.table.cell_kinds import SPACE

NULLS = (
    *("", "NA", "N/A", "n/a", "na", "#N/A", "#N/A N/A", "#NA", "<NA>", "N.A.", "n.a."),
    *("NULL", "Null", "null", "None", "none", "NONE", "nil", "NIL", "(null)", r"\N", "NaT"),
    *("NaN", "nan", "NAN", "-NaN", "-nan", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "#DIV/0!"),
    *("#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "-", "--", "---", "\u2013", "\u2014"),
    *("?", ".", "0000-00-00", "0000-00-00 00:00:00"),
)
"""Texts that mean missing in a column of numbers, booleans or times."""

_TRUE_TEXTS = ("yes", "y", "true", "t", "on", "1")
_FALSE_TEXTS = ("no", "n", "false", "f", "off", "0")
TIME_UNITS = ("s", "ms", "us", "ns")
_TIMES = (
    pa.date32(),
    *(pa.timestamp(unit) for unit in ("s", "us", "ns")),
    *(pa.timestamp(unit, "UTC") for unit in ("s", "us", "ns")),
)
_PROBED_CELLS = 16
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?")
_DOUBLE_DIGITS = 17  # of two numbers with more, one double may be the nearest
_DECIMAL128_DIGITS, _DECIMAL256_DIGITS, _LONG_DIGITS = 38, 76, 20


def infer_text(array: pa.Array, known: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds the cells of a text array and those of type `known`.

    Whole numbers padded with zeros and hexadecimal ones stay text. Numbers with more digits than a
    double holds are unsigned integers or decimals.
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


def join_types(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the type that can hold every value of both, None if only text could.

    Integers become a wider integer, numbers a double, times the finer unit; null becomes the other
    type; a dictionary counts as the type of its values.
    """
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if pa.types.is_dictionary(first) or pa.types.is_dictionary(second):
        return join_types(decoded_type(first), decoded_type(second))
    if is_text(first) and is_text(second):
        return pa.large_string()
    if is_plain_number(first) and is_plain_number(second):
        return _joined_numbers(first, second)
    if pa.types.is_time(first) and pa.types.is_time(second):
        return max(first, second, key=lambda kind: TIME_UNITS.index(kind.unit))
    if _is_time(first) and _is_time(second):
        return _joined_times(first, second)
    if is_list(first) and is_list(second):
        return _joined_lists(first, second)
    return None


def convert(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the cells as `target`.

    Text is parsed (`3`, `3.0` and ` 3 ` are the integer 3); integers become the nearest double,
    times the unit of the target; anything else that would change a value raises.

    Raises:
        pa.ArrowInvalid, pa.ArrowNotImplementedError: a cell does not fit.
    """
    source = array.type
    if source == target:
        return array
    if pa.types.is_null(target):
        return pa.nulls(len(array))  # only columns without a value have this type
    if pa.types.is_dictionary(source):
        return convert(array.dictionary_decode(), target)
    if pa.types.is_dictionary(target):
        return convert(array, target.value_type).dictionary_encode().cast(target)
    if is_text(source) and not is_text(target):
        return _parsed(array, target)
    if pa.types.is_boolean(target) and is_plain_number(source):
        truth = array.cast(pa.float64(), safe=False)
        if not pc.all(pc.is_in(truth, pa.array([0.0, 1.0, None]))).as_py():
            raise pa.ArrowInvalid("neither 0 nor 1")
        return pc.equal(truth, 1.0)
    if pa.types.is_fixed_size_list(target) and is_list(source):
        return _fixed_lists(array, target)
    if _is_time(source):
        return _cast_time(array, target)
    lossy = pa.types.is_integer(source) and pa.types.is_floating(target)
    return array.cast(target, safe=not lossy)


def _cast_time(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return times in another unit, where digits may be lost but no time becomes another."""
    return array.cast(options=pc.CastOptions(target, allow_time_truncate=True))


def _narrowest_type(array: pa.Array, known: pa.DataType) -> pa.DataType:
    if not pa.types.is_floating(known) and _casts(array, pa.int64()):
        return pa.string() if _are_codes(array) else pa.int64()
    numbers = _cast_or_none(array, pa.float64())
    if numbers is not None:
        if _are_codes(array) or _out_of_range(array, numbers):
            return pa.string()
        return pa.float64() if pa.types.is_floating(known) else _exact_type(array)
    # Texts 0 and 1 are numbers, whichever block of a file they are in.
    if _casts(array, pa.bool_()) and pc.min(pc.binary_length(array)).as_py() > 1:
        return pa.bool_()
    found = next((kind for kind in _TIMES if _casts(array, kind)), None)
    return found or _clock_type(array) or pa.string()


def _clock_type(array: pa.Array) -> pa.DataType | None:
    """Return the type of times of day such as 8:30, None for other texts."""
    if not _CLOCK.fullmatch(array[0].as_py()):
        return None
    for unit in ("us", "ns"):
        try:
            _by_clock(array, pa.time64(unit))
        except pa.ArrowInvalid:
            continue
        return pa.time64(unit)
    return None


def _exact_type(array: pa.Array) -> pa.DataType:
    """Return the type that holds every digit of numbers: a double where that is one."""
    if pc.max(pc.binary_length(array)).as_py() <= _DOUBLE_DIGITS:
        return pa.float64()
    digits = pc.extract_regex(array, r"^[+-]?(?P<whole>\d*)\.?(?P<part>\d*)$")
    if digits.null_count:  # exponents, inf and nan
        return pa.float64()
    lengths = [pc.binary_length(pc.struct_field(digits, [index])) for index in (0, 1)]
    if pc.max(pc.add(*lengths)).as_py() <= _DOUBLE_DIGITS:
        return pa.float64()
    whole, scale = (pc.max(length).as_py() for length in lengths)
    if not scale and _casts(array, pa.uint64()):
        return pa.uint64()
    return _decimal_type(whole, scale) or pa.float64()


def _decimal_type(whole: int, scale: int) -> pa.DataType | None:
    """Return the decimal with so many digits before and behind the point, None for too many."""
    digits = whole + scale
    if digits > _DECIMAL256_DIGITS:
        return None
    return (pa.decimal128 if digits <= _DECIMAL128_DIGITS else pa.decimal256)(digits, scale)


def _casts(array: pa.Array, kind: pa.DataType) -> bool:
    return _cast_or_none(array, kind) is not None


def _cast_or_none(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return _cast(array, kind)
    except pa.ArrowInvalid:
        return None


def _cast(text: pa.Array, kind: pa.DataType) -> pa.Array:
    # Arrow formats a message for every cell that does not fit: milliseconds where most do not.
    middle = len(text) // 2
    for start in (0, middle, len(text) - _PROBED_CELLS):
        text.slice(max(start, 0), _PROBED_CELLS).cast(kind)
    return text.cast(kind)


def _are_codes(array: pa.Array) -> bool:
    """Return whether numbers are padded with zeros, or all are like phone numbers."""
    if _any_padded(array):
        return True
    phone = array[0].as_py().startswith("+")
    return phone and bool(pc.all(pc.match_substring_regex(array, r"^\+[0-9]{7,}$")).as_py())


def _any_padded(array: pa.Array) -> bool:
    """Return whether a text begins with 0 and a digit or x, after a sign: `^[+-]?0[0-9xX]`.

    Arrow's regular expressions take longer than the conversion to numbers.
    """
    _, offset_bytes, text_bytes = array.buffers()
    text = np.frombuffer(text_bytes, np.uint8)
    offsets = np.frombuffer(offset_bytes, np.int32)[array.offset :][: len(array) + 1]
    first = text[offsets[:-1]]
    start = offsets[:-1] + ((first == ord("+")) | (first == ord("-")))
    zeros = np.flatnonzero(text[start] == ord("0"))
    after = start[zeros] + 1
    after = after[after < offsets[zeros + 1]]
    return bool(np.isin(text[after], list(b"0123456789xX")).any())


def _out_of_range(array: pa.Array, values: pa.Array) -> bool:
    """Return whether numbers, such as the identifier 12e3456, are infinite or 0 as a double."""
    infinite = array.filter(pc.is_inf(values))
    if len(infinite) and pc.any(pc.match_substring_regex(infinite, "[0-9]")).as_py():
        return True
    zeros = array.filter(pc.equal(values, 0))
    return len(zeros) > 0 and bool(pc.any(pc.match_substring_regex(zeros, "^[^eE]*[1-9]")).as_py())


def without_nulls(array: pa.Array) -> pa.Array:
    """Return text without surrounding space, null where it means missing."""
    array = pc.utf8_trim(array, SPACE)
    missing = pc.is_in(array, pa.array(NULLS, array.type))
    return pc.if_else(missing, pa.scalar(None, array.type), array)


def _parsed(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return _cast(array, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        first_error = error
    trimmed = without_nulls(array.cast(pa.string()))
    for parse in _PARSERS:
        try:
            return parse(trimmed, target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            continue
    raise first_error


def _by_number(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not (pa.types.is_integer(target) or pa.types.is_boolean(target)):
        raise pa.ArrowNotImplementedError("no number")
    return convert(text.cast(pa.float64()), target)


def _by_word(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_boolean(target):
        raise pa.ArrowNotImplementedError("no boolean")
    words = pc.utf8_lower(text)
    true = pc.is_in(words, pa.array(_TRUE_TEXTS))
    known = pc.or_(true, pc.is_in(words, pa.array((*_FALSE_TEXTS, None))))
    if not pc.all(known).as_py():
        raise pa.ArrowInvalid("neither true nor false")
    return pc.if_else(words.is_valid(), true, pa.scalar(None, pa.bool_()))


def _by_integer(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_duration(target):
        raise pa.ArrowNotImplementedError("no duration")
    return text.cast(pa.int64()).cast(target)


def _by_instant(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not (pa.types.is_timestamp(target) or pa.types.is_date(target)):
        raise pa.ArrowNotImplementedError("no date")
    zone = getattr(target, "tz", None)
    for unit in ("us", "ns"):
        try:
            return _cast_time(text.cast(pa.timestamp(unit, zone)), target)
        except pa.ArrowInvalid:
            continue
    raise pa.ArrowInvalid("no date")


def _by_clock(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_time(target):
        raise pa.ArrowNotImplementedError("no time of day")
    text = pc.replace_substring_regex(text, r"^(\d):", r"0\1:")
    instant = pc.binary_join_element_wise("1970-01-01", text, " ").cast(pa.timestamp("ns"))
    return instant.cast(pa.time64("ns")).cast(target, safe=pa.types.is_time64(target))


_PARSERS: tuple[Callable[[pa.Array, pa.DataType], pa.Array], ...] = (
    _cast,
    _by_number,
    _by_word,
    _by_integer,
    _by_instant,
    _by_clock,
)


def _fixed_lists(array: pa.Array, target: pa.DataType) -> pa.Array:
    lengths = pc.list_value_length(array)
    if pc.any(pc.not_equal(lengths, target.list_size)).as_py():  # null where every list is
        raise pa.ArrowInvalid(f"a list whose length is not {target.list_size}")
    # A null list has no values in a list array, and its full length of them in a fixed-size one.
    valid = array.is_valid()
    positions = pc.if_else(valid, pc.cumulative_sum(valid.cast(pa.int64())), None)
    values = pa.FixedSizeListArray.from_arrays(
        convert(array.flatten(), target.value_type), target.list_size
    )
    return values.take(pc.subtract(positions, 1)).cast(target)


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _joined_numbers(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_integer(first) and types.is_integer(second):
        signed = types.is_signed_integer(first) or types.is_signed_integer(second)
        width = max(first.bit_width, second.bit_width)
        if not signed:
            return {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[width]
        # An unsigned one needs one more bit than a signed one of its width.
        unsigned = [k.bit_width * 2 for k in (first, second) if types.is_unsigned_integer(k)]
        width = max(width, *unsigned) if unsigned else width
        narrow = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
        return narrow.get(width, pa.decimal128(_LONG_DIGITS, 0))
    if types.is_floating(first) and types.is_floating(second):
        return max(first, second, key=lambda kind: kind.bit_width)
    if types.is_floating(first) or types.is_floating(second):
        return pa.float64()
    whole = max(_whole_digits(first), _whole_digits(second))
    scale = max(getattr(first, "scale", 0), getattr(second, "scale", 0))
    return _decimal_type(whole, scale) or pa.float64()


def _whole_digits(kind: pa.DataType) -> int:
    if pa.types.is_decimal(kind):
        return int(kind.precision - kind.scale)
    return len(str(2**kind.bit_width))


def _joined_times(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    zones = {getattr(kind, "tz", None) for kind in (first, second)}
    if len(zones) > 1 and None in zones:
        return None
    units = [kind.unit for kind in (first, second) if pa.types.is_timestamp(kind)]
    if not units:
        return pa.date64()
    zone = zones.pop() if len(zones) == 1 else "UTC"
    return pa.timestamp(max(units, key=TIME_UNITS.index), zone)


def _joined_lists(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    inner = join_types(first.value_type, second.value_type)
    if inner is None:
        return None
    sizes = {getattr(kind, "list_size", None) for kind in (first, second)}
    size = sizes.pop() if len(sizes) == 1 else None
    return pa.list_(inner) if size is None else pa.list_(inner, size)
