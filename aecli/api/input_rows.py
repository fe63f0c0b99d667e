"""Check an estimator's `X` and `y` as scikit-learn does, and convert them to Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from aecli.api.conversion import from_array, is_pandas
from aecli.api.window_arrays import (
    as_windows,
    has_windows,
    require_one_window_per_series,
    require_same_dimensions,
    rows_of_windows,
    with_series,
)
from aecli.array_types import AnyArray, Codes
from aecli.errors import DataError


def is_table(data: object) -> bool:
    """Return whether rows have named columns: a DataFrame, or another Arrow stream."""
    return hasattr(data, "__arrow_c_stream__") and getattr(data, "ndim", 2) == 2


def read_samples(estimator: Any, rows: Any, *, reset: bool) -> pa.Table:
    """Return the rows of `X` as a table; the columns of an array are called `x0`, `x1`, ….

    With `reset` the estimator gets `n_features_in_` and `feature_names_in_`. Tables are matched by
    name: their columns may be in any order, and additional columns are allowed. An array must be as
    wide as in `fit`. One of windows becomes their rows, with the column `series`.

    Raises:
        ValueError: it is not a matrix, is empty, or its width is not that of `fit`.
        TypeError: a column contains values of several kinds.
    """
    rows = as_windows(rows)
    if not reset:
        require_same_dimensions(rows, estimator._window, estimator.n_features_in_)
    elif has_windows(rows):
        require_one_window_per_series(estimator, rows)
    if is_table(rows):
        return _read_table(estimator, rows, reset=reset)
    window = rows.shape[1] if has_windows(rows) else None
    table = _read_array(estimator, rows if window is None else rows_of_windows(rows), reset=reset)
    if reset:
        estimator._window = window
    return table if window is None else with_series(table, window)


def _read_array(estimator: Any, rows: Any, *, reset: bool) -> pa.Table:
    missing = estimator.nonfinite == "missing"
    array: AnyArray = validate_data(
        estimator,
        rows,
        reset=reset,
        dtype=None,
        ensure_all_finite=False if missing else "allow-nan",
        ensure_min_samples=2 if reset else 1,
    )
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = [f"x{index}" for index in range(array.shape[1])]
    try:
        return from_array(array, [(str(name), 1) for name in names])
    except DataError as error:
        raise TypeError(f"{error}; every argument must be a string or a number") from error


def _read_table(estimator: Any, rows: Any, *, reset: bool) -> pa.Table:
    pandas = is_pandas(rows)
    table = pa.Table.from_pandas(rows, preserve_index=False) if pandas else pa.table(rows)
    if reset:
        estimator._window = None
        if table.num_columns == 0 or table.num_rows < 1:
            shape = f"(shape=({table.num_rows}, {table.num_columns}))"
            raise ValueError(f"Found a table with 0 sample(s) or 0 feature(s) {shape}.")
        validate_data(estimator, rows, reset=True, skip_check_array=True)
    return table


def append_label(
    table: pa.Table, y: Any, *, window: int | None = None
) -> tuple[pa.Table, str, AnyArray]:
    """Return the table with `y` as its last column, that column's name, and the classes.

    With `window` there is a label for that many rows.

    None and NaN are unlabelled rows. The name is that of a Series, else `y`, followed by `_` as
    long as the table has such a column.

    Raises:
        ValueError: the length of `y` is wrong, it has no label, or its numbers are not classes.
    """
    rows_per_label = window or 1
    check_consistent_length(range(len(table) // rows_per_label), y)
    labels, known = convert_labels(y)
    labels = labels.take(np.arange(len(table)) // rows_per_label)
    if not len(known):
        raise ValueError("y has no label: every value is missing; omit y to train no classifier")
    if known.dtype.kind == "f" and np.isinf(known).any():
        raise ValueError("Input y contains infinity, which is not a class")
    try:
        check_classification_targets(known)
    except ValueError as error:
        message = f"{error} To ignore y in the training: classification_weight=0."
        raise ValueError(message) from error
    name = getattr(y, "name", None)
    name = name if isinstance(name, str) and name else "y"
    while name in table.column_names:
        name += "_"
    return table.append_column(name, labels), name, np.unique(known)


def convert_labels(y: Any) -> tuple[pa.Array, AnyArray]:
    """Return `y` with nulls in unlabelled rows, and the labels `(n_labelled,)` of the others."""
    labels = pa.array(column_or_1d(y, warn=True), from_pandas=True)
    return labels, np.asarray(labels.drop_null().to_numpy(zero_copy_only=False))


def encode_labels(y: Any) -> tuple[AnyArray, Codes]:
    """Return the distinct labels of `y`, sorted, and codes `(n_rows,)`, -1 for unlabelled rows.

    Raises:
        ValueError: `y` has no label.
    """
    labels, known = convert_labels(y)
    if not len(known):
        raise ValueError(
            "y has no label: every value is missing; omit y for the reconstruction loss"
        )
    classes, indices = np.unique(known, return_inverse=True)
    codes = np.full(len(labels), -1, dtype=np.int64)
    codes[labels.is_valid().to_numpy(zero_copy_only=False)] = indices
    return classes, codes


def is_array_names(names: Sequence[str]) -> bool:
    """Return whether these are the names of an array's columns in `read_samples`."""
    return all(name[:1] == "x" and name[1:].isdecimal() for name in names)
