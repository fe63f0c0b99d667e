"""Convert cells to another type, and text to the values that it represents."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from aecli.table.arrow_types import is_list, is_plain_number, is_text

_WITHOUT_WIDTH = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
SPACE = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _WITHOUT_WIDTH
"""Invisible characters that are not part of a number: white space and zero-width characters."""

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
_PROBED_CELLS = 16


def convert(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the cells as `target`.

    Text is parsed (`3`, `3.0` and ` 3 ` are the integer 3); integers become the nearest float,
    times the unit of the target; any other change of a value raises an error.

    Raises:
        pa.ArrowInvalid, pa.ArrowNotImplementedError: a cell does not fit.
    """
    source = array.type
    if source == target:
        return array
    if pa.types.is_null(target):
        return pa.nulls(len(array))  # only columns without values have this type
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
    if pa.types.is_timestamp(source) or pa.types.is_date(source):
        return _cast_time(array, target)
    lossy = pa.types.is_integer(source) and pa.types.is_floating(target)
    return array.cast(target, safe=not lossy)


def cast_text(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return text parsed by Arrow as `kind`; raise pa.ArrowInvalid if that fails."""
    # Arrow formats a message for every cell that does not fit, which takes milliseconds if many.
    middle = len(text) // 2
    for start in (0, middle, len(text) - _PROBED_CELLS):
        text.slice(max(start, 0), _PROBED_CELLS).cast(kind)
    return text.cast(kind)


def without_nulls(array: pa.Array) -> pa.Array:
    """Return stripped text, null where it means missing."""
    array = pc.utf8_trim(array, SPACE)
    missing = pc.is_in(array, pa.array(NULLS, array.type))
    return pc.if_else(missing, pa.scalar(None, array.type), array)


def _cast_time(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return times in another unit; precision may be lost, but no time becomes another."""
    return array.cast(options=pc.CastOptions(target, allow_time_truncate=True))


def _parsed(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return cast_text(array, target)
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
        raise pa.ArrowNotImplementedError("not a number")
    return convert(text.cast(pa.float64()), target)


def _by_word(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_boolean(target):
        raise pa.ArrowNotImplementedError("not a boolean")
    words = pc.utf8_lower(text)
    true = pc.is_in(words, pa.array(_TRUE_TEXTS))
    known = pc.or_(true, pc.is_in(words, pa.array((*_FALSE_TEXTS, None))))
    if not pc.all(known).as_py():
        raise pa.ArrowInvalid("neither true nor false")
    return pc.if_else(words.is_valid(), true, pa.scalar(None, pa.bool_()))


def _by_integer(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_duration(target):
        raise pa.ArrowNotImplementedError("not a duration")
    return text.cast(pa.int64()).cast(target)


def _by_instant(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not (pa.types.is_timestamp(target) or pa.types.is_date(target)):
        raise pa.ArrowNotImplementedError("not a date")
    zone = getattr(target, "tz", None)
    for unit in ("us", "ns"):
        try:
            return _cast_time(text.cast(pa.timestamp(unit, zone)), target)
        except pa.ArrowInvalid:
            continue
    raise pa.ArrowInvalid("not a date")


def clock_times(text: pa.Array, target: pa.DataType) -> pa.Array:
    """Return times of day, such as 8:30; raise pa.ArrowInvalid for other text."""
    if not pa.types.is_time(target):
        raise pa.ArrowNotImplementedError("not a time of day")
    text = pc.replace_substring_regex(text, r"^(\d):", r"0\1:")
    instant = pc.binary_join_element_wise("1970-01-01", text, " ").cast(pa.timestamp("ns"))
    return instant.cast(pa.time64("ns")).cast(target, safe=pa.types.is_time64(target))


_PARSERS: tuple[Callable[[pa.Array, pa.DataType], pa.Array], ...] = (
    cast_text,
    _by_number,
    _by_word,
    _by_integer,
    _by_instant,
    clock_times,
)


def _fixed_lists(array: pa.Array, target: pa.DataType) -> pa.Array:
    lengths = pc.list_value_length(array)
    if pc.any(pc.not_equal(lengths, target.list_size)).as_py():  # null if every list is null
        raise pa.ArrowInvalid(f"a list whose length is not {target.list_size}")
    # A null list has no elements in a list array, but all of them in a fixed-size list array.
    valid = array.is_valid()
    positions = pc.if_else(valid, pc.cumulative_sum(valid.cast(pa.int64())), None)
    values = pa.FixedSizeListArray.from_arrays(
        convert(array.flatten(), target.value_type), target.list_size
    )
    return values.take(pc.subtract(positions, 1)).cast(target)
