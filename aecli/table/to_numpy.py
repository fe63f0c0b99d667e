"""Read Arrow arrays of numbers, times and vectors as NumPy values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.errors import DataError


def number_values(array: pa.Array) -> npt.NDArray[Any]:
    """Return a number, time or boolean array as `(n_rows,)` in its own width, NaN for null.

    Times become the count of their own unit; a type with nulls becomes a float.
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
    """Return a list array as `(n_rows, size)`, NaN for a null list or element.

    Returns None where a list has another length than `size`.
    """
    present = array.is_valid().to_numpy(zero_copy_only=False)
    rows = int(present.sum())
    flat = array.flatten()
    if len(flat) != rows * size or not _all_long(array, size):
        return None
    values = number_values(flat).reshape(rows, size)
    if rows == len(array):
        return values.astype(np.float64, copy=False)
    filled = np.full((len(array), size), np.nan)
    filled[present] = values
    return filled


def python_values(array: pa.Array, column: str) -> list[Any]:
    """Return an array as Python values, None for null.

    Raises:
        DataError: a text of `column` is not valid UTF-8.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return array.to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
    except UnicodeDecodeError as error:
        raise DataError(
            f"column {column!r} holds text that is not valid UTF-8",
            facts=[str(error)],
            hint=f"--exclude '{column}'",
        ) from error


def list_size(array: pa.Array) -> int | None:
    """Return the length of the first list that is not null, None where there is none."""
    if pa.types.is_fixed_size_list(array.type):
        return int(array.type.list_size)
    lengths = array.value_lengths().drop_null()
    return lengths[0].as_py() if len(lengths) else None


def _all_long(array: pa.Array, size: int) -> bool:
    if pa.types.is_fixed_size_list(array.type):
        return True
    lengths = array.value_lengths().drop_null()
    return bool((lengths.to_numpy(zero_copy_only=False) == size).all())
