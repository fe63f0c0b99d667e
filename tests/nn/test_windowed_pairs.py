import math

import pytest
import torch
from torch import nn

from aecli.nn.convolution import ConvDecoder, ConvEncoder
from aecli.nn.sequence import (
    LSTMDecoder,
    LSTMEncoder,
    TransformerDecoder,
    TransformerEncoder,
    sinusoids,
)

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

PAIRS = {
    "conv1d": (ConvEncoder, ConvDecoder, {"channels": [8, 16], "activation": nn.SiLU}),
    "lstm": (LSTMEncoder, LSTMDecoder, {"hidden": 16, "layers": 2}),
    "transformer": (
        TransformerEncoder,
        TransformerDecoder,
        {"hidden": 16, "heads": 2, "feedforward": 32, "depth": 2},
    ),
}
every_pair = pytest.mark.parametrize("name", PAIRS)


def pair(name, length, width, **changes):
    encoder, decoder, sizes = PAIRS[name]
    shared = {"latent": 3} | sizes | changes
    if name == "conv1d":
        return nn.Sequential(
            *(part(shape=(length, width), **shared) for part in (encoder, decoder))
        )
    shared["length"] = length
    return nn.Sequential(encoder(inputs=width, **shared), decoder(outputs=width, **shared))


def waves():
    """Return 64 windows of a sine and a cosine of random phase and height, 12 steps long."""
    phase, height = torch.rand(2, 64, 1, generator=torch.Generator().manual_seed(0))
    angle = 2 * math.pi * (torch.arange(12) / 12 + phase)
    return ((0.5 + height)[..., None] * torch.stack([angle.sin(), angle.cos()], dim=2)).flatten(1)


@every_pair
@pytest.mark.parametrize("length", [2, 3, 12])
def test_windows_of_any_length_come_back_in_it(name, length):
    model, x = pair(name, length, 5), torch.randn(4, length * 5)
    assert model[0](x).shape == (4, 3)
    assert model(x).shape == x.shape


@every_pair
def test_every_row_of_a_window_and_their_order_change_the_latent(name):
    encoder, x = pair(name, 4, 3)[0].eval(), torch.randn(1, 12)
    latent = encoder(x)
    for row in range(4):
        changed = x.clone()
        changed[:, 3 * row] += 1
        assert not torch.allclose(encoder(changed), latent)
    assert not torch.allclose(encoder(x.reshape(1, 4, 3).flip(1).flatten(1)), latent)


@every_pair
def test_a_row_of_a_window_comes_from_the_whole_latent(name):
    decoder, z = pair(name, 4, 3)[1], torch.randn(1, 3, requires_grad=True)
    for row in decoder(z).reshape(4, 3):
        (gradient,) = torch.autograd.grad(row.square().sum(), z, retain_graph=True)
        assert bool((gradient != 0).all())


@every_pair
def test_waves_are_learned_and_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    x, model = waves(), pair(name, 12, 2)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (model(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * x.var(0, unbiased=False).mean()
    assert all(bool(parameter.grad.any()) for parameter in model.parameters())


@every_pair
def test_dropout_acts_in_training_alone(name):
    model, x = pair(name, 4, 3, dropout=0.5), torch.randn(8, 12)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@every_pair
def test_a_pair_built_on_meta_computes_what_the_one_it_loads_does(name):
    model, x = pair(name, 4, 3), torch.randn(8, 12)
    with torch.device("meta"):
        loaded = pair(name, 4, 3)
    loaded.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(loaded(x), model(x))


def test_dropout_of_one_lstm_layer_warns_of_nothing_and_does_nothing():
    model, x = pair("lstm", 4, 3, layers=1, dropout=0.5), torch.randn(8, 12)
    assert torch.equal(model(x), model(x))


def test_the_hidden_states_start_from_the_latent_in_every_layer():
    decoder, z, seen = pair("lstm", 4, 3)[1], torch.randn(5, 3), []
    decoder.lstm.register_forward_pre_hook(lambda _, args: seen.append(args[1][0]))
    decoder(z)
    assert torch.equal(seen[0][1], decoder.start(z).tanh()[:, 16:])


def test_every_transformer_layer_has_weights_of_its_own():
    first, second = pair("transformer", 4, 3)[0].stack.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_positions_are_sines_and_cosines_of_falling_frequency():
    expected = [math.sin(3), math.cos(3), math.sin(3 / 100), math.cos(3 / 100)]
    assert sinusoids(5, 4)[3].tolist() == pytest.approx(expected)
    assert sinusoids(5, 3).shape == (5, 3)


def test_heads_that_do_not_share_the_width_evenly_are_refused():
    with pytest.raises(ValueError, match="hidden=16 must be a multiple of heads=3"):
        pair("transformer", 4, 3, heads=3)
