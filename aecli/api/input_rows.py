"""Check what an estimator is given, as scikit-learn does, and make a table of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from aecli.api.conversion import from_array, is_pandas
from aecli.array_types import AnyArray
from aecli.errors import DataError


def is_table(given: Any) -> bool:
    """Say whether rows come with named columns: a DataFrame, or what else speaks Arrow."""
    return hasattr(given, "__arrow_c_stream__") and getattr(given, "ndim", 2) == 2


def read_samples(estimator: Any, given: Any, *, reset: bool) -> pa.Table:
    """Return the rows of `X` as a table; the columns of an array are called `x0`, `x1`, ….

    With `reset` the estimator learns `n_features_in_` and `feature_names_in_`. Tables are matched
    by name: their columns may stand in any order and be more. An array must be as wide as in `fit`.

    Raises:
        ValueError: it is no matrix, is empty, or of another width than in `fit`.
        TypeError: a column holds values of several kinds.
    """
    if is_table(given):
        return _table(estimator, given, reset=reset)
    missing = estimator.nonfinite == "missing"
    array: AnyArray = validate_data(
        estimator,
        given,
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


def _table(estimator: Any, given: Any, *, reset: bool) -> pa.Table:
    if is_pandas(given):
        table = pa.Table.from_pandas(given, preserve_index=False)
    else:
        table = pa.table(given)
    if reset:
        if table.num_columns == 0 or table.num_rows < 1:
            shape = f"(shape=({table.num_rows}, {table.num_columns}))"
            raise ValueError(f"Found a table with 0 sample(s) or 0 feature(s) {shape}.")
        validate_data(estimator, given, reset=True, skip_check_array=True)
    return table


def with_label(table: pa.Table, given: Any) -> tuple[pa.Table, str, AnyArray]:
    """Return the table with `y` as its last column, that column's name, and the classes.

    None and NaN are unlabelled rows. The column is called as a Series is, else `y`, with `_` after
    it as long as the table has such a column.

    Raises:
        ValueError: `y` is of another length, holds no label, or numbers that are no classes.
    """
    check_consistent_length(table, given)
    labels, known = read_labels(given)
    if not len(known):
        raise ValueError("y holds no label: every value is missing; leave y out for no classifier")
    if known.dtype.kind == "f" and np.isinf(known).any():
        raise ValueError("Input y contains infinity, which is no class")
    try:
        check_classification_targets(known)
    except ValueError as error:
        why = f"{error} To leave y out of the training: classification_weight=0."
        raise ValueError(why) from error
    name = getattr(given, "name", None)
    name = name if isinstance(name, str) and name else "y"
    while name in table.column_names:
        name += "_"
    return table.append_column(name, labels), name, np.unique(known)


def read_labels(given: Any) -> tuple[pa.Array, AnyArray]:
    """Return `y` with nulls in unlabelled rows, and the labels `(n_labelled,)` without these."""
    labels = pa.array(column_or_1d(given, warn=True), from_pandas=True)
    return labels, np.asarray(labels.drop_null().to_numpy(zero_copy_only=False))


def coded_labels(given: Any) -> tuple[AnyArray, npt.NDArray[np.int64]]:
    """Return the distinct labels of `y` in order, and each row's code `(n_rows,)`, -1 for none.

    Raises:
        ValueError: `y` holds no label.
    """
    labels, known = read_labels(given)
    if not len(known):
        raise ValueError(
            "y holds no label: every value is missing; leave y out for the reconstruction loss"
        )
    classes, places = np.unique(known, return_inverse=True)
    codes = np.full(len(labels), -1, dtype=np.int64)
    codes[labels.is_valid().to_numpy(zero_copy_only=False)] = places
    return classes, codes


def numbered(names: Sequence[str]) -> bool:
    """Say whether these are the names that `read_samples` gives to the columns of an array."""
    return all(name[:1] == "x" and name[1:].isdecimal() for name in names)
