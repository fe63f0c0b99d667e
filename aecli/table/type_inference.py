"""Infer types of text cells, find the common type of several types, and convert cells."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from aecli.table.arrow_types import decoded_type, is_list, is_plain_number, is_text

NULLS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "n/a", "nan", "null"),
)
"""Text cells that are missing."""

TIME_UNITS = ("s", "ms", "us", "ns")
_TIMES = (
    pa.date32(),
    *(pa.timestamp(unit) for unit in ("s", "us", "ns")),
    *(pa.timestamp(unit, "UTC") for unit in ("s", "us", "ns")),
)
_PROBED_CELLS = 16
_MAX_INTEGER_DIGITS = 18  # a longer one does not fit in an int64, and loses digits as a double


def infer_text(array: pa.Array, known: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds the cells of a text array and those of type `known`.

    Whole numbers padded with zeros, hexadecimal ones and those too long for an int64 stay text.
    """
    if pa.types.is_string(known) or array.null_count == len(array):
        return known
    array = array.drop_null()
    kind = _narrowest_type(array, known)
    if pa.types.is_string(kind):
        array = _trimmed(array).drop_null()
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
    lossy = _is_time(source) or (pa.types.is_integer(source) and pa.types.is_floating(target))
    return array.cast(target, safe=not lossy)


def first_misfit(array: pa.Array, target: pa.DataType) -> int:
    """Return the position of the first cell that `convert` cannot convert."""
    start, length = 0, len(array)
    while length > 1:
        half = length // 2
        if _fits(array.slice(start, half), target):
            start, length = start + half, length - half
        else:
            length = half
    return start


def _fits(array: pa.Array, target: pa.DataType) -> bool:
    try:
        convert(array, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _narrowest_type(array: pa.Array, known: pa.DataType) -> pa.DataType:
    if not pa.types.is_floating(known) and _casts(array, pa.int64()):
        return pa.string() if _padded(array) else pa.int64()
    if _casts(array, pa.float64()):
        return pa.string() if _long_or_padded(array) else pa.float64()
    # Texts 0 and 1 are numbers, whichever block of a file they are in.
    if _casts(array, pa.bool_()) and pc.min(pc.binary_length(array)).as_py() > 1:
        return pa.bool_()
    return next((kind for kind in _TIMES if _casts(array, kind)), pa.string())


def _casts(array: pa.Array, kind: pa.DataType) -> bool:
    try:
        _cast(array, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _cast(text: pa.Array, kind: pa.DataType) -> pa.Array:
    # Arrow formats a message for every cell that does not fit: milliseconds where most do not.
    middle = len(text) // 2
    for start in (0, middle, len(text) - _PROBED_CELLS):
        text.slice(max(start, 0), _PROBED_CELLS).cast(kind)
    return text.cast(kind)


def _padded(array: pa.Array) -> bool:
    padded = pc.and_(pc.starts_with(array, "0"), pc.greater(pc.binary_length(array), 1))
    return bool(pc.any(padded).as_py())


def _long_or_padded(array: pa.Array) -> bool:
    integers = array.filter(pc.ascii_is_decimal(array))
    if not len(integers):
        return False
    return _padded(integers) or pc.max(pc.binary_length(integers)).as_py() > _MAX_INTEGER_DIGITS


def _trimmed(array: pa.Array) -> pa.Array:
    """Return text without surrounding space; cells that then mean missing are null."""
    return _null_where_missing(pc.utf8_trim_whitespace(array))


def without_initial_space(array: pa.Array) -> pa.Array:
    """Return text without space before it, and then without quotes around it; missing is null."""
    array = pc.utf8_ltrim_whitespace(array)
    quoted = pc.match_substring_regex(array, r'(?s)^".*"$')
    if pc.any(quoted).as_py():
        inner = pc.replace_substring(pc.utf8_slice_codeunits(array, 1, -1), '""', '"')
        array = pc.if_else(quoted, inner, array)
    return _null_where_missing(array)


def _null_where_missing(array: pa.Array) -> pa.Array:
    missing = pc.is_in(array, pa.array(NULLS, array.type))
    return pc.if_else(missing, pa.scalar(None, array.type), array)


def _parsed(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return _cast(array, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        first_error = error
    trimmed = _trimmed(array.cast(pa.string()))
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
            return text.cast(pa.timestamp(unit, zone)).cast(target, safe=False)
        except pa.ArrowInvalid:
            continue
    raise pa.ArrowInvalid("no date")


def _by_clock(text: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_time(target):
        raise pa.ArrowNotImplementedError("no time of day")
    instant = pc.binary_join_element_wise("1970-01-01", text, " ").cast(pa.timestamp("ns"))
    return instant.cast(pa.time64("ns")).cast(target, safe=False)


_PARSERS: tuple[Callable[[pa.Array, pa.DataType], pa.Array], ...] = (
    _cast,
    _by_number,
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
        return {8: pa.int8(), 16: pa.int16(), 32: pa.int32()}.get(width, pa.int64())
    if types.is_floating(first) and types.is_floating(second):
        return max(first, second, key=lambda kind: kind.bit_width)
    if types.is_floating(first) or types.is_floating(second):
        return pa.float64()
    return _joined_decimals(first, second)


def _joined_decimals(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Return the decimal that holds all digits of two decimals, or of one and an integer."""
    digits = [(_whole_digits(kind), getattr(kind, "scale", 0)) for kind in (first, second)]
    scale = max(0, *(scale for _, scale in digits))
    precision = max(1, *(whole for whole, _ in digits)) + scale
    if precision > 76:
        return pa.float64()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _whole_digits(kind: pa.DataType) -> int:
    if pa.types.is_decimal(kind):
        return int(kind.precision - kind.scale)
    return len(str(2**kind.bit_width))


def _joined_times(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    if getattr(first, "tz", None) != getattr(second, "tz", None):
        return None
    units = [kind.unit for kind in (first, second) if pa.types.is_timestamp(kind)]
    if not units:
        return pa.date64()
    return pa.timestamp(max(units, key=TIME_UNITS.index), getattr(first, "tz", None))


def _joined_lists(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    inner = join_types(first.value_type, second.value_type)
    if inner is None:
        return None
    sizes = {getattr(kind, "list_size", None) for kind in (first, second)}
    size = sizes.pop() if len(sizes) == 1 else None
    return pa.list_(inner) if size is None else pa.list_(inner, size)
