"""Three-dimensional arrays `(n_series, window, n_features)`, in which each series is one window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from aecli.array_types import AnyArray
from aecli.schema.model_spec import ModelSpec

SERIES_COLUMN = "series"
"""Column that numbers the series of an array; the name of no column of an array."""


def has_windows(data: object) -> bool:
    """Return whether `data` is an array with three dimensions."""
    return isinstance(data, np.ndarray) and data.ndim == 3


def as_windows(data: Any) -> Any:
    """Return three-dimensional data, such as lists of lists of rows, as an array; else the data.

    Raises:
        ValueError: it is a list of windows of different shapes.
    """
    nested = isinstance(data, (list, tuple)) and len(data) > 0
    shapes = {np.shape(window) for window in data} if nested and np.ndim(data[0]) == 2 else set()
    if len(shapes) > 1:
        raise ValueError(f"X has windows of the shapes {sorted(shapes)}; all need the same shape")
    return np.asarray(data) if shapes or getattr(data, "ndim", 0) == 3 else data


def rows_of_windows(array: AnyArray) -> AnyArray:
    """Return the rows `(n_series * window, n_features)` of windows, in order."""
    return array.reshape(array.shape[0] * array.shape[1], array.shape[2])


def with_series(table: pa.Table, window: int) -> pa.Table:
    """Return the rows of windows with the number of the series of each."""
    return table.append_column(SERIES_COLUMN, pa.array(np.arange(len(table)) // window))


def window_of(spec: ModelSpec) -> int | None:
    """Return the rows per window of a model of arrays with windows; None for other models."""
    windows = spec.options.windows
    return windows.window if windows.group == [SERIES_COLUMN] else None


def require_same_dimensions(array: Any, window: int | None, features: int) -> None:
    """Check that an array has the dimensions and the rows per window of the array in `fit`.

    Raises:
        ValueError: it has others.
    """
    shape = array.shape if isinstance(array, np.ndarray) else None
    if window is None and has_windows(array):
        raise ValueError(f"X has shape {shape}, and fit had rows: (n_samples, {features})")
    if window is not None and (not has_windows(array) or array.shape[1] != window):
        found = f"has shape {shape}" if shape else f"is a {type(array).__name__}"
        raise ValueError(f"X {found}, and fit had windows: (n_series, {window}, {features})")


def require_one_window_per_series(estimator: Any, array: AnyArray) -> None:
    """Check that an array can be the windows of a fit, with the parameters of the estimator.

    Raises:
        ValueError: a window has fewer than two rows, or a parameter divides them otherwise.
    """
    window = array.shape[1]
    if window < 2:
        raise ValueError(f"X has shape {array.shape}: a window needs at least 2 rows")
    if estimator.window not in (None, window):
        raise ValueError(
            f"X has shape {array.shape}, with windows of {window} rows, and window is "
            f"{estimator.window}; leave window out"
        )
    for name in ("group", "time"):
        if getattr(estimator, name):
            raise ValueError(f"{name} is for rows of a table, and X has three dimensions")
