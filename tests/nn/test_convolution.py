import pytest
import torch
from torch import nn

from aecli.nn.convolution import ConvDecoder, ConvEncoder

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

SIZES = [(4, 4, 1), (5, 7, 3), (28, 28, 1), (9, 4, 2)]


def pair_2d(height, width, depth, *, positions=None, channels=(4, 6), latent=3, dropout=0.0):
    shared = {"shape": (height, width, depth), "positions": positions, "channels": channels}
    shared |= {"activation": nn.GELU, "latent": latent, "dropout": dropout}
    return nn.Sequential(ConvEncoder(**shared), ConvDecoder(**shared))


def pair_1d(length, width, *, channels=(4, 6), latent=3, dropout=0.0):
    shared = {"shape": (length, width), "channels": channels, "latent": latent}
    shared |= {"activation": nn.GELU, "dropout": dropout}
    return nn.Sequential(ConvEncoder(**shared), ConvDecoder(**shared))


def squares():
    """Return 64 images of 9 × 8 with a 3 × 3 square at any place."""
    images = torch.zeros(64, 9, 8)
    for i in range(64):
        images[i, i % 7 : i % 7 + 3, i // 7 % 6 : i // 7 % 6 + 3] = 1
    return images.flatten(1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [(4,), (4, 6), (2, 3, 4, 5, 6, 7)])
def test_images_of_any_size_come_back_in_it_at_any_depth(size, channels):
    model, x = pair_2d(*size, channels=channels), torch.randn(2, torch.Size(size).numel())
    assert model[0](x).shape == (2, 3)
    assert model(x).shape == x.shape
    assert model[1].last.weight.shape == (size[2], channels[0], 3, 3)


@pytest.mark.parametrize("length", [2, 3, 12])
@pytest.mark.parametrize("channels", [(4,), (4, 6, 8)])
def test_windows_of_any_length_come_back_in_it(length, channels):
    model, x = pair_1d(length, 5, channels=channels), torch.randn(2, length * 5)
    assert model[0](x).shape == (2, 3)
    assert model(x).shape == x.shape


def test_inputs_land_on_their_pixels_and_outputs_are_read_there():
    whole, places = pair_2d(5, 7, 3), [104, 0, 37]
    part = pair_2d(5, 7, 3, positions=places)
    part.load_state_dict(whole.state_dict())
    image, x = torch.zeros(2, 5 * 7 * 3), torch.randn(2, 3)
    image[:, places] = x
    assert torch.equal(part[0](x), whole[0](image))
    assert torch.equal(part(x), whole(image)[:, places])


def test_cells_are_row_by_row_with_channels_last():
    encoder, seen = pair_2d(5, 7, 3)[0], []
    first = next(part for part in encoder.modules() if isinstance(part, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    encoder(torch.arange(105.0)[None])
    assert seen[0][0, 2, 4, 1] == (4 * 7 + 1) * 3 + 2


def test_squares_are_learned_and_gradients_reach_every_parameter():
    torch.manual_seed(0)
    x, model = squares(), pair_2d(9, 8, 1, channels=(8, 16), latent=6)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (model(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * x.var(0, unbiased=False).mean()
    assert all(bool(parameter.grad.any()) for parameter in model.parameters())


@pytest.mark.parametrize(
    "build", [lambda: pair_2d(4, 4, 5, dropout=0.5), lambda: pair_1d(16, 5, dropout=0.5)]
)
def test_dropout_acts_in_training_alone(build):
    model, x = build(), torch.randn(8, 80)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_a_pair_built_on_meta_computes_what_the_one_it_loads_does():
    model, x = pair_2d(4, 4, 1, positions=range(3, 16)), torch.randn(8, 13)
    with torch.device("meta"):
        loaded = pair_2d(4, 4, 1, positions=range(3, 16))
    loaded.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(loaded(x), model(x))
