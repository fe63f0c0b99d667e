import math

import pytest
import torch

from aecli.evaluation.trivial import trivial_losses
from aecli.factory import reconstruction_loss
from aecli.feed.layout import layout
from aecli.spec.options import LossOptions
from tests.columns import boolean, category, number

NAN = float("nan")


def test_the_best_constant_answers_lose_variance_and_entropy():
    columns = [number("x"), boolean("b"), category("c", "u", "v", "w")]
    cells = torch.tensor([[0.0, 1, 0], [4, 0, 1], [NAN, 0, 2], [2, 0, -1]])
    found = trivial_losses(reconstruction_loss(columns, LossOptions()), layout(columns), cells)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert found == pytest.approx([8 / 3, entropy, math.log(3)])
