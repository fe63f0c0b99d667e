"""Arrays of windows `(n_series, window, n_features)`: a sample, a label and a score for each."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import aecli

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

SMALL: dict[str, Any] = {"latent": 3, "epochs": 20, "lr": 0.01}


def waves(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return windows of two features, sorted by their class, and the classes."""
    steps, phase = np.arange(12), np.linspace(0, 6, count)[:, None]
    fast = np.arange(count)[:, None] >= count // 2
    angle = phase + steps / np.where(fast, 1.0, 4.0)
    return np.stack([np.sin(angle), np.cos(angle)], axis=2), np.where(fast[:, 0], "fast", "slow")


@pytest.fixture(scope="module")
def fitted() -> aecli.Autoencoder:
    return aecli.Autoencoder(**SMALL).fit(*waves())


def test_each_window_is_one_sample_with_one_label(fitted: aecli.Autoencoder):
    windows, classes = waves()
    assert fitted.transform(windows).shape == (60, 3)
    assert fitted.predict_proba(windows).shape == (60, 2)
    assert fitted.score_samples(windows).shape == (60,)
    assert fitted.score(windows, classes) == (fitted.predict(windows) == classes).mean() > 0.9
    assert fitted.n_features_in_ == 2


def test_reconstructions_have_the_shape_of_the_windows(fitted: aecli.Autoencoder):
    windows, _ = waves()
    reconstructed = fitted.inverse_transform(fitted.transform(windows))
    assert reconstructed.shape == windows.shape
    assert np.square(reconstructed - windows).mean() < 0.3 * windows.var()


def test_a_window_is_encoded_without_the_others(fitted: aecli.Autoencoder):
    windows, _ = waves()
    some = [40, 3, 20]
    for method in (fitted.transform, fitted.score_samples):
        np.testing.assert_allclose(method(windows[some]), method(windows)[some], rtol=1e-5)


def test_whole_windows_are_held_out_at_random_although_classes_are_sorted():
    windows, classes = waves()
    estimator = aecli.Autoencoder(latent=2, epochs=1, valid=0.5).fit(windows, classes)
    assert estimator.model_.spec.summary.valid_rows == 30
    assert min(estimator.model_.spec.label.counts) > 5


def test_an_outlier_is_found_among_windows():
    windows, _ = waves()
    estimator = aecli.Autoencoder(**SMALL, window=12).fit(windows)
    windows[7] = 3.0
    assert estimator.score_samples(windows).argmin() == 7
    assert estimator.predict(windows).shape == (60,)
    assert estimator.predict(windows)[7] == -1


@pytest.mark.parametrize("row", [0, 5, 11])
def test_a_constant_that_changes_in_any_row_counts_in_the_score_of_its_window(row: int):
    windows = np.concatenate([waves()[0], np.full((60, 12, 1), 5.0)], axis=2)
    estimator = aecli.Autoencoder(latent=2, epochs=1).fit(windows)
    before = estimator.score_samples(windows)
    windows[7, row, 2] = 9.0
    scores = estimator.score_samples(windows)
    assert scores[7] < before[7] - 1
    assert estimator.predict(windows)[7] == -1
    np.testing.assert_allclose(scores, -estimator.model_.score(windows))


def test_nested_lists_are_the_windows_of_an_array(fitted: aecli.Autoencoder):
    windows, classes = waves()
    for data in (windows.tolist(), list(windows)):
        np.testing.assert_array_equal(fitted.predict(data), fitted.predict(windows))
        estimator = aecli.Autoencoder(latent=2, epochs=1).fit(data, classes)
        assert estimator.transform(data).shape == (60, 2)
    with pytest.raises(ValueError, match=r"windows of the shapes \[\(11, 2\), \(12, 2\)\]"):
        aecli.Autoencoder().fit([windows[0], windows[1, 1:]])


def test_a_loaded_estimator_fits_again_on_windows_of_any_length_and_on_rows(
    fitted: aecli.Autoencoder, tmp_path: Path
):
    windows, classes = waves()
    fitted.save(tmp_path / "m")
    loaded = aecli.Autoencoder.load(tmp_path / "m")
    again = clone(loaded).fit(windows, classes)
    np.testing.assert_array_equal(again.transform(windows), fitted.transform(windows))
    short = clone(loaded).set_params(epochs=1)
    assert short.fit(windows[:, :6]).inverse_transform(np.zeros((2, 3))).shape == (2, 6, 2)
    assert short.fit(windows[:, 0]).transform(windows[:, 0]).shape == (60, 3)


