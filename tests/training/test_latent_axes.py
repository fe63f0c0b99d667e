"""What encode promises of the latent's units: principal axes, unless units mean something."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def covariance(place: Path, **options: object) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(500, 3)) * [3, 1, 0.3]
    mixed = drawn @ np.random.default_rng(1).normal(size=(3, 6))
    table = pa.table({f"x{i}": mixed[:, i] for i in range(6)} | {"y": ["a", "b"] * 250})
    aecli.train(table, model=place / "m", latent=3, epochs=5, valid="none", **options)
    aecli.encode(table, str(place / "z.parquet"), model=place / "m")
    return np.cov(pq.read_table(place / "z.parquet").to_pandas().T.to_numpy())


@pytest.mark.parametrize(
    "options",
    [{"init": "default", "exclude": ["y"]}, {"label": "y", "l2": 1e-3}, {"window": 3}],
    ids=["rows", "with a classifier", "windows"],
)
def test_units_are_uncorrelated_and_the_widest_comes_first(tmp_path: Path, options: dict):
    found = covariance(tmp_path, **options)
    spread = np.sqrt(found.diagonal())
    assert (np.diff(spread) < 0).all()
    np.testing.assert_allclose(found / np.outer(spread, spread), np.eye(3), atol=1e-3)


@pytest.mark.parametrize("options", [{"l1": 0.01}, {"latent_activation": "Tanh"}, {"topk": 2}])
def test_units_that_a_loss_or_an_activation_shapes_stay_as_they_are(tmp_path: Path, options: dict):
    found = covariance(tmp_path, init="default", **options)
    assert np.abs(found - np.diag(found.diagonal())).max() > 1e-3
