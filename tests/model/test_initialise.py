import math
from functools import partial

import pytest
import torch
from torch import nn

from aecli.model.layers import build_activation, initialise
from aecli.nn.init import activation_gain
from aecli.nn.layers import MLP
from aecli.schema.torch_classes import ACTIVATIONS, INITIALISERS, TorchClassSpec

WIDTHS = [400, 300, 200]


def drawn(name, activation="ReLU"):
    torch.manual_seed(0)
    network = MLP(sizes=WIDTHS, activation=nn.ReLU)
    initialise(network, name, activation=TorchClassSpec(name=activation))
    return network.requires_grad_(False).linears


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("xavier_uniform", lambda fan_in, fan_out, gain: gain**2 * 2 / (fan_in + fan_out)),
        ("xavier_normal", lambda fan_in, fan_out, gain: gain**2 * 2 / (fan_in + fan_out)),
        ("kaiming_uniform", lambda fan_in, fan_out, gain: gain**2 / fan_in),
        ("kaiming_normal", lambda fan_in, fan_out, gain: gain**2 / fan_in),
        ("normal", lambda fan_in, fan_out, gain: 1 / fan_in),
        ("uniform", lambda fan_in, fan_out, gain: 1 / fan_in),
    ],
)
def test_variances_follow_their_formulas_with_a_gain_of_1_in_the_last_layer(name, variance):
    hidden, last = drawn(name)
    assert float(hidden.weight.var()) == pytest.approx(variance(400, 300, math.sqrt(2)), rel=0.03)
    assert float(last.weight.var()) == pytest.approx(variance(300, 200, 1.0), rel=0.03)


@pytest.mark.parametrize("name", ["xavier_uniform", "kaiming_uniform"])
def test_uniform_weights_are_bounded_by_sqrt_3_deviations_and_normal_ones_are_not(name):
    weight = drawn(name)[0].weight
    assert weight.abs().max() < 1.8 * weight.std()
    other = drawn(name.replace("uniform", "normal"))[0].weight
    assert other.abs().max() > 3 * other.std()


def test_orthogonal_rows_are_orthogonal_and_as_long_as_the_gain():
    last = drawn("orthogonal")[1].weight
    assert torch.allclose(last @ last.T, torch.eye(200), atol=1e-5)


@pytest.mark.parametrize("name", [n for n in INITIALISERS if n not in ("auto", "default", "pca")])
def test_biases_are_zero(name):
    assert all(bool((layer.bias == 0).all()) for layer in drawn(name))


def test_default_leaves_torchs_own_weights():
    torch.manual_seed(0)
    own = MLP(sizes=WIDTHS, activation=nn.ReLU).linears
    assert all(
        torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias)
        for a, b in zip(own, drawn("default"), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        ("Identity", 1.0),
        ("ReLU", math.sqrt(2)),
        ("LeakyReLU", math.sqrt(2 / (1 + 0.01**2))),
        ("SELU", 1.0),  # the network's fixed point is what defines it
        ("Tanh", 1.5925),
    ],
)
def test_gains_are_those_of_the_literature(name, gain):
    assert activation_gain(build_activation(name)) == pytest.approx(gain, rel=1e-3)


def test_the_gain_is_that_of_the_activation_with_its_arguments():
    deviations = []
    for slope in (0.01, 1.0):
        torch.manual_seed(0)
        network = MLP(sizes=WIDTHS, activation=nn.ReLU)
        args = {"negative_slope": slope}
        initialise(
            network, "kaiming_normal", activation=TorchClassSpec(name="LeakyReLU", args=args)
        )
        deviations.append(float(network.linears[0].weight.detach().std()))
    assert deviations[0] / deviations[1] == pytest.approx(math.sqrt(2), rel=0.02)


@pytest.mark.parametrize(
    "name", [n for n, args in ACTIVATIONS.items() if "dim" not in args and n != "Threshold"]
)
def test_signals_neither_explode_nor_vanish_through_ten_layers(name):
    torch.manual_seed(0)
    x = torch.randn(500, 256)
    network = MLP(sizes=[256] * 12, activation=partial(build_activation, name)).eval()
    initialise(network, "kaiming_normal", activation=TorchClassSpec(name=name))
    size = float(network(x).detach().square().mean())
    assert size < 5
    if "shrink" not in name:  # these are made to set small signals to zero
        assert size > 0.003
