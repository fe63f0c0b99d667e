import pytest
import torch
from torch import nn

from aecli.nn.layers import NORMS, norm
from aecli.schema import torch_classes as catalogue

VALUES = {"eps": 1e-3, "momentum": 0.5, "affine": True, "elementwise_affine": False}


def rows(count, width=4):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def test_the_table_has_the_names_of_the_catalogue():
    assert list(NORMS) == list(catalogue.NORMS)


@pytest.mark.parametrize("name", catalogue.NORMS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_every_norm_takes_its_arguments_and_trains_on_any_number_of_rows(name, count):
    layer = norm(name, 4, **{key: VALUES[key] for key in catalogue.NORMS[name]})
    x = rows(count).requires_grad_()
    (layer(x) * torch.arange(4.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_batch_norm_computes_what_torch_does():
    x, ours, theirs = rows(9), norm("batch", 4), nn.BatchNorm1d(4)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_batch_norm_of_one_training_row_uses_the_running_figures_and_keeps_them():
    layer = norm("batch", 4)
    layer(rows(9))
    before = layer.running_mean.clone()
    one = rows(1)
    trained = layer(one)
    assert torch.equal(trained, layer.eval()(one))
    assert torch.equal(layer.running_mean, before)


def test_instance_norm_normalises_each_row_as_torch_does_on_rows_of_features():
    x = rows(5)
    theirs = nn.InstanceNorm1d(5)(x)
    assert torch.allclose(norm("instance", 4)(x), theirs, atol=1e-6)
    assert list(norm("instance", 4).parameters()) == []


@pytest.mark.parametrize("name", ["instance", "layer"])
def test_a_row_comes_out_the_same_whatever_its_batch(name):
    x, layer = rows(6), norm(name, 4)
    assert torch.allclose(layer(x)[2:3], layer(x[2:3]))
    assert layer(x).mean(1).abs().max() < 1e-6
    assert torch.allclose(layer(x).var(1, unbiased=False), torch.ones(6), atol=1e-3)


@pytest.mark.parametrize("name", ["instance", "layer"])
def test_a_single_feature_is_not_normalised_away(name):
    x = rows(6, width=1)
    assert torch.equal(norm(name, 1)(x), x)
