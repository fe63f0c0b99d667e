"""Estimator for scikit-learn that trains and applies an autoencoder."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Self, Unpack

import numpy as np
import pyarrow as pa
from scipy.special import softmax
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import ClassifierTags, Tags, check_random_state
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from aecli.api.conversion import from_array, is_pandas, to_array, to_pandas
from aecli.api.input_rows import append_label, encode_labels, is_array_names, is_table, read_samples
from aecli.api.model import Model
from aecli.api.own_threads import with_own_threads
from aecli.api.parameters import (
    PARAMETER_DEFAULTS,
    PARAMETER_OPTIONS,
    EstimatorParameters,
    parameter_docs,
    parameters_of,
    signature,
)
from aecli.api.predictions import (
    codes_of_samples,
    latents_of,
    logits_of,
    reconstruction_loss,
    scores_of,
    windows_of,
)
from aecli.api.window_arrays import SERIES_COLUMN, window_of
from aecli.array_types import AnyArray, AnyFloats, Floats
from aecli.directory_lock import Lock
from aecli.errors import UsageError, nearest
from aecli.features.inverse import as_type
from aecli.inference.loaded_model import load_with, model_of
from aecli.model_directory.read import read_history
from aecli.model_directory.save import save
from aecli.model_directory.staging import StagedDirectory
from aecli.remote_files.path import location
from aecli.safetensors_header import MODEL_IN_MEMORY
from aecli.schema.calibration import AGGREGATES
from aecli.schema.options import TrainOptions
from aecli.scoring.threshold import check_threshold, threshold_value
from aecli.table.arrow_types import category_values, parse_type
from aecli.training.finalize import TrainedModel
from aecli.training.train import parse_options, train_in_memory


def _classifies(estimator: Autoencoder) -> bool:
    """Return whether it was fitted with labels; before the fit, whether labels would be used."""
    if hasattr(estimator, "model_"):
        return hasattr(estimator, "classes_")
    return bool(estimator.classification_weight != 0)


def _returns_pandas(estimator: Autoencoder) -> bool:
    """Return whether `set_output` or scikit-learn's configuration requires DataFrames."""
    return bool(_get_output_config("transform", estimator)["dense"] == "pandas")


