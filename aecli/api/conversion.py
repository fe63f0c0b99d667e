"""Conversion between NumPy arrays, pandas DataFrames and Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.array_types import AnyArray
from aecli.errors import DataError

ArrayColumn = tuple[str, int]
"""Name of a column, and its number of columns in an array: one per element of a vector."""


def is_pandas(data: object) -> bool:
    """Return whether `data` is a pandas DataFrame, without importing pandas."""
    kind = type(data)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def from_array(values: AnyArray, columns: Sequence[ArrayColumn]) -> pa.Table:
    """Return an array `(n_rows, n_columns)` as a table; NaN and None are missing cells.

    Raises:
        DataError: its width is not that of `columns`, or a column has values of several kinds.
    """
    width = sum(size for _, size in columns)
    if values.ndim != 2 or values.shape[1] != width:
        hint = "a DataFrame, whose columns are matched by name"
        raise shape_error(values, f"(rows, {width:,})", columns, hint=hint)
    arrays: dict[str, pa.Array] = {}
    start = 0
    for name, size in columns:
        flat = np.ascontiguousarray(values[:, start : start + size]).reshape(-1)
        cells = _cells(flat, name)
        arrays[name] = cells if size == 1 else pa.FixedSizeListArray.from_arrays(cells, size)
        start += size
    return pa.table(arrays)


def shape_error(
    values: AnyArray, needed: str, columns: Sequence[ArrayColumn], *, hint: str
) -> DataError:
    """Return the error of an array that does not have the shape that a model needs."""
    shape = "×".join(map(str, values.shape)) or "no"
    first = ", ".join(name for name, _ in columns[:8])
    return DataError(
        f"the array has shape {shape}; this model needs {needed}",
        facts=[f"its columns, in order: {first}{', …' if len(columns) > 8 else ''}"],
        hint=hint,
    )


def _cells(values: AnyArray, name: str) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column {name!r} contains values of several kinds: {str(error).splitlines()[0]}",
            hint="one kind per column: numbers, text, booleans, or dates",
        ) from error


def to_array(table: pa.Table) -> AnyArray:
    """Return a table as one array `(n_rows, n_columns)`, with one column per vector element.

    Its type fits every column: numeric for numbers only, object for several kinds.
    """
    parts = [_column_array(column.combine_chunks()) for column in table.columns]
    if not parts:
        return np.empty((table.num_rows, 0))
    array = np.empty((table.num_rows, sum(part.shape[1] for part in parts)), _common_type(parts))
    start = 0
    for part in parts:
        array[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return array


def _common_type(arrays: Sequence[AnyArray]) -> npt.DTypeLike:
    types = {array.dtype for array in arrays}
    if all(dtype.kind in "biuf" for dtype in types):
        return np.result_type(*types)
    return types.pop() if len(types) == 1 else np.dtype(object)


def _column_array(column: pa.Array) -> AnyArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_fixed_size_list(column.type):
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            size = len(column[0]) if len(column) and column[0].is_valid else 0
            return _column_array(column.cast(pa.list_(column.type.value_type, size)))
        return np.asarray(column.to_numpy(zero_copy_only=False))[:, None]
    size = column.type.list_size
    flat = np.asarray(column.values.to_numpy(zero_copy_only=False))
    elements = flat[column.offset * size : (column.offset + len(column)) * size].reshape(-1, size)
    if column.null_count:
        is_valid = column.is_valid().to_numpy(zero_copy_only=False)[:, None]
        elements = np.where(is_valid, elements, np.nan)
    return elements


def to_pandas(table: pa.Table, index: Any) -> Any:
    """Return a table as a pandas DataFrame with this index."""
    frame = table.to_pandas()
    frame.index = index
    return frame
