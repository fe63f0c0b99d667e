"""Noise, smoothed labels and batch norm, which a classifier of images is trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from aecli.progress import SILENT
from aecli.training.build import LABEL_SMOOTHING, PIXEL_NOISE, build_training
from aecli.training.data import prepare
from aecli.training.image_shift import ImageShift, image_width
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


def test_a_classifier_of_images_has_noise_and_smoothed_labels_in_training_only():
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


def test_half_of_a_training_batch_is_decoded_and_all_validation_rows():
    made = objective(images(), label="digit")
    cells, codes = torch.rand(7, PIXELS), torch.zeros(7, dtype=torch.long)
    decoded = []
    for training in (True, False):
        made.network.train(training)
        outputs = made(cells, codes).outputs
        assert outputs is not None
        decoded.append(len(outputs))
    assert decoded == [4, 7]


def strokes(height: int, width: int, channels: int = 1) -> torch.Tensor:
    """Return images of one stroke of a random colour, line by line `(n_rows, n_pixels)`."""
    generator = np.random.default_rng(0)
    y, x, tilt = (generator.uniform(-1, 1, (200, 1, 1)) for _ in range(3))
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    images = np.exp(-8 * ((rows - y) + tilt * (columns - x)) ** 2)
    images = images[..., None] * generator.uniform(0, 1, (200, 1, 1, channels))
    return torch.from_numpy(images.reshape(200, -1)).float()


def hours(days: int, change: float) -> torch.Tensor:
    """Return series of the hours of days, whose daily curve changes from day to day."""
    generator = np.random.default_rng(0)
    walk = np.cumsum(generator.normal(size=(2, 300, days)), axis=2) * change
    sizes = (generator.normal(size=(2, 300, 1)) + walk).repeat(24, axis=2)
    angles = 2 * np.pi * np.arange(24 * days) / 24
    series = sizes[0] * np.sin(angles) + sizes[1] * np.cos(angles)
    return torch.from_numpy(series + 0.1 * generator.normal(size=series.shape)).float()


def survey(waves: int, items: int) -> torch.Tensor:
    """Return ordered items with the same answers, but for noise, in every wave of a survey."""
    generator = np.random.default_rng(0)
    answers = np.tile(np.cumsum(generator.normal(size=(300, items)), axis=1), (1, waves))
    return torch.from_numpy(answers + generator.normal(size=answers.shape)).float()


SHUFFLED = np.random.default_rng(1).permutation(24 * 30)


@pytest.mark.parametrize(
    ("cells", "width"),
    [
        (strokes(24, 30), 30),
        (strokes(30, 24), 24),
        (strokes(24, 30)[:, SHUFFLED], None),
        (strokes(24, 30, channels=3), None),
        (strokes(12, 60), None),
        (strokes(8, 8), None),
        (strokes(1, 720), None),
        (torch.rand(200, 720), None),
        (hours(30, change=0.0), None),
        (hours(30, change=0.5), None),
        (survey(40, items=25), None),
        (torch.zeros(1, 720), None),
    ],
)
def test_the_width_of_images_is_found_from_the_correlations_of_their_pixels(
    cells: torch.Tensor, width: int | None
):
    assert image_width(cells, range(cells.shape[1]), cells.shape[1]) == width


def test_images_are_moved_by_at_most_one_pixel_and_constant_pixels_do_not_count():
    image = torch.zeros(6, 6)
    image[2, 3] = 1.0
    varying = [position for position in range(36) if position not in (0, 35)]
    shift = ImageShift(varying, 6, 6)
    moved = shift(image.flatten()[varying].repeat(400, 1))
    places = {divmod(varying[int(row.argmax())], 6) for row in moved}
    assert places == {(y, x) for y in (1, 2, 3) for x in (2, 3, 4)}
    assert set(moved.sum(1).tolist()) == {1.0}


def test_a_classifier_moves_images_in_training_unless_the_options_have_noise():
    cells = strokes(24, 30)
    columns: dict[str, Any] = {f"p{i}": (cells[:, i] * 255).byte().numpy() for i in range(720)}
    table = pa.table(columns | {"y": cells[:, 0].numpy() > 0.1})
    chosen = parse_options({"latent": 2, "encoder": [8, 2], "label": "y", "norm": "none"})
    setup = build_training(prepare(table, chosen, SILENT), chosen, SILENT)
    assert any(note.startswith("images of 24 × 30 pixels are moved") for note in setup.notes)
    made = setup.objective
    assert made.shift is not None
    assert objective(table, label="y", noise="gaussian:0.1").shift is None
    made.noise, made.decoded_share = None, 1.0
    still = made(cells, torch.zeros(200, dtype=torch.long)).values
    made.network.train()
    assert made(cells, torch.zeros(200, dtype=torch.long)).values != still


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({"label": "digit"}, "batch"),
        ({"label": "digit", "norm": "none"}, "none"),
        ({"label": "digit", "norm": "layer"}, "layer"),
        ({"exclude": ["digit"]}, "none"),
    ],
)
def test_a_classifier_of_images_has_batch_norm_by_default(options: dict[str, Any], norm: str):
    chosen = parse_options({"latent": 2, "encoder": [8, 2]} | options)
    setup = build_training(prepare(images(), chosen, SILENT), chosen, SILENT)
    assert setup.network.norm.name == norm
