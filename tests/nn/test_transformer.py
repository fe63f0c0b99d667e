import math

import pytest
import torch
from torch import nn

from aecli.nn.transformer import TransformerDecoder, TransformerEncoder, sinusoids


def pair(length, width, *, hidden=16, heads=2, depth=1, dropout=0.0):
    shared = {
        "length": length,
        "hidden": hidden,
        "heads": heads,
        "depth": depth,
        "latent": 3,
        "dropout": dropout,
        "feedforward": 32,
    }
    return nn.Sequential(
        TransformerEncoder(inputs=width, **shared), TransformerDecoder(outputs=width, **shared)
    )


def waves():
    """Return 64 windows of a sine and a cosine of random phase and height, 12 steps long."""
    phase, height = torch.rand(2, 64, 1, generator=torch.Generator().manual_seed(0))
    angle = 2 * math.pi * (torch.arange(12) / 12 + phase)
    return ((0.5 + height)[..., None] * torch.stack([angle.sin(), angle.cos()], dim=2)).flatten(1)


@pytest.mark.parametrize("length", [2, 3, 12])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_windows_of_any_length_come_back_in_it(length, depth):
    model, x = pair(length, 5, depth=depth), torch.randn(4, length * 5)
    assert model[0](x).shape == (4, 3)
    assert model(x).shape == x.shape
    assert [isinstance(part.last, nn.Linear) for part in model] == [True, True]


def test_every_row_of_a_window_and_their_order_change_the_latent():
    encoder, x = pair(4, 3)[0].eval(), torch.randn(1, 12)
    latent = encoder(x)
    for row in range(4):
        changed = x.clone()
        changed[:, 3 * row] += 1
        assert not torch.allclose(encoder(changed), latent)
    assert not torch.allclose(encoder(x.reshape(1, 4, 3).flip(1).flatten(1)), latent)


def test_a_row_of_a_window_comes_from_the_whole_latent():
    decoder, z = pair(4, 3)[1], torch.randn(1, 3, requires_grad=True)
    for row in decoder(z).reshape(4, 3):
        (gradient,) = torch.autograd.grad(row.square().sum(), z, retain_graph=True)
        assert bool((gradient != 0).all())


def test_waves_are_learned_and_gradients_reach_every_parameter():
    torch.manual_seed(0)
    x, model = waves(), pair(12, 2)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (model(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * x.var(0, unbiased=False).mean()
    assert all(bool(parameter.grad.any()) for parameter in model.parameters())


def test_dropout_acts_in_training_alone():
    model, x = pair(4, 3, depth=2, dropout=0.5), torch.randn(8, 12)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_a_pair_built_on_meta_computes_what_the_one_it_loads_does():
    model, x = pair(4, 3, depth=2), torch.randn(8, 12)
    with torch.device("meta"):
        loaded = pair(4, 3, depth=2)
    loaded.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(loaded(x), model(x))


def test_every_layer_has_weights_of_its_own():
    first, second = pair(4, 3, depth=2)[0].stack.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_positions_are_sines_and_cosines_of_falling_frequency():
    expected = [math.sin(3), math.cos(3), math.sin(3 / 100), math.cos(3 / 100)]
    assert sinusoids(5, 4)[3].tolist() == pytest.approx(expected)
    assert sinusoids(5, 3).shape == (5, 3)


def test_heads_that_do_not_share_the_width_evenly_are_refused():
    with pytest.raises(ValueError, match="hidden=16 must be a multiple of heads=3"):
        pair(4, 3, heads=3)
