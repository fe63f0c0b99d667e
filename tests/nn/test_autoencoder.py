import pytest
import torch
from torch import nn

from aecli.nn.autoencoder import AutoencoderNetwork, clip_to_unit, unit_tanh


def small(*, numbers=3, output=None, head=None):
    return AutoencoderNetwork(
        encoder=nn.Linear(5, 2), decoder=nn.Linear(2, 5), head=head, output=output, numbers=numbers
    )


def test_each_row_has_a_latent_a_reconstruction_and_logits():
    model, x = small(head=nn.Linear(2, 4)), torch.randn(6, 5)
    latent = model.encode(x)
    assert latent.shape == (6, 2)
    assert model.decode(latent).shape == (6, 5)
    assert model.classify(latent).shape == (6, 4)


@pytest.mark.parametrize("output", [torch.sigmoid, torch.tanh, unit_tanh])
def test_the_output_bounds_numbers_and_leaves_logits_raw(output):
    model, z = small(numbers=3, output=output), 20 * torch.randn(50, 2)
    raw = model.decoder(z)
    bounded = model.decode(z)
    assert torch.equal(bounded[:, :3], output(raw[:, :3]))
    assert torch.equal(bounded[:, 3:], raw[:, 3:])


def test_a_tanh_of_numbers_in_0_1_saturates_at_both_of_their_ends():
    ends = unit_tanh(torch.tensor([-20.0, 0.0, 20.0]))
    assert ends.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("learning", [True, False])
def test_a_clipped_output_lies_in_0_1(learning):
    model, z = small(numbers=5, output=clip_to_unit), 20 * torch.randn(50, 2)
    with torch.set_grad_enabled(learning):
        assert torch.equal(model.decode(z), model.decoder(z).clamp(0, 1))


def test_what_lies_beyond_the_cut_is_drawn_back_unless_it_should_be_at_that_bound():
    raw = torch.tensor([-3.0, -3.0, 0.5, 7.0, 7.0], requires_grad=True)
    wanted = torch.tensor([0.0, 0.5, 0.5, 0.5, 1.0])
    (0.5 * (clip_to_unit(raw) - wanted).square()).sum().backward()
    assert raw.grad.tolist() == [0.0, -0.5, 0.0, 0.5, 0.0]


@pytest.mark.parametrize(("numbers", "bounded"), [(0, False), (5, True)])
def test_the_output_covers_all_or_nothing(numbers, bounded):
    model, z = small(numbers=numbers, output=torch.sigmoid), 20 * torch.randn(50, 2)
    wanted = model.decoder(z).sigmoid() if bounded else model.decoder(z)
    assert torch.equal(model.decode(z), wanted)


def test_without_a_head_there_are_no_logits():
    model = small()
    with pytest.raises(ValueError, match="has no classifier"):
        model.classify(torch.zeros(1, 2))
