"""Take pandas, Arrow and NumPy tables as Arrow, and give results back as the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aecli.array_types import AnyArray
from aecli.errors import DataError

Place = tuple[str, int]
"""A column's name, and how many array columns it takes: a vector's elements stand side by side."""


def is_pandas(data: object) -> bool:
    """Say whether `data` is a pandas DataFrame, without importing pandas."""
    kind = type(data)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def from_array(values: AnyArray, places: Sequence[Place]) -> pa.Table:
    """Return an array `(n_rows, n_columns)` as a table; NaN and None are missing cells.

    Raises:
        DataError: it has another number of columns than `places` take, or cells of several kinds.
    """
    width = sum(size for _, size in places)
    if values.ndim != 2 or values.shape[1] != width:
        shape = "×".join(map(str, values.shape)) or "no"
        first = ", ".join(name for name, _ in places[:8])
        raise DataError(
            f"the array is of shape {shape}; this model takes (rows, {width:,})",
            facts=[f"its columns, in order: {first}{', …' if len(places) > 8 else ''}"],
            hint="a DataFrame, whose columns are matched by name",
        )
    columns: dict[str, pa.Array] = {}
    start = 0
    for name, size in places:
        part = np.ascontiguousarray(values[:, start : start + size]).reshape(-1)
        cells = _cells(part, name)
        columns[name] = cells if size == 1 else pa.FixedSizeListArray.from_arrays(cells, size)
        start += size
    return pa.table(columns)


def _cells(values: AnyArray, name: str) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column {name!r} holds values of several kinds: {str(error).splitlines()[0]}",
            hint="one kind to a column: numbers, text, booleans, or dates",
        ) from error


def to_array(table: pa.Table) -> AnyArray:
    """Return a table as one array `(n_rows, n_columns)`, vectors spread over several columns.

    Its type holds every column: numbers alone are numbers, and columns of several kinds objects.
    """
    parts = [_part(column.combine_chunks()) for column in table.columns]
    if not parts:
        return np.empty((table.num_rows, 0))
    kinds = {part.dtype for part in parts}
    plain = all(kind.kind in "biuf" for kind in kinds)
    shared = np.result_type(*kinds) if plain else next(iter(kinds)) if len(kinds) == 1 else object
    joined = np.empty((table.num_rows, sum(part.shape[1] for part in parts)), dtype=shared)
    start = 0
    for part in parts:
        joined[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return joined


def _part(column: pa.Array) -> AnyArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_fixed_size_list(column.type):
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            size = len(column[0]) if len(column) and column[0].is_valid else 0
            return _part(column.cast(pa.list_(column.type.value_type, size)))
        return np.asarray(column.to_numpy(zero_copy_only=False))[:, None]
    size = column.type.list_size
    flat = np.asarray(column.values.to_numpy(zero_copy_only=False))
    spread = flat[column.offset * size : (column.offset + len(column)) * size].reshape(-1, size)
    if column.null_count:
        spread = np.where(column.is_valid().to_numpy(zero_copy_only=False)[:, None], spread, np.nan)
    return spread


def to_pandas(table: pa.Table, index: Any) -> Any:
    """Return a table as a pandas DataFrame with this index."""
    frame = table.to_pandas()
    frame.index = index
    return frame
