import torch
from torch import nn

from aecli.nn.sparsity import TopK


def test_the_k_largest_by_size_survive():
    z = torch.tensor([[3.0, -5.0, 1.0, 0.5], [0.0, 1.0, -2.0, 4.0]])
    assert TopK(4, 2).eval()(z).tolist() == [[3.0, -5.0, 0.0, 0.0], [0.0, 0.0, -2.0, 4.0]]


def test_a_unit_that_never_wins_is_preferred_in_training_until_it_does():
    torch.manual_seed(0)
    layer = TopK(3, 1).train()
    z = torch.tensor([[1.0, 0.9, 0.3]]).repeat(8, 1)
    won = torch.stack([layer(z)[0] != 0 for _ in range(2000)]).sum(0)
    assert bool((won > 50).all())
    assert layer.eval()(z)[0].tolist() == [1.0, 0.0, 0.0]


def test_only_the_winners_get_a_gradient():
    z = torch.tensor([[3.0, 1.0]], requires_grad=True)
    TopK(2, 1).eval()(z).sum().backward()
    assert z.grad.tolist() == [[1.0, 0.0]]


def used_after_training(revived: bool) -> int:
    torch.manual_seed(0)
    x = torch.randn(512, 6)
    encoder, layer, decoder = nn.Linear(6, 24), TopK(24, 4).train(revived), nn.Linear(24, 6)
    with torch.no_grad():
        encoder.weight[12:] *= 0.01  # half of the units would never win
        encoder.bias.zero_()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.003)
    for _ in range(500):
        optimizer.zero_grad()
        (decoder(layer(encoder(x))) - x).square().mean().backward()
        optimizer.step()
    return int((layer.eval()(encoder(x)) != 0).any(0).sum())


def test_dead_units_are_revived():
    assert used_after_training(revived=True) >= 22
    assert used_after_training(revived=False) <= 16
