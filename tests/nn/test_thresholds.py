"""Latents below a learned threshold, and the decoder that L1 limits."""

import pytest
import torch

from aecli.nn.sparsity import HardThreshold, SoftThreshold, l0_penalty, limit_columns


def thresholds(kind: type[SoftThreshold], *values: float) -> SoftThreshold:
    layer = kind(len(values))
    layer.log_threshold.data = torch.tensor(values).log()
    return layer


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(SoftThreshold, [[2.0, -1.0, 0.0, 0.0]]), (HardThreshold, [[3.0, -2.0, 0.0, 0.0]])],
)
@pytest.mark.parametrize("trained", [True, False])
def test_values_below_the_threshold_are_exactly_0(kind: type, expected: list, trained: bool):
    layer = thresholds(kind, 1.0, 1.0, 1.0, 1.0).train(trained)
    assert layer(torch.tensor([[3.0, -2.0, 0.9, -0.1]])).tolist() == expected


@pytest.mark.parametrize("kind", [SoftThreshold, HardThreshold])
def test_a_layer_that_has_not_started_changes_nothing(kind: type):
    z = torch.randn(5, 3)
    assert torch.equal(kind(3).eval()(z), z)


@pytest.mark.parametrize("kind", [SoftThreshold, HardThreshold])
def test_thresholds_start_at_the_optimum_of_the_penalty(kind: type):
    z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    layer, weight = kind(2), 0.04
    layer.start(z, weight)
    losses = []
    for factor in (0.5, 1.0, 2.0):
        other = thresholds(kind, *(layer.log_threshold.detach().exp() * factor).tolist()).eval()
        found = other(z).detach()
        size = found.abs() if kind is SoftThreshold else (found != 0)
        losses.append(float(((found - z).square() + weight * size).mean()))
    assert min(losses) == losses[1]


def test_no_unit_starts_without_values_above_its_threshold():
    z = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    layer = SoftThreshold(3)
    layer.start(z * torch.tensor([1.0, 0.1, 10.0]), torch.inf)
    assert bool((layer(z * torch.tensor([1.0, 0.1, 10.0])) != 0).any(0).all())


def test_the_gradient_of_the_hard_threshold_is_that_of_the_expected_share():
    """For uniform z in 0..4 the share above t is 1 - t / 4, and its slope by ln t is -t / 4."""
    layer = thresholds(HardThreshold, 1.0).train()
    z = layer((torch.arange(4000) / 1000)[:, None])
    penalty = l0_penalty(z, layer.log_threshold)
    penalty.backward()
    assert float(penalty.detach()) == pytest.approx(0.75, abs=0.01)
    assert layer.log_threshold.grad.tolist() == [pytest.approx(-0.25, abs=0.01)]


def test_the_reconstruction_lowers_a_hard_threshold_that_is_too_high():
    layer = thresholds(HardThreshold, 1.0).train()
    z = (torch.arange(2000) / 1000)[:, None]
    (layer(z) - z).square().mean().backward()
    assert float(layer.log_threshold.grad) > 0


def test_columns_are_at_most_1_and_shorter_ones_stay():
    weight = torch.tensor([[3.0, 0.3], [4.0, 0.4]])
    limit_columns([weight])
    torch.testing.assert_close(weight, torch.tensor([[0.6, 0.3], [0.8, 0.4]]))
