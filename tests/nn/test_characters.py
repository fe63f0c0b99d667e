"""Convolutions over the characters of texts, and latent units that are their codes."""

import pytest
import torch
from torch import nn

from aecli.nn.autoencoder import AutoencoderNetwork, LinearPath
from aecli.nn.characters import (
    CODE_DEVIATION,
    FEATURES,
    CharacterConvolutions,
    CharacterDecoder,
    start_at_codes,
)
from aecli.nn.losses import ReconstructionLoss


def test_features_of_a_word_give_the_same_characters_at_every_position() -> None:
    torch.manual_seed(0)
    layer = CharacterConvolutions(length=24, codes=5)
    grid = torch.zeros(1, FEATURES, 24)
    grid[:, :, 8:12] = torch.randn(FEATURES, 4)
    there, moved = (layer(part.flatten(1)).view(24, 5) for part in (grid, grid.roll(3, dims=2)))
    torch.testing.assert_close(moved[4:], there[1:-3])


def test_other_outputs_are_not_changed_and_features_of_zero_have_equal_logits() -> None:
    decoder = CharacterDecoder(plain=3, texts=[(4, 5), (2, 7)])
    rows = torch.zeros(2, decoder.inputs)
    rows[:, :3] = torch.randn(2, 3)
    outputs = decoder(rows)
    assert outputs.shape == (2, 3 + 4 * 5 + 2 * 7)
    torch.testing.assert_close(outputs[:, :3], rows[:, :3])
    assert not outputs[:, 3:].any()


def test_loss_of_a_text_is_the_mean_cross_entropy_of_its_characters_and_its_end() -> None:
    codes = torch.tensor([[0.0, 1, 3, torch.nan], [2, 2, 2, 2]])
    outputs = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    loss = ReconstructionLoss(
        numbers=0, booleans=0, cardinalities=[4] * 4, column_of=[0] * 4, weights=[1.0]
    )
    logs = outputs.view(2, 4, 4).log_softmax(2)
    expected = -(logs[0, 0, 0] + logs[0, 1, 1] + logs[0, 2, 3] + logs[1, :, 2].sum()) / 7
    torch.testing.assert_close(loss(outputs, codes), expected)


def test_sums_of_texts_are_those_of_their_observed_characters() -> None:
    # Two booleans, a category of two, texts of three characters (four codes) and of two (two).
    loss = ReconstructionLoss(
        numbers=0,
        booleans=1,
        cardinalities=[2, *[4] * 3, *[2] * 2],
        column_of=[0, 1, 2, 2, 2, 3, 3],
        weights=[1.0, 1.0, 0.5, 2.0],
    )
    missing = torch.nan
    cells = torch.tensor(
        [[1.0, 1, 0, 3, missing, 1, 1], [0.0, 0, 2, 1, 2, missing, missing]],
    )
    outputs = torch.zeros(2, loss.booleans + 2 + 12 + 4)
    outputs[:, 3 + 0] = 9.0  # the first code of the first position
    errors, wrong, observed = loss.text_figures(outputs, cells)
    assert wrong.tolist() == [1 + 1 + 1 + 1, 2]
    assert observed.tolist() == [5, 2]
    by_cell = loss.cell_errors(outputs, cells)[:, 2:].nan_to_num(0.0).sum(0)
    expected = torch.stack([by_cell[:3].sum() * 0.5, by_cell[3:].sum() * 2]).double()
    torch.testing.assert_close(errors, expected)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_unit_that_starts_as_codes_decodes_every_character(precision: torch.dtype) -> None:
    shares = torch.tensor([0.02, 0.5, 0.0, 0.28, 0.15, 0.05])
    path = LinearPath(inputs=9, latent=2, outputs=9)
    start_at_codes(path, 1, slice(3, 9), shares)
    network = AutoencoderNetwork(
        encoder=Zeros(2), decoder=Zeros(9), head=None, output=None, numbers=0, path=path,
        characters=nn.Identity(),
    )  # fmt: skip
    rows = torch.zeros(6, 9)
    rows[:, 3:] = torch.eye(6)
    with torch.autocast("cpu", dtype=precision, enabled=precision == torch.bfloat16):
        codes = network.encode(rows)[:, 1].detach()
        outputs = network(rows)
    assert outputs[:, 3:].argmax(1).tolist() == list(range(6))
    deviation = (shares @ codes.square()).sqrt()
    torch.testing.assert_close(deviation, torch.tensor(CODE_DEVIATION), rtol=1e-2, atol=0)
    assert float(shares @ codes) == pytest.approx(0, abs=1e-2)
    assert codes.abs().argmin() == 1


class Zeros(nn.Module):
    """Encoder or decoder of zeros."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_zeros(len(x), self.size)
