"""Arrow types as text and as kinds of columns, and Arrow arrays as NumPy and Python values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.errors import DataError, ModelError
from aecli.schema.model_spec import Category, Kind
from aecli.schema.network import MAX_INPUTS

_SIMPLE: dict[str, pa.DataType] = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.null()),
        *(pa.string(), pa.large_string(), pa.string_view()),
        *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us")),
        *(pa.time64("ns"), *(pa.duration(unit) for unit in ("s", "ms", "us", "ns"))),
    )
}
# pyarrow before 18 has decimal128 and decimal256 only.
_DECIMALS: dict[str, Callable[[int, int], pa.DataType]] = {
    bits: getattr(pa, f"decimal{bits}")
    for bits in ("32", "64", "128", "256")
    if hasattr(pa, f"decimal{bits}")
}
_LISTS: dict[str, Callable[[pa.DataType], pa.DataType]] = {
    "list": pa.list_,
    "large_list": pa.large_list,
}
_MAX_TYPE_NAME = 80
_MAX_PARSED_TYPE = 200  # longer names are damaged, and nesting must be limited


def type_name(kind: pa.DataType) -> str:
    """Return a type's name for `parse_type`: Arrow's own, without the names of list fields.

    Names of structs, maps and similar types, which cannot be features, are cut at 80 characters.
    """
    if pa.types.is_fixed_size_list(kind):
        return f"fixed_size_list<{type_name(kind.value_type)}>[{kind.list_size}]"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        prefix = "large_list" if pa.types.is_large_list(kind) else "list"
        return f"{prefix}<{type_name(kind.value_type)}>"
    text = str(kind)
    if len(text) <= _MAX_TYPE_NAME or not pa.types.is_nested(kind):
        return text
    return text[: _MAX_TYPE_NAME - 1] + "…"


def parse_type(text: str) -> pa.DataType:
    """Return the Arrow type whose `type_name` is `text`.

    Raises:
        ModelError: `text` is not a type that a column or an identifier can have.
    """
    try:
        kind = _SIMPLE.get(text) or (_parsed(text) if len(text) <= _MAX_PARSED_TYPE else None)
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError):
        kind = None
    if kind is None:
        raise ModelError(f"the model contains an unknown column type: {text[:80]!r}")
    return kind


def _parsed(text: str) -> pa.DataType | None:
    if match := re.fullmatch(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]", text):
        return pa.timestamp(match[1], match[2])
    if match := re.fullmatch(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)", text):
        return _DECIMALS[match[1]](int(match[2]), int(match[3]))
    if match := re.fullmatch(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>", text):
        return pa.dictionary(_SIMPLE[match[2]], parse_type(match[1]), match[3] == "1")
    if match := re.fullmatch(r"fixed_size_list<(.+)>\[(\d{1,9})\]", text):
        size = int(match[2])
        return pa.list_(parse_type(match[1]), size) if 0 < size <= MAX_INPUTS else None
    if match := re.fullmatch(r"(list|large_list)<(.+)>", text):
        return _LISTS[match[1]](parse_type(match[2]))
    return None


def decoded_type(kind: pa.DataType) -> pa.DataType:
    """Return the value type of a dictionary type; any other type unchanged."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Return whether the type is a string, large string or string view."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_plain_number(kind: pa.DataType) -> bool:
    """Return whether the type is an integer, a float of any width, or a decimal."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether the type is a list, large list or fixed-size list."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def element_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of lists or dictionaries; other types as they are."""
    return kind.value_type if is_list(kind) or pa.types.is_dictionary(kind) else kind


def kind_of(kind: pa.DataType) -> Kind | None:
    """Return the kind of column for a type, None for types that cannot be features.

    A list of numbers is a vector only if all rows have the same length.
    """
    types = pa.types
    if types.is_dictionary(kind):
        values = kind.value_type
        if is_text(values) or types.is_integer(values) or types.is_boolean(values):
            return "category"
        return "number" if types.is_floating(values) else None
    if types.is_boolean(kind):
        return "boolean"
    if is_text(kind):
        return "category"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "time"
    if is_plain_number(kind) or types.is_time(kind) or types.is_duration(kind):
        return "number"
    return "vector" if is_list(kind) and is_plain_number(kind.value_type) else None


def number_values(array: pa.Array) -> npt.NDArray[Any]:
    """Return a number, time or boolean array as `(n_rows,)` in its own width, NaN for null.

    Times become integers in their own unit; types with nulls become floats.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif pa.types.is_temporal(kind):
        array = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]  # pyarrow is untyped


def vector_values(array: pa.Array, size: int) -> npt.NDArray[np.float64] | None:
    """Return a list array as `(n_rows, size)` with NaN for a null list or element.

    Returns None if a list has a length other than `size`.
    """
    present = array.is_valid().to_numpy(zero_copy_only=False)
    rows = int(present.sum())
    flat = array.flatten()
    if len(flat) != rows * size or not _have_length(array, size):
        return None
    values = number_values(flat).reshape(rows, size)
    if rows == len(array):
        return values.astype(np.float64, copy=False)
    filled = np.full((len(array), size), np.nan)
    filled[present] = values
    return filled


def python_values(array: pa.Array, column: str) -> list[Any]:
    """Return an array as Python values, None for null; integral decimals become int.

    Raises:
        DataError: a text of `column` is not valid UTF-8.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError as error:
        raise DataError(
            f"column {column!r} contains text that is not valid UTF-8",
            facts=[str(error)],
            hint=f"--exclude '{column}'",
        ) from error
    if pa.types.is_decimal(array.type):
        return [int(v) if v is not None and v == int(v) else v for v in values]
    return values


def hashable(array: pa.Array) -> pa.Array:
    """Return an array cast to a type that Arrow can count and encode, unlike narrow types."""
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())  # pyarrow 26 counts a null string view as ''
    if pa.types.is_decimal(array.type) and array.type.bit_width < 128:
        return array.cast(pa.decimal128(array.type.precision, array.type.scale))
    return array


def category_values(values: Sequence[Category | None], kind: pa.DataType) -> pa.Array:
    """Return categories or classes as an array of their column's type; not as a dictionary."""
    kind = decoded_type(kind)
    if pa.types.is_integer(kind):
        return pa.array(values, kind)
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else Decimal(value) for value in values], kind)
    if pa.types.is_floating(kind):
        return pa.array([None if value is None else float(value) for value in values], kind)
    return pa.array(values)


def list_size(array: pa.Array) -> int | None:
    """Return the length of the first list that is not null, None if all are null."""
    if pa.types.is_fixed_size_list(array.type):
        return int(array.type.list_size)
    lengths = array.value_lengths().drop_null()
    return lengths[0].as_py() if len(lengths) else None


def _have_length(array: pa.Array, size: int) -> bool:
    if pa.types.is_fixed_size_list(array.type):
        return True
    lengths = array.value_lengths().drop_null()
    return bool((lengths.to_numpy(zero_copy_only=False) == size).all())


def type_noun(kind: pa.DataType) -> str:
    """Return the noun for the values of a type in messages."""
    if pa.types.is_integer(kind):
        return "whole number"
    if is_plain_number(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date or time"
    return "text" if is_text(kind) else type_name(kind)


def bytes_per_cell(kind: pa.DataType) -> int:
    """Return the bytes that a value takes in memory."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * bytes_per_cell(kind.value_type)
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 32  # a guess for text and nested types
