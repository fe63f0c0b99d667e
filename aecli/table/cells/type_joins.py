"""Find the common type of several types."""

from __future__ import annotations

import pyarrow as pa

from aecli.table.arrow_types import decoded_type, is_list, is_plain_number, is_text

TIME_UNITS = ("s", "ms", "us", "ns")
_DECIMAL128_DIGITS, _DECIMAL256_DIGITS, _LONG_DIGITS = 38, 76, 20


def join_types(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the type that can represent every value of both, None if only text could.

    Integers become a wider integer, numbers float64, times the finer unit; null becomes the other
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


def decimal_type(whole: int, scale: int) -> pa.DataType | None:
    """Return the decimal type with so many digits before and after the point, if there is one."""
    digits = whole + scale
    if digits > _DECIMAL256_DIGITS:
        return None
    return (pa.decimal128 if digits <= _DECIMAL128_DIGITS else pa.decimal256)(digits, scale)


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _joined_numbers(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_integer(first) and types.is_integer(second):
        signed = types.is_signed_integer(first) or types.is_signed_integer(second)
        width = max(first.bit_width, second.bit_width)
        if not signed:
            return {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[width]
        # An unsigned integer needs one more bit than a signed one of its width.
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
    return decimal_type(whole, scale) or pa.float64()


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
