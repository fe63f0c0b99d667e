"""Axes of the latents that encode writes, and latents whose units stay as they are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.metrics.latent import LatentFigures
from aecli.training.axes import independent_axes

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def table() -> pa.Table:
    drawn = np.random.default_rng(0).normal(size=(500, 3)) * [3, 1, 0.3]
    mixed = drawn @ np.random.default_rng(1).normal(size=(3, 6))
    return pa.table({f"x{i}": mixed[:, i] for i in range(6)} | {"y": ["a", "b"] * 250})


def latents(place: Path, data: pa.Table, **options: object) -> np.ndarray:
    aecli.train(data, model=place / "m", latent=3, epochs=5, valid="none", **options)
    aecli.encode(data, str(place / "z.parquet"), model=place / "m")
    return pq.read_table(place / "z.parquet").to_pandas().to_numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"init": "default", "exclude": ["y"]},
        {"label": "y", "l2": 1e-3},
        {"window": 3},
        {"axes": "independent", "label": "y"},
        {"axes": "independent", "window": 3},
    ],
    ids=["rows", "with a classifier", "windows", "independent", "independent, of windows"],
)
def test_units_are_uncorrelated_and_the_widest_comes_first(tmp_path: Path, options: dict):
    found = np.cov(latents(tmp_path, table(), **options).T)
    spread = np.sqrt(found.diagonal())
    assert (np.diff(spread) < 0).all()
    np.testing.assert_allclose(found / np.outer(spread, spread), np.eye(3), atol=1e-3)


@pytest.mark.parametrize("options", [{"l1": 0.01}, {"latent_activation": "Tanh"}, {"topk": 2}])
def test_units_that_a_loss_or_an_activation_shapes_stay_as_they_are(tmp_path: Path, options: dict):
    found = np.cov(latents(tmp_path, table(), init="default", **options).T)
    assert np.abs(found - np.diag(found.diagonal())).max() > 1e-3


def test_independent_axes_find_the_sources_and_change_no_output(tmp_path: Path):
    rng = np.random.default_rng(0)
    flat = rng.uniform(size=(2, 900))
    sources = np.stack([flat[0], rng.laplace(size=900), flat[1] < 0.3], 1)
    mixed = sources @ rng.normal(size=(3, 6))
    data = pa.table({f"x{i}": mixed[:, i] for i in range(6)})
    outputs, units = [], []
    for axes in ("uncorrelated", "independent"):
        units.append(latents(tmp_path, data, axes=axes))
        aecli.reconstruct(data, str(tmp_path / "rows.parquet"), model=tmp_path / "m")
        outputs.append(pq.read_table(tmp_path / "rows.parquet").to_pandas().to_numpy())
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-4)
    variances = [values.var(0).sum() for values in units]
    assert variances[1] == pytest.approx(variances[0], rel=1e-3)
    found = np.abs(np.corrcoef(units[1].T, sources.T)[:3, 3:])
    assert sorted(found.argmax(0)) == [0, 1, 2]
    assert found.max(0).min() > 0.97


@pytest.mark.parametrize(
    ("scales", "unchanged"),
    [([1.0, 1.0, 0.0, 0.0], 2), ([1.0, 0.0, 0.0, 0.0], 4), ([0.0] * 4, 4), ([1, 0.5, 1e-6, 0], 2)],
    ids=["two constant units", "one that varies", "all constant", "one that hardly varies"],
)
def test_axes_that_hardly_vary_stay_principal(scales: list[float], unchanged: int):
    values = torch.rand(300, 4, generator=torch.Generator().manual_seed(0)).double()
    units = values * torch.tensor(scales)
    figures = LatentFigures(4)
    figures.add(units)
    principal = figures.axes()
    matrix, _ = independent_axes(units, principal, seed=0)
    torch.testing.assert_close(matrix[4 - unchanged :], principal[4 - unchanged :])
    assert torch.linalg.matrix_rank(matrix) == 4
