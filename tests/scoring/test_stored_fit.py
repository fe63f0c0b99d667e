"""Tensors of a scoring fit that do not fit the model, as a forged weights file may have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

import aecli
from aecli.errors import ModelError
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.scoring.deviations import PREFIX
from aecli.scoring.stored_fit import stored_fit

Change = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    """Return a model of rows, and one of windows."""
    rows = np.random.default_rng(0).normal(size=(90, 3))
    table = pa.table({f"c{i}": rows[:, i] for i in range(3)})
    folder, options = tmp_path_factory.mktemp("models"), {"latent": 2, "epochs": 1}
    aecli.train(table, model=folder / "rows", **options)
    aecli.train(table, model=folder / "windows", window=4, **options)
    return {name: load_model(folder / name, device="cpu") for name in ("rows", "windows")}


OF_ROWS: list[tuple[str, Change]] = [
    ("features", lambda t: t * 0 + 1e6),
    ("features", lambda t: t * 0 - 3),
    ("features", lambda t: t + 0.5),
    ("features", lambda t: t * torch.nan),
    ("features", torch.flatten),
    ("features", lambda t: t[:0]),
    ("splits", lambda t: t[:, :4]),
    ("lengths", lambda t: t[:, :100]),
    ("lengths", lambda t: t[0, 0]),
    ("points", lambda t: t[:, :2]),
    ("points", lambda t: t[:0]),
    ("points", lambda t: t[0]),
    ("rank", lambda t: t * 0),
    ("rank", lambda t: torch.ones(2)),
    ("medians", lambda t: t[:5]),
    ("ordinary", lambda t: torch.ones(3)),
    ("whiten", lambda t: t[:2, :2]),
    ("centre", lambda t: t[:1]),
    ("constant", lambda t: t[:0]),
    ("rarity", lambda t: torch.ones(4)),
    ("scale", lambda t: t[:1]),
]
OF_WINDOWS: list[tuple[str, Change]] = [
    ("window_floor", lambda t: t[:1]),
    ("window_median", torch.flatten),
    ("window_whiten", lambda t: t[:2]),
    ("medians", lambda t: t[:5]),
]
CHANGES = [("rows", *change) for change in OF_ROWS] + [("windows", *c) for c in OF_WINDOWS]


@pytest.mark.parametrize(("kind", "name", "change"), CHANGES)
def test_a_tensor_of_another_size_or_range_is_refused(models, kind, name, change):
    model = models[kind]
    changed = change(model.baseline[PREFIX + name])
    with pytest.raises(ModelError, match="has a scoring fit that differs from the columns"):
        stored_fit(replace(model, baseline=model.baseline | {PREFIX + name: changed}))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("rows", n) for n in ("features", "lengths", "points", "rank", "ordinary")]
    + [("windows", "window_spread")],
)
def test_a_part_without_one_of_its_tensors_is_refused(models, kind, name):
    model = models[kind]
    kept = {key: tensor for key, tensor in model.baseline.items() if key != PREFIX + name}
    with pytest.raises(ModelError, match="has a scoring fit that differs from the columns"):
        stored_fit(replace(model, baseline=kept))


def test_tensors_of_other_types_are_read(models):
    model = models["rows"]
    whole = model.baseline[PREFIX + "features"].int()
    again = stored_fit(replace(model, baseline=model.baseline | {PREFIX + "features": whole}))
    fitted = stored_fit(model)
    assert again.forest is not None
    assert fitted.forest is not None
    assert torch.equal(again.forest.features, fitted.forest.features)
