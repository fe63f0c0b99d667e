import pytest
import torch
from torch import nn

from aecli.nn.layers import BatchNorm, instance_norm, layer_norm


def rows(count, width=4):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def test_batch_norm_computes_what_torch_does():
    x, ours, theirs = rows(9), BatchNorm(4), nn.BatchNorm1d(4)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_batch_norm_of_one_training_row_uses_the_running_figures_and_keeps_them():
    layer = BatchNorm(4)
    layer(rows(9))
    before = layer.running_mean.clone()
    one = rows(1)
    trained = layer(one)
    assert torch.equal(trained, layer.eval()(one))
    assert torch.equal(layer.running_mean, before)


def test_instance_norm_normalises_each_row_as_torch_does_on_rows_of_features():
    x = rows(5)
    theirs = nn.InstanceNorm1d(5)(x)
    assert torch.allclose(instance_norm(4)(x), theirs, atol=1e-6)
    assert list(instance_norm(4).parameters()) == []


@pytest.mark.parametrize("norm", [instance_norm, layer_norm])
def test_a_row_comes_out_the_same_whatever_its_batch(norm):
    x, layer = rows(6), norm(4)
    assert torch.allclose(layer(x)[2:3], layer(x[2:3]))
    assert layer(x).mean(1).abs().max() < 1e-6
    assert torch.allclose(layer(x).var(1, unbiased=False), torch.ones(6), atol=1e-3)


@pytest.mark.parametrize("norm", [instance_norm, layer_norm])
def test_a_single_feature_is_not_normalised_away(norm):
    x = rows(6, width=1)
    assert torch.equal(norm(1)(x), x)
