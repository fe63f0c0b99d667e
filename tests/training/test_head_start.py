"""A classifier starts at the shares of the classes, which a short training can only improve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import aecli
from aecli.progress import SILENT
from aecli.training.build import build_training
from aecli.training.classifier_start import SEARCHED_SAMPLES, labelled_samples
from aecli.training.data import prepare
from aecli.training.train import parse_options


def table(rows: int = 120) -> pa.Table:
    """Return two numbers, a category, and classes of 1 : 2 : 3 by the first number."""
    generator = np.random.default_rng(0)
    x = generator.random((rows, 2))
    names = np.array(["low", "middle", "high"])
    y = names[np.searchsorted([1 / 6, 1 / 2], x[:, 0])]
    return pa.table({"x": x[:, 0], "u": x[:, 1], "c": generator.integers(0, 3, rows), "y": y})


@pytest.mark.parametrize(
    ("options", "as_shares"),
    [
        ({}, True),
        ({"balance": True}, False),
        ({"classifier": [8]}, True),
        ({"latent": 1}, True),
        ({"init": "pca"}, True),
    ],
)
def test_the_first_predictions_have_the_mean_of_the_shares(options: dict[str, Any], as_shares):
    chosen = parse_options({"label": "y", "latent": 2, "valid": "none"} | options)
    prepared = prepare(table(), chosen, SILENT)
    objective = build_training(prepared, chosen, SILENT).objective
    network = objective.network
    with torch.no_grad():
        latents = network.encode(objective.inputs(prepared.train.cells))
        logits = network.classify(latents).mean(0)
    counts = torch.tensor(prepared.plan.label.counts, dtype=torch.float32)
    expected = counts / counts.sum() if as_shares else torch.full((3,), 1 / 3)
    assert torch.allclose(logits.softmax(0), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_three_epochs_of_few_rows_never_order_the_classes_the_wrong_way(tmp_path, seed: int):
    aecli.train(table(), model=tmp_path / "m", label="y", latent=2, epochs=3, seed=seed)
    assert aecli.evaluate(table(), model=tmp_path / "m").classification.auroc > 0.85


@pytest.mark.parametrize("share", [0.0, 0.001, 0.4])
def test_labelled_samples_are_evenly_spaced_over_large_tables(share: float):
    codes = torch.zeros(SEARCHED_SAMPLES + 99_999, dtype=torch.int64)
    codes[torch.rand(len(codes), generator=torch.Generator().manual_seed(0)) >= share] = -1
    labelled = (codes >= 0).nonzero()[:, 0]
    chosen = labelled[:: max(1, -(-len(labelled) // 8_192))]
    assert torch.equal(labelled_samples(codes), chosen)
