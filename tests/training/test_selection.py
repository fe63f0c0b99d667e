"""Inputs of a classifier that a training chooses by held-out rows, where a rule does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import aecli
from aecli.training.paired_losses import is_clearly_lower

CHOSEN = "classifier with binned inputs, chosen on validation rows: cross-entropy "
LEFT = "classifier without binned inputs, which are not clearly better: cross-entropy "


def rows(label: str, count: int = 800) -> pa.Table:
    """Return a number, and classes by its range, by a line, or by a rare one of these ranges."""
    x = np.random.default_rng(0).random(count)
    classes = {
        "striped": (12 * x).astype(int) % 2 > 0,
        "linear": x > 0.5,
        "rare": (50 * x).astype(int) == 7,
    }
    return pa.table({"x": x, "c": ["a", "b"] * (count // 2), "y": classes[label]})


def notes(model: Path, label: str, **options: Any) -> list[str]:
    """Return the notes on the choice."""
    defaults = {"label": "y", "latent": 2, "encoder": [32, 2], "epochs": 15, "valid": 0.3}
    spec = aecli.train(rows(label), model=model, **defaults | options).spec
    binned = any(column.bins for column in spec.columns)
    found = [note for note in spec.summary.notes if "binned inputs" in note]
    assert binned == any(note.startswith(CHOSEN) for note in found)
    return found


@pytest.mark.parametrize(("label", "start"), [("striped", CHOSEN), ("linear", LEFT)])
def test_bins_are_chosen_only_where_they_are_clearly_better(tmp_path: Path, label, start):
    (note,) = notes(tmp_path / "m", label)
    assert note.startswith(start)


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("rare", {}),  # five rows of the rare class cannot decide
        ("striped", {"class_weight": 0}),
        ("striped", {"valid": "none"}),
        ("striped", {"valid": 0.1}),
        ("striped", {"epochs": 100_000, "time_limit": 0.3}),
    ],
)
def test_nothing_is_compared(tmp_path: Path, label: str, options: dict[str, Any]):
    assert notes(tmp_path / "m", label, **options) == []


@pytest.mark.parametrize(
    ("shift", "noise", "clear"),
    [(0.1, 0.1, True), (0.1, 5.0, False), (-0.1, 0.1, False), (0.0, 0.0, False)],
)
def test_a_difference_is_clear_by_the_noise_of_its_rows(shift: float, noise: float, clear: bool):
    generator = torch.Generator().manual_seed(0)
    others = torch.rand(200, generator=generator)
    losses = others - shift + noise * torch.randn(200, generator=generator)
    assert is_clearly_lower(losses, others) == clear


def test_too_few_rows_decide_nothing():
    assert not is_clearly_lower(torch.zeros(10), torch.ones(10))


@pytest.mark.parametrize(
    ("options", "as_pca"),
    [({}, True), ({"init": "default"}, False), ({"latent_activation": "Tanh"}, False)],
)
def test_a_linear_latent_next_to_a_classifier_starts_as_pca(tmp_path: Path, options, as_pca):
    spec = aecli.train(
        rows("linear", 60), model=tmp_path / "m", label="y", latent=2, epochs=1, **options
    ).spec
    assert spec.network.linear_path == as_pca