class Autoencoder(TransformerMixin, OutlierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn ships no types
    """Autoencoder for scikit-learn: latents, reconstructions, outliers and classes.

    `fit(X)` learns to reconstruct rows; `fit(X, y)` also learns to classify them, where None and
    NaN in `y` are unlabelled rows. `X` is an array, or a DataFrame with columns of any kind: text,
    dates, booleans, missing values; or an array or nested list `(n_series, window, n_features)` of
    windows, each of which is one sample with one label. `transform` returns latents and
    `inverse_transform` rows; `score_samples` returns negative anomaly scores. `predict` and
    `decision_function` are those of a classifier if there were labels, else of an outlier
    detector: 1 for inliers, -1 for outliers.

    Attributes:
        model_: the `aecli.Model`.
        history_: the losses and metrics of each epoch, a dict per epoch.
        classes_: the classes, if `y` had labels.
        offset_: minus the score above which a row is an outlier.
        n_features_in_: the number of columns of `X`.
        feature_names_in_: their names, if they were text.
    """

    def __init__(self, **parameters: Unpack[EstimatorParameters]) -> None:
        unknown = next((name for name in parameters if name not in PARAMETER_DEFAULTS), None)
        if unknown is not None:
            near = nearest(unknown, list(PARAMETER_DEFAULTS))
            hint = f"; did you mean {near!r}?" if near else ""
            raise TypeError(f"Autoencoder has no parameter {unknown!r}{hint}")
        for name, value in {**PARAMETER_DEFAULTS, **parameters}.items():
            setattr(self, name, value)

    __init__.__signature__ = signature()  # type: ignore[attr-defined]  # used by inspect

    _window: int | None = None  # rows per window of the array in `fit`

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickle of an earlier version lacks the parameters that were added since.
        super().__setstate__({**PARAMETER_DEFAULTS, **state})

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        if _classifies(self):
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags()
        else:
            tags.estimator_type = "outlier_detector"
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.three_d_array = True
        # Text is supported, but the tag `string` also implies dicts and the like as cells.
        tags.input_tags.string = False
        tags.transformer_tags.preserves_dtype = []  # latents are float32
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803  # scikit-learn's name
        """Train on the rows of `X`, with the labels `y` if they are given.

        Raises:
            ValueError: a parameter is out of bounds, or X or y does not fit.
            DivergedError: the loss became non-finite before the first good epoch.
        """
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        table = read_samples(self, X, reset=True)
        self._fitted_on = "pandas" if is_pandas(X) else "arrow" if is_table(X) else "numpy"
        label = classes = None
        if y is not None and self.classification_weight != 0:
            table, label, classes = append_label(table, y, window=self._window)
        chosen_by_name = any([self.columns, self.exclude, self.id, self.group, self.time])
        all_columns = self._fitted_on == "numpy" and not chosen_by_name
        columns = table.column_names[: self.n_features_in_] if all_columns else self.columns
        self._set_fitted(train_in_memory(table, self._options(label, columns)))
        if classes is not None:
            self.classes_ = classes
        return self

    def _options(self, label: str | None, columns: Any) -> TrainOptions:
        check_threshold(self.threshold)
        if self.aggregate not in AGGREGATES:
            known = ", ".join(AGGREGATES)
            raise UsageError(f"aggregate={self.aggregate!r} is not one of {known}")
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31 - 1)
        options = {option.name: getattr(self, name) for name, option in PARAMETER_OPTIONS.items()}
        options |= {"label": label, "seed": seed, "columns": columns}
        if self._window is not None:
            options |= {"window": self._window, "group": SERIES_COLUMN}
        items = options.items()
        return parse_options({n: v.item() if isinstance(v, np.generic) else v for n, v in items})

    def _set_fitted(self, trained: TrainedModel) -> None:
        loaded = model_of(
            trained.spec, trained.weights, directory=MODEL_IN_MEMORY, device=str(self.device)
        )
        self.model_ = Model(loaded)
        self.history_ = trained.records()
        self.offset_ = -self._score_threshold()

    def _score_threshold(self) -> float:
        calibration = self.model_.spec.calibration
        assert calibration is not None, "training calibrates the scores"
        return threshold_value(self.threshold, calibration.scales[self.aggregate])

    def _read(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        return read_samples(self, X, reset=False)

    @with_own_threads
    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the latents `(n_samples, latent)`, float32; with windows one row per window.

        A DataFrame (`set_output`) has the index of each window's last row.
        """
        rows = self._read(X)
        latents = latents_of(self.model_.loaded, rows)
        as_frame = is_pandas(X) and _returns_pandas(self)
        windows = windows_of(self.model_.loaded, rows) if as_frame else None
        if windows is None:
            return latents
        return to_pandas(self._latent_table(latents), X.index.take(windows.last_rows))

    def _latent_table(self, latents: Any) -> pa.Table:
        return from_array(latents, [(name, 1) for name in self.get_feature_names_out()])

    @with_own_threads
    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """Return the rows decoded from latents `(n_samples, latent)`, in the type of `fit`.

        An array has the columns of `fit`, NaN in those without values; a table has the features of
        the model.
        """
        check_is_fitted(self)
        latents = check_array(X, dtype=np.float32)
        rows = self.model_.decode(self._latent_table(latents))
        if self._fitted_on == "numpy":
            array = self._input_array(rows)
            shape = (-1, self._window, array.shape[1])
            return array if self._window is None else array.reshape(shape)
        index = X.index if is_pandas(X) else range(rows.num_rows)
        return to_pandas(rows, index) if self._fitted_on == "pandas" else rows

    def _input_array(self, rows: pa.Table) -> AnyArray:
        """Return rows as an array with the columns of `fit`, NaN in those without values."""
        spec = self.model_.spec
        values = to_array(rows.select([column.name for column in spec.columns]))
        if values.shape[1] == self.n_features_in_:
            return values
        dtype = np.result_type(values, float)
        array: AnyArray = np.full((len(values), self.n_features_in_), np.nan, dtype)
        array[:, [int(column.name[1:]) for column in spec.columns]] = values
        return array

    @with_own_threads
    def predict(self, X: Any) -> AnyArray:  # noqa: N803
        """Return each row's class if there were labels; else 1 for inliers, -1 for outliers.

        With windows there is one class per window; a row in no window is an inlier.
        """
        rows = self._read(X)
        if _classifies(self):
            classes: AnyArray = self.classes_[logits_of(self.model_.loaded, rows).argmax(axis=1)]
            return classes
        is_outlier = self._negative_scores(rows) - self.offset_ < 0
        return np.where(is_outlier, -1, 1)

    @available_if(_classifies)  # type: ignore[untyped-decorator]  # sklearn ships no types
    @with_own_threads
    def predict_proba(self, X: Any) -> AnyFloats:  # noqa: N803
        """Return probabilities `(n_samples, n_classes)`, in the order of classes_."""
        rows = self._read(X)
        logits = logits_of(self.model_.loaded, rows).astype(np.float64)
        probabilities: AnyFloats = softmax(logits, axis=1)
        return probabilities

    @with_own_threads
    def decision_function(self, X: Any) -> AnyFloats:  # noqa: N803
        """Return the logits of classes, or score_samples - offset_ without labels.

        For two classes it is one number per row, the log-odds of the second class.
        """
        rows = self._read(X)
        if not _classifies(self):
            return self._negative_scores(rows) - self.offset_
        logits = logits_of(self.model_.loaded, rows)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    @with_own_threads
    def score_samples(self, X: Any) -> Floats:  # noqa: N803
        """Return minus the score of `aecli score` `(n_samples,)`: the lower, the more anomalous.

        The score is NaN for a row in no window.
        """
        return self._negative_scores(self._read(X))

    def _negative_scores(self, rows: Any) -> Floats:
        by_window = self._window is not None
        return -scores_of(self.model_.loaded, rows, self.aggregate, by_window=by_window)

    @with_own_threads
    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Return the accuracy on labelled rows; without labels, minus the reconstruction loss.

        With windows it is the accuracy on the windows that have a label, as in training.

        Raises:
            ValueError: the length of `y` is not that of `X`, or all labels are missing.
        """
        rows = self._read(X)
        if y is None or not _classifies(self):
            return -reconstruction_loss(self.model_.loaded, rows)
        check_consistent_length(range(len(rows) // (self._window or 1)), y)
        classes, codes = encode_labels(y)
        if self._window is None:
            codes = codes_of_samples(self.model_.loaded, rows, codes)
        labelled = codes >= 0
        if not labelled.any():
            raise ValueError("no window has a label: every label is missing, or in no window")
        return float(accuracy_score(classes[codes[labelled]], self.predict(X)[labelled]))

    def get_feature_names_out(self, input_features: Any = None) -> AnyArray:
        """Return the latents' names, `z0`, `z1`, …."""
        check_is_fitted(self)
        return np.array([f"z{i}" for i in range(self.model_.spec.network.latent)], dtype=object)

    def save(self, directory: str | os.PathLike[str], *, keep_generations: int = 1) -> None:
        """Save a model directory for all commands and `aecli.load`.

        `keep_generations` is the number of earlier models to keep in it, for `aecli.rollback`.

        Raises:
            UsageError: the directory contains other files and no model.
            OutputError: it cannot be written.
            LockedError: another run is writing it.
        """
        check_is_fitted(self)
        with StagedDirectory(location(directory)) as staged, Lock(staged.local):
            save(
                staged.local, self.model_.spec, self.model_.weights(), self.history_,
                keep_generations=keep_generations,
            )  # fmt: skip

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, device: str = "auto") -> Self:
        """Return a fitted estimator from a model directory of any training.

        Its parameters are the options of the training. Arrays must have the columns of
        `model_.columns`; tables are matched by name.

        Raises:
            ModelError: the model is missing, damaged or too new.
        """
        path = location(directory)
        loaded, history = load_with(path, partial(read_history, path), device=device)
        model, spec = Model(loaded), loaded.spec
        names = model.columns
        window = window_of(spec) if is_array_names(names) else None
        parameters = parameters_of(spec.options)
        if window is not None:  # `fit` takes both from the array
            parameters |= {name: PARAMETER_DEFAULTS[name] for name in ("window", "group")}
        estimator = cls(**parameters)
        estimator.model_, estimator.history_, estimator._window = model, history, window
        if is_array_names(names):
            estimator._fitted_on = "numpy"
            all_names = [*names, *(item.name for item in spec.left_out)]
            estimator.n_features_in_ = 1 + max(int(name[1:]) for name in all_names)
        else:
            estimator._fitted_on = "pandas"
            estimator.n_features_in_ = len(names)
            estimator.feature_names_in_ = np.array(names, object)
        if spec.label is not None and spec.network.classes:
            kind = parse_type(spec.label.type)
            classes = as_type(category_values(spec.label.classes, kind), kind)
            estimator.classes_ = to_array(pa.table({"class": classes}))[:, 0]
        estimator.offset_ = -estimator._score_threshold()
        return estimator


Autoencoder.__doc__ = f"{Autoencoder.__doc__}\n    {parameter_docs()}"
