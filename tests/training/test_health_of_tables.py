"""Health lines of real trainings: on one table each must speak, on a similar one it must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = np.random.default_rng(0)


def table(values: np.ndarray, **more: object) -> pa.Table:
    columns = {f"x{i}": column for i, column in enumerate(values.T)}
    return pa.table(columns | more)


LOW_RANK = table(ROWS.normal(size=(300, 3)) @ ROWS.normal(size=(3, 8)))
NOISE = table(ROWS.normal(size=(40, 60)))
STEPS = np.arange(240)
WAVES = table(np.stack([np.sin(STEPS / 9), np.cos(STEPS / 9), np.sin(STEPS / 31)], axis=1))
CLASSES = ROWS.integers(0, 3, 300)
FAR_CLASSES = table(
    ROWS.normal(size=(300, 4)) @ ROWS.normal(size=(4, 10)) + 30 * np.eye(10)[CLASSES],
    y=[f"c{code}" for code in CLASSES],
)

LSTM = {"arch": "lstm", "window": 12, "latent": 6, "hidden": 16, "epochs": 4, "kl": 3.0}
FREE = {"latent": 3, "epochs": 10}


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (WAVES, LSTM, "the latent has collapsed: 0 of 6 units are active"),
        (LOW_RANK, FREE | {"init": "default", "epochs": 1, "lr": 1e-5}, "column means"),
        (LOW_RANK, FREE | {"init": "default", "epochs": 2}, "that of PCA of the same size"),
        (LOW_RANK, FREE | {"l1": 100.0}, "the latent has collapsed: 0 of 3 units are active"),
        (LOW_RANK, FREE | {"kl": 100.0}, "that of PCA of the same size"),
        (NOISE, {"init": "default", "valid": 0.3, "latent": 20, "epochs": 60}, "overfitting: the"),
        (NOISE, {"valid": 0.3, "latent": 20, "epochs": 20}, "no epoch beat the initial weights"),
    ],
    ids=["collapse", "column means", "PCA", "penalty", "kl", "overfitting", "start"],
)
def test_a_fault_is_one_line_with_what_to_try(tmp_path: Path, rows, options, said):
    summary = aecli.train(rows, model=tmp_path, threads=1, **options).spec.summary
    (line,) = summary.health
    assert said in line
    assert "; try " in line


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (WAVES, LSTM | {"kl": 0.0}),
        (LOW_RANK, FREE),
        (LOW_RANK, FREE | {"init": "default", "epochs": 40}),
        (LOW_RANK, FREE | {"l1": 1e-3}),
        (LOW_RANK, FREE | {"latent": 6}),
        (FAR_CLASSES, {"label": "y", "latent": 4, "epochs": 30}),
        (FAR_CLASSES, {"label": "y", "reconst_weight": 0, "epochs": 5}),
    ],
    ids=["waves", "PCA", "learned", "small penalty", "spare units", "far classes", "no decoder"],
)
def test_a_sound_training_has_no_line(tmp_path: Path, rows, options):
    assert aecli.train(rows, model=tmp_path, threads=1, **options).spec.summary.health == []


def test_a_collapsed_latent_is_not_counted_as_active(tmp_path: Path):
    trained = aecli.train(WAVES, model=tmp_path, threads=1, **LSTM).spec
    assert trained.summary.latent_active == 0
    assert aecli.evaluate(WAVES, model=tmp_path).latent.active < 3


@pytest.mark.parametrize("columns", [1, 2, 3, 8])
@pytest.mark.parametrize("latent", [None, "auto"])
def test_a_default_latent_is_never_called_overcomplete(tmp_path: Path, columns: int, latent):
    rows = LOW_RANK.select(range(columns))
    trained = aecli.train(rows, model=tmp_path, latent=latent, epochs=1, threads=1).spec
    assert trained.network.latent < max(2, columns)
    assert not any("overcomplete" in note for note in trained.summary.notes)