def test_a_saved_estimator_takes_windows(fitted: aecli.Autoencoder, tmp_path: Path):
    windows, classes = waves()
    fitted.save(tmp_path / "m")
    again = aecli.Autoencoder.load(tmp_path / "m")
    np.testing.assert_array_equal(again.transform(windows), fitted.transform(windows))
    assert again.score(windows, classes) == fitted.score(windows, classes)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 10, 2), r"X has shape \(5, 10, 2\), and fit had windows: \(n_series, 12, 2\)"),
        ((60, 2), r"X has shape \(60, 2\), and fit had windows: \(n_series, 12, 2\)"),
        ((5, 12, 3), "X has 3 features, but Autoencoder is expecting 2 features"),
        ((0, 12, 2), "0 sample"),
        ((2, 5, 12, 2), r"X has shape \(2, 5, 12, 2\), and fit had windows"),
    ],
)
def test_other_shapes_than_in_fit_are_refused(fitted: aecli.Autoencoder, shape, message):
    for method in (fitted.transform, fitted.predict, fitted.score_samples):
        with pytest.raises(ValueError, match=message):
            method(np.zeros(shape))


def test_what_has_not_three_dimensions_is_refused_after_a_fit_on_windows(fitted: aecli.Autoencoder):
    with pytest.raises(ValueError, match="X is a list, and fit had windows"):
        fitted.transform(np.zeros((12, 2)).tolist())
    with pytest.raises(ValueError, match="X is a DataFrame, and fit had windows"):
        fitted.score_samples(pd.DataFrame({"x0": [0.0], "x1": [0.0], "series": [0]}))


def test_windows_are_refused_after_a_fit_on_rows():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    estimator = aecli.Autoencoder(latent=1, epochs=1).fit(rows)
    with pytest.raises(ValueError, match=r"fit had rows: \(n_samples, 2\)"):
        estimator.transform(np.zeros((5, 12, 2)))


@pytest.mark.parametrize(
    ("parameters", "shape", "message"),
    [
        ({"window": 8}, (20, 12, 2), "with windows of 12 rows, and window is 8; leave window out"),
        ({"group": "x0"}, (20, 12, 2), "group is for rows of a table"),
        ({"time": "x0"}, (20, 12, 2), "time is for rows of a table"),
        ({}, (20, 1, 2), r"X has shape \(20, 1, 2\): a window needs at least 2 rows"),
        ({}, (20, 12, 0), "0 feature"),
        ({}, (0, 12, 2), "0 sample"),
        ({}, (2, 3, 4, 5), "dim 4"),
    ],
)
def test_what_is_not_windows_is_refused(parameters, shape, message):
    with pytest.raises(ValueError, match=message):
        aecli.Autoencoder(**parameters).fit(np.zeros(shape))


def test_labels_are_one_per_window(fitted: aecli.Autoencoder):
    windows, classes = waves()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        aecli.Autoencoder(**SMALL).fit(windows, np.repeat(classes, 12))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.score(windows, classes[:-1])
    some = pd.Series(classes, name="speed").mask(np.arange(60) % 2 == 0)
    half = aecli.Autoencoder(latent=3, epochs=2).fit(windows, some)
    assert half.model_.spec.label.name == "speed"
    assert half.classes_.tolist() == ["fast", "slow"]


def test_the_model_of_the_estimator_takes_windows_too(fitted: aecli.Autoencoder):
    windows, _ = waves()
    model = fitted.model_
    np.testing.assert_array_equal(model.encode(windows), fitted.transform(windows))
    np.testing.assert_array_equal(model.predict(windows), fitted.predict(windows))
    np.testing.assert_allclose(model.score(windows), -fitted.score_samples(windows))
    reconstructed = fitted.inverse_transform(fitted.transform(windows))
    np.testing.assert_allclose(model.reconstruct(windows), reconstructed, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 10, 2), (5, 12, 1), (60, 2), (24,)])
def test_the_model_names_the_shape_of_windows_that_it_needs(fitted: aecli.Autoencoder, shape):
    given = "×".join(map(str, shape))
    message = rf"the array has shape {given}; this model needs \(series, 12, 2\)"
    with pytest.raises(ValueError, match=message):
        fitted.model_.encode(np.zeros(shape))
