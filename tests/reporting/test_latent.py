"""The maps of the latent: the second is drawn only where umap can be imported."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

import aecli
from aecli.reporting.figures.latent import map_panels
from aecli.reporting.latent import MIN_UMAP_SAMPLES, pca_map, umap_layout

STAND_IN = """
class UMAP:
    def __init__(self, **arguments):
        assert arguments["n_jobs"] == 1
        self.seed = arguments["random_state"]

    def fit_transform(self, latent):
        return self.seed + latent[:, :2]
"""
LATENT = np.random.default_rng(0).normal(size=(2 * MIN_UMAP_SAMPLES, 3))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "umap.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "umap", raising=False)


def drawn_map(latents: np.ndarray) -> tuple[str, list[float]]:
    """Return a map's caption and the width and height of its axes."""
    unknown = np.full(len(latents), np.nan)
    found = pca_map(latents, None, np.full(len(latents), -1), unknown)
    (panel,) = map_panels(SimpleNamespace(maps=[found], unit="row"))
    figure = Figure()
    panel.draw(figure)
    (axes,) = figure.axes
    return panel.caption, [float(np.ptp(axes.get_xlim())), float(np.ptp(axes.get_ylim()))]


@pytest.mark.parametrize(("count", "said"), [(1, "1 row beyond"), (2, "2 rows beyond")])
def test_outliers_do_not_decide_the_axes_of_a_map(count: int, said: str):
    latents = np.random.default_rng(0).normal(size=(200, 3)) * [3, 2, 1]
    plain, size = drawn_map(latents)
    assert "beyond" not in plain
    latents[:count, 2] = -1e6
    caption, spoiled = drawn_map(latents)
    assert said in caption
    assert spoiled == pytest.approx(size, rel=0.2)


def test_a_map_of_equal_latents_is_drawn():
    caption, size = drawn_map(np.ones((20, 3)))
    assert "beyond" not in caption
    assert min(size) > 0


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="umap is installed")
def test_without_umap_there_is_no_second_map():
    assert umap_layout(LATENT, 0) is None


@pytest.mark.usefixtures("installed")
def test_a_seeded_layout_has_a_point_for_every_sample():
    layout = umap_layout(LATENT, 7)
    assert layout is not None
    assert layout.shape == (2 * MIN_UMAP_SAMPLES, 2)
    assert layout.mean() == pytest.approx(7, abs=0.1)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "latent", [LATENT[:, :2], LATENT[: MIN_UMAP_SAMPLES - 1], np.ones((50, 4)), np.eye(50, 4)]
)
def test_latents_without_neighbours_have_no_layout(latent):
    assert umap_layout(latent, 0) is None


@pytest.mark.usefixtures("installed")
def test_the_umap_follows_the_map_of_components(tmp_path):
    rows = pa.table(dict(zip("abcd", np.random.default_rng(0).normal(size=(4, 40)), strict=True)))
    options = {"model": tmp_path / "m", "device": "cpu", "threads": 1}
    aecli.train(rows, epochs=1, encoder=[4, 3], **options)
    shows = aecli.plot("map", rows, str(tmp_path / "m.png"), **options).shows
    assert ["by UMAP, coloured by the anomaly score" in text for text in shows] == [False, True]
