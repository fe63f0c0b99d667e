import pytest
import torch
from torch import nn

from aecli.nn.layers import MLP, BatchNorm


def names(network):
    return [type(module).__name__ for module in network]


def test_hidden_layers_are_linear_norm_activation_dropout_and_the_last_is_bare():
    network = MLP(sizes=[5, 4, 3], activation=nn.ReLU, norm=BatchNorm, dropout=0.5)
    assert names(network) == ["Linear", "BatchNorm", "ReLU", "Dropout", "Linear"]
    assert [tuple(layer.weight.shape) for layer in network.linears] == [(4, 5), (3, 4)]


def test_two_sizes_make_one_linear_layer():
    assert names(MLP(sizes=[5, 3], activation=nn.ReLU)) == ["Linear"]


def test_one_size_is_refused():
    with pytest.raises(ValueError, match=r"\[5\] must have an input and an output"):
        MLP(sizes=[5], activation=nn.ReLU)


def test_every_layer_has_its_own_learned_activation():
    network = MLP(sizes=[2, 3, 3, 1], activation=nn.PReLU)
    slopes = [module.weight for module in network if isinstance(module, nn.PReLU)]
    assert len({id(slope) for slope in slopes}) == 2


def test_it_computes_by_hand():
    network = MLP(sizes=[2, 2, 1], activation=nn.ReLU)
    with torch.no_grad():
        network.linears[0].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        network.linears[0].bias.zero_()
        network.linears[1].weight.copy_(torch.tensor([[2.0, 3.0]]))
        network.linears[1].bias.fill_(0.5)
    assert network(torch.tensor([[4.0, 1.0], [1.0, 2.0]])).flatten().tolist() == [6.5, 3.5]


def test_a_dead_unit_is_zero_and_learns_nothing_unless_leaky():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    for activation, dead in ((nn.ReLU, True), (nn.LeakyReLU, False)):
        network = MLP(sizes=[3, 4, 2], activation=activation)
        with torch.no_grad():
            network.linears[0].bias[1] = -100.0
        first = network[1](network[0](x))
        network(x).square().mean().backward()
        assert bool((first[:, 1] == 0).all()) is dead
        gradient = network.linears[0].weight.grad
        assert bool((gradient[1] == 0).all()) is dead
