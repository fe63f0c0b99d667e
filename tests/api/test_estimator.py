"""What scikit-learn's users rely on: its own checks, pipelines, searches, pickles, saved models."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone, is_classifier, is_outlier_detector
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import aecli
from aecli.model_directory.read import read_history, read_spec
from aecli.schema.options import TrainOptions

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROOT = Path(__file__).parent.parent.parent
SMALL: dict[str, Any] = {"encoder": (8, 2), "epochs": 8, "lr": 0.02}

# In a process of its own: SciPy reads the variable for array API inputs when it is imported.
CHECK = """
import sys, warnings
from sklearn.utils.estimator_checks import check_estimator
import aecli
results = check_estimator(aecli.Autoencoder(**eval(sys.argv[1])), on_fail=None, on_skip=None)
for one in results:
    print(one["check_name"], one["status"], repr(one["exception"]))
"""


def blobs(rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    values, classes = make_blobs(rows, n_features=4, centers=2, random_state=0)
    return values, np.array(["left", "right"], dtype=object)[classes]


def penguins() -> tuple[pd.DataFrame, pd.Series]:
    rows = pd.read_csv(ROOT / "sample_data" / "penguins.csv").iloc[::2]
    rows["island"] = rows["island"].astype("category")
    rows["day"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(rows)) % 9, unit="D")
    return rows.drop(columns="species"), rows["species"]


@pytest.fixture(scope="module")
def fitted() -> aecli.Autoencoder:
    rows, species = penguins()
    labels = species.copy()
    labels.iloc[::2] = None
    return aecli.Autoencoder(latent=3, epochs=12).fit(rows, labels)


@pytest.mark.parametrize(
    "parameters",
    [
        {"encoder": (8, 2), "epochs": 3, "lr": 0.05},
        {"encoder": (4, 2), "epochs": 1, "classification_weight": 0},
    ],
    ids=["a classifier where there are labels", "an outlier detector whatever y is"],
)
def test_every_check_of_scikit_learn_passes(parameters: dict[str, Any]):
    done = subprocess.run(
        [sys.executable, "-c", CHECK, repr(parameters)],
        capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "SCIPY_ARRAY_API": "1",
        "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    checks = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert len(checks) > 40, done.stderr
    assert [line for line in checks if line[1] != "passed"] == []


def test_parameters_are_the_options_with_their_defaults():
    given = aecli.Autoencoder().get_params()
    options = TrainOptions()
    assert given["epochs"] == options.training.epochs
    assert given["channels"] == tuple(options.network.channels)
    assert given["random_state"] == options.training.seed
    assert "label" not in given
    assert "number_loss (default 'mse'): Reconstruction loss" in aecli.Autoencoder.__doc__


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"latnet": 2}, TypeError, "did you mean 'latent'"),
        ({"lr": 20}, ValueError, "lr=20"),
        ({"threshold": "p101"}, ValueError, "p101"),
        ({"aggregate": "median"}, ValueError, "not one of mean, max, top3"),
    ],
)
def test_what_cannot_be_is_refused(parameters: Any, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        aecli.Autoencoder(**parameters).fit(blobs()[0])


def test_frames_of_any_kind_of_column_with_few_labels(fitted: aecli.Autoencoder):
    rows, species = penguins()
    assert fitted.score(rows, species) > 0.9
    assert fitted.classes_.tolist() == ["Adelie", "Chinstrap", "Gentoo"]
    assert fitted.predict_proba(rows).shape == (len(rows), 3)
    assert fitted.inverse_transform(fitted.transform(rows)).dtypes.equals(rows.dtypes)
    shuffled = rows[rows.columns[::-1]].assign(more=1)
    np.testing.assert_array_equal(fitted.transform(shuffled), fitted.transform(rows))
    with pytest.raises(ValueError, match="lacks 1 of the"):
        fitted.transform(rows.drop(columns="sex"))


def test_an_arrow_table_comes_back_as_one():
    rows = pa.Table.from_pandas(penguins()[0], preserve_index=False)
    estimator = aecli.Autoencoder(**SMALL).fit(rows)
    assert estimator.feature_names_in_.tolist() == rows.column_names
    assert estimator.inverse_transform(estimator.transform(rows)).schema.names == rows.column_names


def test_a_pickle_has_everything(fitted: aecli.Autoencoder):
    rows, _ = penguins()
    again = pickle.loads(pickle.dumps(fitted))
    assert again.history_ == fitted.history_
    for method in ("transform", "predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(again, method)(rows), getattr(fitted, method)(rows))


def test_a_pickle_of_an_earlier_version_has_the_defaults_of_newer_parameters():
    rows = blobs()[0]
    estimator = aecli.Autoencoder(**SMALL).fit(rows)
    latents = estimator.transform(rows)
    state = dict(vars(estimator))
    for name in ("l0", "lr_warmup", "_window"):
        del state[name]
    again = aecli.Autoencoder()
    vars(again).clear()
    again.__setstate__(state)
    np.testing.assert_array_equal(again.transform(rows), latents)
    assert again.get_params() == estimator.get_params()
    np.testing.assert_array_equal(clone(again).fit_transform(rows), latents)


def test_a_saved_estimator_is_a_model_directory(fitted: aecli.Autoencoder, tmp_path: Path):
    rows, _ = penguins()
    fitted.save(tmp_path / "m")
    assert [
        entry["epoch"] for entry in read_history(tmp_path / "m", read_spec(tmp_path / "m"))
    ] == list(range(1, 13))
    assert aecli.load(tmp_path / "m").predict(rows)["prediction"].tolist() == list(
        fitted.predict(rows)
    )
    again = aecli.Autoencoder.load(tmp_path / "m")
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.predict(rows), fitted.predict(rows))
    assert again.offset_ == fitted.offset_


def test_latents_are_named_for_frames():
    rows, _ = penguins()
    made = aecli.Autoencoder(**SMALL).set_output(transform="pandas").fit_transform(rows)
    assert made.columns.tolist() == ["z0", "z1"]
    assert made.index.equals(rows.index)


def test_without_labels_it_tells_outliers_by_its_threshold():
    values, _ = blobs()
    with_outlier = np.vstack([values, values[:1] + 40])
    estimator = aecli.Autoencoder(**SMALL).fit(values)
    assert is_outlier_detector(estimator)
    assert not hasattr(estimator, "predict_proba")
    assert estimator.predict(with_outlier)[-1] == -1
    assert estimator.score_samples(with_outlier).argmin() == len(values)
    table = estimator.model_.score(with_outlier)
    np.testing.assert_array_equal(estimator.predict(with_outlier) == -1, table > -estimator.offset_)
    lenient = clone(estimator).set_params(threshold=1e6).fit(values)
    assert (lenient.predict(with_outlier) == 1).all()


def test_labels_make_it_a_classifier_unless_they_weigh_nothing():
    values, labels = blobs()
    assert is_classifier(aecli.Autoencoder(**SMALL).fit(values, labels))
    unlabelled = aecli.Autoencoder(**SMALL, classification_weight=0).fit(values, labels)
    assert is_outlier_detector(unlabelled)
    assert unlabelled.model_.spec.label is None
    with pytest.raises(ValueError, match="classification_weight=0"):
        aecli.Autoencoder(**SMALL).fit(values, values[:, 0])


def test_it_works_in_pipelines_and_searches():
    values, labels = blobs()
    steps = make_pipeline(aecli.Autoencoder(**SMALL), LogisticRegression())
    search = GridSearchCV(steps, {"autoencoder__encoder": [(8, 1), (8, 2)]}, cv=2)
    assert search.fit(values, labels).best_score_ > 0.9
    own = cross_val_score(aecli.Autoencoder(**SMALL), values, labels, cv=2, scoring="roc_auc")
    assert own.min() > 0.9


def test_without_labels_a_search_takes_the_smaller_reconstruction_loss():
    values = np.random.default_rng(0).normal(size=(80, 2)) @ np.ones((2, 5))
    values += np.arange(5) * values[:, :1]
    search = GridSearchCV(aecli.Autoencoder(epochs=10), {"latent": np.array([1, 2])}, cv=2)
    assert search.fit(values).best_params_ == {"latent": 2}
    assert -0.1 < search.best_score_ < 0


def test_the_same_seed_trains_the_same_and_none_another():
    values, _ = blobs()
    hashes = [
        aecli.Autoencoder(**SMALL, random_state=seed).fit(values).model_.weights()
        for seed in (0, np.int64(0), None)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_empty_column_comes_back_empty():
    values, _ = blobs()
    values[:, 1] = np.nan
    estimator = aecli.Autoencoder(**SMALL).fit(values)
    reconstructed = estimator.inverse_transform(estimator.transform(values))
    assert reconstructed.shape == values.shape
    assert np.isnan(reconstructed[:, 1]).all()
    assert np.isfinite(np.delete(reconstructed, 1, axis=1)).all()


def test_windows_score_every_row():
    values = np.sin(np.arange(80) / 5)[:, None] + np.zeros((1, 2))
    estimator = aecli.Autoencoder(window=8, latent=2, epochs=4).fit(values)
    assert estimator.transform(values).shape == (73, 2)
    assert estimator.score_samples(values).shape == (80,)
    assert set(estimator.predict(values)) <= {-1, 1}


def two_series(rows: int = 75) -> tuple[pd.DataFrame, np.ndarray]:
    place = np.arange(rows)
    values = {"a": np.sin(place / 5), "b": np.cos(place / 5), "who": np.where(place < 72, "p", "q")}
    labels = np.where(np.sin(place / 5) > 0, "up", "down").astype(object)
    return pd.DataFrame(values, index=[f"row {i}" for i in place]), labels


def test_a_row_in_no_window_is_no_outlier():
    rows, _ = two_series()
    estimator = aecli.Autoencoder(window=8, group="who", latent=2, epochs=1, threshold=0.0).fit(
        rows
    )
    assert np.isnan(estimator.score_samples(rows)[-3:]).all()
    assert estimator.predict(rows).tolist() == [-1] * 72 + [1] * 3


@pytest.mark.parametrize("window_label", ["last", "majority"])
def test_windows_are_scored_by_their_own_labels(window_label: str):
    rows, labels = two_series()
    labels[10:20] = None
    estimator = aecli.Autoencoder(
        window=8, stride=4, group="who", window_label=window_label, latent=2, epochs=4
    ).fit(rows, labels)
    cut = [labels[end - 8 : end] for end in range(8, 73, 4)]
    if window_label == "last":
        expected = [window[-1] for window in cut]
    else:
        counted = [{name: (window == name).sum() for name in ("down", "up")} for window in cut]
        expected = [max(c, key=c.get) if any(c.values()) else None for c in counted]
    hits = [w == p for w, p in zip(expected, estimator.predict(rows), strict=True) if w is not None]
    assert estimator.score(rows, labels) == pytest.approx(np.mean(hits))


def test_frames_of_windows_have_the_index_of_their_last_rows():
    rows, _ = two_series()
    made = aecli.Autoencoder(window=8, stride=8, group="who", latent=2, epochs=1)
    latents = made.set_output(transform="pandas").fit_transform(rows)
    assert latents.index.tolist() == [f"row {i}" for i in range(7, 72, 8)]
    assert latents.columns.tolist() == ["z0", "z1"]
    again = made.set_output(transform="default").transform(rows)
    np.testing.assert_array_equal(latents.to_numpy(), again)


def test_a_y_without_any_label_is_named(fitted: aecli.Autoencoder):
    rows, _ = penguins()
    with pytest.raises(ValueError, match="y has no label"):
        fitted.score(rows, [None] * len(rows))


def test_loaded_classes_are_of_the_labels_own_type(tmp_path: Path):
    values, labels = blobs()
    table = pa.table({"a": values[:, 0], "b": values[:, 1]})
    codes = pa.array(labels == "left").cast(pa.int8())
    for label in (codes, codes.cast(pa.float64()), codes.dictionary_encode()):
        rows = table.append_column("y", label)
        aecli.train(rows, model=tmp_path / "m", label="y", latent=1, epochs=1)
        estimator = aecli.Autoencoder.load(tmp_path / "m")
        assert estimator.classes_.dtype == aecli.load(tmp_path / "m").predict(values[:, :2]).dtype
        assert estimator.classes_.tolist() == [0, 1]


def test_fitting_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    aecli.Autoencoder(**SMALL).fit(blobs()[0])
    assert list(tmp_path.iterdir()) == []
