"""Ranks train what one process trains on the rows of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.model.build import build, build_reconstruction_loss, resolve_weights
from aecli.model.sizes import resolve_network
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.options import TrainOptions
from aecli.training.fit_result import FitResult
from aecli.training.objective import Objective
from aecli.training.rank_steps import part_sizes
from aecli.training.trainer import Trainer
from tests.columns import category, number
from tests.thread_ranks import on_ranks

COLUMNS = [*(number(f"x{i}", low=[-3.0], high=[3.0]) for i in range(5)), category("c", "u", "v")]


def rows(count: int, seed: int) -> Staged:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randn(count, 6, generator=generator)
    cells[:, 5] = (cells[:, 0] > 0).float()
    codes = (cells[:, 1] > 0.5).long()
    codes[::3] = -1
    return Staged(cells, codes, complete=True)


def part(staged: Staged, sizes: Sequence[int], rank: int) -> Staged:
    assert staged.codes is not None
    cells, codes = (tensor.split(list(sizes))[rank] for tensor in (staged.cells, staged.codes))
    return Staged(cells, codes, staged.complete)


def trained(
    ranks: Ranks, sizes: Sequence[int], **values: Any
) -> tuple[FitResult, dict[str, Tensor]]:
    """Train on 96 rows that are divided among ranks, and on 30 validation rows of the last one."""
    defaults = {"encoder": [16, 2], "epochs": 3, "batch_size": 96, "label": "y", "lr": 0.01}
    options = TrainOptions.from_flat(defaults | values)
    layout = lay_out(COLUMNS)
    network = resolve_network(options, columns=COLUMNS, layout=layout, classes=2)
    generator = torch.Generator().manual_seed(3)
    objective = Objective(
        build(network, columns=COLUMNS),
        Inputs(layout),
        build_reconstruction_loss(layout, options.losses, complete=True),
        resolve_weights(options.losses, network, cells=layout.cells, trivial=1.0),
        torch.tensor([0.5, 2.0]),
    )
    for parameter in objective.network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 4
    valid = rows(30, seed=2)
    trainer = Trainer(
        objective,
        part(rows(96, seed=1), sizes, ranks.rank),
        valid if ranks.rank == ranks.size - 1 else valid.first(0),
        options.training,
        device=torch.device("cpu"),
        precision="fp32",
        batch_size=options.training.batch_size or 96,
        widest=16,
        checkpoint=None,
        ranks=ranks,
    )
    fit = trainer.fit()
    return fit, objective.network.state_dict()


@pytest.mark.parametrize("sizes", [(48, 48), (90, 0, 6), (1, 94, 1)])
@pytest.mark.parametrize(
    "options", [{}, {"l2": 0.1, "clip": 0.05}, {"optimizer": "SGD:momentum=0.9"}], ids=str
)
def test_the_gradient_of_a_step_is_that_of_the_whole_batch(
    sizes: tuple[int, ...], options: dict[str, Any]
):
    whole, expected = trained(ONE_PROCESS, [96], **options)
    for fit, weights in on_ranks(len(sizes), lambda ranks: trained(ranks, sizes, **options)):
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-5)
        for epoch, other in zip(fit.history, whole.history, strict=True):
            assert epoch.train == pytest.approx(other.train, rel=1e-4)
            assert epoch.valid == pytest.approx(other.valid, rel=1e-4)
            assert epoch.metrics == other.metrics


def test_small_batches_of_uneven_ranks_train_every_rank_to_the_same_weights():
    sizes = (70, 0, 26)
    results = on_ranks(3, lambda ranks: trained(ranks, sizes, batch_size=7, norm="batch", topk=1))
    (fit, expected), *others = results
    assert fit.history[-1].train["total"] < fit.history[0].train["total"]
    for other, weights in others:
        assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
        assert [e.valid for e in other.history] == [e.valid for e in fit.history]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.integers(1, 64))
def test_every_rank_trains_each_of_its_samples_once_in_the_same_number_of_steps(
    counts: list[int], size: int
):
    sizes = part_sizes(counts, size)
    assert len(sizes) == -(-sum(counts) // size)
    totals = [sum(step[rank] for step in sizes) for rank in range(len(counts))]
    assert totals == (counts if sizes else [0] * len(counts))
    for rank, count in enumerate(counts):
        assert all(abs(step[rank] - count / len(sizes)) < 1 for step in sizes)


def test_a_stop_ends_all_ranks_alike_if_one_has_all_validation_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aecli.training.trainer.CHECK_SECONDS", 0.0)
    # The time is up in the first step, before an epoch; validation takes longer than a check.
    found = on_ranks(2, lambda ranks: trained(ranks, [48, 48], time_limit=1e-6, batch_size=8))
    (fit, one), (_, two) = found
    assert (fit.finished, len(fit.history)) == (False, 1)
    assert fit.history[0].valid
    assert all(torch.equal(one[name], two[name]) for name in one)
