import math

import pytest
import torch

from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.model.build import build_reconstruction_loss
from aecli.schema.training_options import LossOptions
from aecli.training.baselines import trivial_losses
from tests.columns import boolean, category, number

NAN = float("nan")


def test_the_best_constant_answers_lose_variance_and_entropy():
    columns = [number("x"), boolean("b"), category("c", "u", "v", "w")]
    cells = torch.tensor([[0.0, 1, 0], [4, 0, 1], [NAN, 0, 2], [2, 0, -1]])
    found = trivial_losses(
        build_reconstruction_loss(lay_out(columns), LossOptions()),
        lay_out(columns),
        Staged(cells, None, False),
    )
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert found == pytest.approx([8 / 3, entropy, math.log(3)])


def test_long_and_wide_tables_are_summed_over_all_their_rows():
    columns = [number("x"), category("c", *(f"v{i}" for i in range(500)))]
    codes = torch.arange(5_000) % 500
    cells = torch.stack([torch.linspace(0, 1, 5_000), codes], dim=1)
    found = trivial_losses(
        build_reconstruction_loss(lay_out(columns), LossOptions()),
        lay_out(columns),
        Staged(cells, None, False),
    )
    assert found == pytest.approx([float(cells[:, 0].var(correction=0)), math.log(500)], rel=1e-4)
