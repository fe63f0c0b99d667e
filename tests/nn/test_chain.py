import pytest
import torch
from torch import nn

from aecli.nn.chain import Chain, is_chain
from aecli.nn.mlp import MLP

ACTIVATIONS = [
    nn.ReLU,
    lambda: nn.LeakyReLU(0.2),
    nn.GELU,
    lambda: nn.GELU(approximate="tanh"),
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("last", [None, nn.Tanh()])
def test_a_chain_computes_what_autograd_does(activation, last):
    torch.manual_seed(0)
    layers = MLP(sizes=[5, 7, 6, 3], activation=activation)
    if last is not None:
        layers.append(last)
    chain = Chain(layers)
    for rows in (8, 3, 8):
        x = torch.randn(rows, 5, requires_grad=True)
        output = layers(x)
        gradient = torch.randn_like(output)
        expected = torch.autograd.grad(output, [x, *layers.parameters()], gradient)
        with torch.no_grad():
            torch.testing.assert_close(chain.forward(x.detach()), output)
            found = chain.backward(gradient.clone())
        torch.testing.assert_close(found, expected[0])
        for parameter, wanted in zip(layers.parameters(), expected[1:], strict=True):
            torch.testing.assert_close(parameter.grad, wanted)


def test_a_chain_follows_parameters_that_change_in_place():
    layers = MLP(sizes=[2, 3], activation=nn.ReLU)
    chain = Chain(layers)
    layers.load_state_dict({name: value + 1 for name, value in layers.state_dict().items()})
    x = torch.randn(4, 2)
    with torch.no_grad():
        torch.testing.assert_close(chain.forward(x), layers(x))


@pytest.mark.parametrize(
    "layers",
    [
        nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)),
        nn.Sequential(nn.Linear(2, 2), nn.PReLU()),
        nn.Sequential(nn.ReLU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU()),
        nn.Sequential(),
        None,
    ],
)
def test_what_needs_autograd_is_no_chain(layers):
    assert not is_chain(layers)
