"""Trained model that is loaded once and applied to tables in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aecli.api.conversion import from_array, is_pandas, shape_error, to_array, to_pandas
from aecli.api.own_threads import with_own_threads
from aecli.api.window_arrays import (
    SERIES_COLUMN,
    has_windows,
    rows_of_windows,
    window_of,
    with_series,
)
from aecli.array_types import Indices
from aecli.device import limited_threads
from aecli.errors import UsageError
from aecli.inference.decode import decode_pass
from aecli.inference.encode import encode_pass
from aecli.inference.loaded_model import LoadedModel, load_model, model_of
from aecli.inference.predict import PREDICTION, predict_pass
from aecli.inference.reconstruct import fill_pass, reconstruct_pass
from aecli.inference.run import Pass
from aecli.model.weights import to_bytes
from aecli.model_directory.location import model_directory
from aecli.remote_files.path import location
from aecli.schema.model_spec import ModelSpec
from aecli.scoring.score import score_pass
from aecli.table.source import Data


@limited_threads()
def load(
    model: str | os.PathLike[str] | None = None,
    *,
    tag: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Model:
    """Load a model directory once, for any number of tables.

    Args:
        model: the model directory; default: `AECLI_MODEL` or `./aecli_model`.
        tag: short for the directory `runs/TAG`.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: number of CPU threads of the model's methods; default: that of the process.

    Raises:
        ModelError: the model is missing, damaged or too new.
        UsageError: the device does not exist.
    """
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    return Model(loaded, threads=threads)


class Model:
    """Trained model for tables in memory.

    Every method accepts a pandas DataFrame, an Arrow table (or another Arrow stream, such as a
    polars DataFrame), a NumPy array, or the path of a file. It returns a DataFrame with the same
    index for a DataFrame, an array for an array, otherwise an Arrow table. Columns are matched by
    name; those of an array are `columns`, in order, with one column per element of a vector. The
    model of an estimator fitted on windows also accepts arrays `(n_series, window, n_features)`.
    """

    def __init__(self, loaded: LoadedModel, *, threads: int | None = None) -> None:
        self.loaded, self.threads = loaded, threads

    def __repr__(self) -> str:
        network = self.spec.network
        shape = f"{len(self.columns):,} columns, {network.latent:,} latents"
        return f"<aecli.Model of {self.loaded.directory}: {shape}>"

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[str, bytes, str, str]]:
        device = "cpu" if self.loaded.device.type == "cpu" else "auto"
        text = self.spec.model_dump_json(by_alias=True)
        return _from_bytes, (text, self.weights(), str(self.loaded.directory), device)

    @property
    def spec(self) -> ModelSpec:
        """Return the content of `spec.json`."""
        return self.loaded.spec

    @property
    def columns(self) -> list[str]:
        """Return the names of the features, in the order of the training table."""
        return [column.name for column in self.spec.columns]

    def weights(self) -> bytes:
        """Return the bytes of the weights file."""
        return to_bytes(self.loaded.network, self.loaded.baseline)

    @with_own_threads
    def encode(
        self,
        data: Data,
        *,
        as_list: bool = False,
        with_std: bool = False,
        keep: Sequence[str] = (),
    ) -> Any:
        """Return the latents of each row, `(n_rows, latent)`, or of each window.

        Args:
            data: the rows; the label is optional.
            as_list: one fixed-size list column `z` instead of `z0`, `z1`, …; not for arrays.
            with_std: add the standard deviations of a variational latent.
            keep: columns of `data` (names or globs) to copy to the output, besides the identifiers.

        Raises:
            DataError: columns are missing, or one does not fit.
            UsageError: `with_std` for a model that is not variational.
        """
        arrow = self._arrow(data)
        opened = encode_pass(self.loaded, arrow, as_list=as_list, with_std=with_std, keep=keep)
        return _as_input_type(data, opened)

    @with_own_threads
    def reconstruct(
        self,
        data: Data,
        *,
        fill: bool = False,
        residuals: bool = False,
        keep: Sequence[str] = (),
    ) -> Any:
        """Return the reconstruction of each row, in the types and units of its columns.

        Args:
            data: the rows.
            fill: replace only the missing values of `data`; everything else is unchanged.
            residuals: add a column `<name>_residual` for every varying feature.
            keep: columns of `data` (names or globs) to copy to the output.

        Raises:
            UsageError: `fill` with `residuals` or `keep`.
            DataError: columns are missing, or one does not fit.
        """
        arrow = self._arrow(data)
        if not fill:
            opened = reconstruct_pass(self.loaded, arrow, residuals=residuals, keep=keep)
            return _as_input_type(data, opened)
        if residuals or keep:
            raise UsageError("fill=True returns the whole table: residuals and keep have no effect")
        opened, _ = fill_pass(self.loaded, arrow)
        return _as_input_type(data, opened)

    @with_own_threads
    def score(
        self,
        data: Data,
        *,
        explain: int = 3,
        detail: bool = False,
        threshold: str | float = "auto",
        aggregate: str = "mean",
        score_unit: str = "window",
        keep: Sequence[str] = (),
    ) -> Any:
        """Return the anomaly score of each row and its columns; for an array only the scores.

        Args:
            data: the rows.
            explain: the number of columns with the largest errors to name.
            detail: whether to add every column's value, reconstruction and error.
            threshold: `auto`, a percentile such as `p99`, `fpr:0.01`, or a score.
            aggregate: how the columns' errors are combined: `mean`, `max` or `top3`.
            score_unit: `window` or `row`, for models of windows; the score of a row is the mean
                over its windows.
            keep: columns of `data` (names or globs) to copy to the output.

        Raises:
            UsageError: an argument is unknown or out of bounds, or does not fit the model.
            ModelError: the model was saved without scores.
            DataError: columns are missing, or one does not fit.
        """
        opened, _ = score_pass(
            self.loaded, self._arrow(data), explain=explain, detail=detail, threshold=threshold,
            aggregate=aggregate, score_unit=score_unit, keep=keep,
        )  # fmt: skip
        return _as_input_type(data, opened, array_column="score")

    @with_own_threads
    def predict(self, data: Data, *, top: int | None = None, keep: Sequence[str] = ()) -> Any:
        """Return `prediction` and `prob_<class>` of each row; for an array only the predictions.

        Args:
            data: the rows; the label is optional.
            top: only this many of the most probable classes: `top1_class`, `top1_prob`, ….
            keep: columns of `data` (names or globs) to copy to the output.

        Raises:
            UsageError: the model has no classifier, or fewer than `top` classes.
            DataError: columns are missing, or one does not fit.
        """
        opened = predict_pass(self.loaded, self._arrow(data), top=top, keep=keep)
        return _as_input_type(data, opened, array_column=PREDICTION)

    @with_own_threads
    def decode(self, latents: Data, *, keep: Sequence[str] = ()) -> Any:
        """Return the rows decoded from latents: `z0`, `z1`, …, a list `z`, or an array.

        Args:
            latents: latents of `encode`, unchanged or edited.
            keep: columns of `latents` (names or globs) to copy to the output.

        Raises:
            DataError: these are not latents of this model.
        """
        arrow = latents
        if isinstance(latents, np.ndarray):
            arrow = from_array(latents, [(f"z{i}", 1) for i in range(self.spec.network.latent)])
        table = decode_pass(self.loaded, arrow, keep=keep).read_all()
        return _as_type(latents, table, np.arange(len(table)) // self.spec.network.window)

    def _arrow(self, data: Data) -> Data:
        if not isinstance(data, np.ndarray):
            return data
        columns = [(c.name, c.size if c.kind == "vector" else 1) for c in self.spec.columns]
        window = window_of(self.spec)
        if window is None:
            return from_array(data, columns)
        width = sum(size for _, size in columns)
        if data.shape[1:] != (window, width):
            needed = f"(series, {window:,}, {width:,})"
            hint = f"a DataFrame with the columns' names and {SERIES_COLUMN!r}, a number per window"
            raise shape_error(data, needed, columns, hint=hint)
        return with_series(from_array(rows_of_windows(data), columns), window)


def _from_bytes(spec: str, weights: bytes, directory: str, device: str) -> Model:
    parsed = ModelSpec.model_validate_json(spec)
    return Model(model_of(parsed, weights, directory=location(directory), device=device))


def _as_input_type(data: Data, opened: Pass, *, array_column: str | None = None) -> Any:
    """Return an output as the type of `data`; for an array only `array_column`, if given."""
    table = opened.read_all()
    if has_windows(data):
        table = table.select([name for name in table.column_names if name != SERIES_COLUMN])
    windows = opened.windowed.windows if opened.windowed else None
    by_window = windows is not None and len(table) == len(windows)
    rows = windows.last_rows if windows is not None and by_window else np.arange(len(table))
    if array_column is not None and isinstance(data, np.ndarray):
        return to_array(table.select([array_column]))[:, 0]
    if has_windows(data) and not by_window:
        return to_array(table).reshape(*data.shape[:2], -1)
    return _as_type(data, table, rows)


def _as_type(data: Data, table: pa.Table, rows: Indices) -> Any:
    """Return a table as the type of `data`; it is the result for `rows` `(n_rows,)` of it."""
    if isinstance(data, np.ndarray):
        return to_array(table)
    return to_pandas(table, data.index.take(rows)) if is_pandas(data) else table
