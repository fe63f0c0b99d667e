import math

import pytest
import torch

from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.model.build import build_reconstruction_loss
from aecli.schema.training_options import LossOptions
from aecli.training.baselines import fit_number_ranges, trivial_losses
from tests.columns import boolean, category, number
from tests.thread_ranks import on_ranks

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


def test_trivial_losses_and_ranges_of_several_ranks_are_those_of_all_rows():
    columns = [number("x"), boolean("b"), category("c", "u", "v", "w")]
    layout = lay_out(columns)
    cells = torch.tensor([[0.0, 1, 0], [4, 0, 1], [NAN, 0, 2], [2, 0, -1], [8, 1, 1]])
    loss = build_reconstruction_loss(layout, LossOptions())
    parts = [Staged(part, None, False) for part in cells.split([2, 0, 3])]
    whole = Staged(cells, None, False)
    found = on_ranks(3, lambda r: trivial_losses(loss, layout, parts[r.rank], ranks=r))
    assert found == [pytest.approx(trivial_losses(loss, layout, whole))] * 3
    ranges = on_ranks(3, lambda r: fit_number_ranges(parts[r.rank], layout, ranks=r))
    assert all(torch.equal(each, fit_number_ranges(whole, layout)) for each in ranges)
