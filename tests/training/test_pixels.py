"""Noise on pixels and smoothed labels, which a classifier of pixels is trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from aecli.progress import SILENT
from aecli.training.build import LABEL_SMOOTHING, PIXEL_NOISE, build_training
from aecli.training.data import prepare
from aecli.training.noise import Noise
from aecli.training.objective import Objective
from aecli.training.train import parse_options

PIXELS = 64


def images(pixels: int = PIXELS) -> pa.Table:
    """Return images of two classes with pixels from 0 to 255."""
    generator = np.random.default_rng(0)
    cells = generator.integers(0, 256, (80, pixels), dtype=np.uint8)
    columns: dict[str, Any] = {f"p{i}": cells[:, i] for i in range(pixels)}
    columns["digit"] = np.where(cells[:, 0] > 127, "one", "seven")
    return pa.table(columns)


def objective(table: pa.Table, **options: Any) -> Objective:
    chosen = parse_options({"latent": 2, "encoder": [8, 2]} | options)
    return build_training(prepare(table, chosen, SILENT), chosen, SILENT).objective


def test_a_classifier_of_pixels_has_noise_and_smoothed_labels_in_training_only():
    made = objective(images(), label="digit")
    assert made.noise == Noise("gaussian", PIXEL_NOISE, PIXELS)
    cells, codes = torch.rand(6, PIXELS), torch.tensor([0, 1, 0, 1, 0, -1])
    made.network.eval()
    for smoothing in (LABEL_SMOOTHING, 0.0):
        made.label_smoothing = smoothing
        terms = made(cells, codes)
        weighted = sum(w * v for w, v in zip(made.weights.values(), terms.values, strict=True))
        assert float(terms.total.detach()) == pytest.approx(float(weighted))


def test_the_reported_loss_of_training_rows_is_that_of_their_labels():
    made = objective(images(), label="digit")
    made.noise = None
    made.network.train()
    cells, codes = torch.rand(6, PIXELS), torch.tensor([0, 1, 0, 1, 0, -1])
    smoothed = made(cells, codes)
    made.label_smoothing = 0.0
    plain = made(cells, codes)
    assert smoothed.values == plain.values
    assert float(smoothed.total.detach()) != float(plain.total.detach())


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (images(), {"exclude": ["digit"]}),
        (images(), {"label": "digit", "class_weight": 0}),
        (images(), {"label": "digit", "scale": "standard"}),
        (images(pixels=6), {"label": "digit"}),
    ],
)
def test_other_networks_have_neither(table: pa.Table, options: dict[str, Any]):
    made = objective(table, **options)
    assert made.noise is None
    assert made.label_smoothing == 0


def test_noise_of_the_options_replaces_that_of_pixels():
    made = objective(images(), label="digit", noise="mask:0.1")
    assert made.noise == Noise("mask", 0.1, PIXELS)
