import pytest
import torch
from torch import nn

from aecli.metrics.latent import LatentFigures, dead_units, with_limited_outliers
from aecli.nn.autoencoder import AutoencoderNetwork


def test_effective_rank_counts_equal_directions():
    figures = LatentFigures(4)
    figures.add(torch.cat([torch.eye(4), -torch.eye(4)])[:, [0, 1, 2, 3]] * 3)
    assert figures.effective_rank() == pytest.approx(4)


def test_a_unit_that_never_moves_is_dead():
    figures = LatentFigures(3)
    for seed in range(3):
        latent = torch.randn(50, 3, generator=torch.Generator().manual_seed(seed))
        latent[:, 1] = 0.7
        figures.add(latent)
    assert figures.dead() == [1]
    assert figures.effective_rank() < 2.1


def with_outlier(rows: int, value: float) -> torch.Tensor:
    latent = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    latent[rows // 2, 1] = value
    return latent


@pytest.mark.parametrize("rows", [20, 150, 5000])
def test_one_outlier_does_not_decide_rank_and_activity(rows: int):
    plain, spoiled = LatentFigures(3), LatentFigures(3)
    plain.add(with_outlier(rows, 0.0))
    for part in with_outlier(rows, 1e5).split(700):
        spoiled.add(part)
    assert spoiled.dead() == []
    assert spoiled.effective_rank() == pytest.approx(plain.effective_rank(), rel=0.25)
    assert float(spoiled.covariance()[1, 1]) < 30


def test_ordinary_latents_are_not_limited():
    values = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)).double()
    values[:, 1] = values[:, 1].exp().clamp(max=8)  # a long tail
    values[50:, 2] = 0.0  # a unit in use in 1 % of the rows
    assert (with_limited_outliers(values.numpy()) == values.numpy()).all()


def test_figures_do_not_depend_on_how_rows_fall_into_batches():
    latent = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    ranks = []
    for size in (999, 20_000):
        figures = LatentFigures(3)
        for part in latent.split(size):
            figures.add(part)
        ranks.append(figures.effective_rank())
    assert ranks[0] == pytest.approx(ranks[1], rel=1e-12)
    assert ranks[0] == pytest.approx(3, abs=0.01)


def test_units_that_hardly_move_beside_the_inputs_are_dead():
    latent = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    for deviation, dead in ((0.008, [0, 1, 2]), (0.02, [])):
        figures = LatentFigures(3, input_variance=1.0)
        figures.add(0.5 + deviation * latent)
        assert figures.dead() == dead


def test_a_collapsed_latent_is_all_dead():
    figures = LatentFigures(2)
    figures.add(torch.ones(10, 2))
    assert (figures.dead(), figures.effective_rank()) == ([0, 1], 0.0)


def test_a_variational_unit_is_active_by_its_own_variance():
    means = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1, 0.05]
    )
    for factor, dead in ((1.0, [1]), (0.05, [0, 1]), (10.0, [])):
        figures = LatentFigures(2, variational=True)
        figures.add(means * factor)
        assert figures.dead() == dead


def test_sparsity_is_measured_against_the_latents_own_size():
    figures = LatentFigures(2)
    figures.add(torch.tensor([[0.0, 100.0], [0.001, -300.0]]))
    assert (figures.near_zero_share(), figures.zero_share()) == (0.5, 0.25)
    assert figures.mean_abs() == pytest.approx(100.00025)


def test_near_zeros_depend_on_the_unit_and_not_on_how_rows_fall_into_batches():
    latent = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    latent[:, 1] *= 1e-2  # a small unit is not near zero for that
    latent[200:, 0] = 0.0
    latent[:300, 2] *= 1e-5
    shares = []
    for size in (1, 7, 400):
        figures = LatentFigures(3)
        for part in latent.split(size):
            figures.add(part)
        shares.append(figures.near_zero_share())
    assert shares[0] == shares[1] == shares[2]
    assert shares[0] == pytest.approx(500 / 1200, abs=0.003)


def test_hidden_units_that_never_fire_are_counted_by_layer():
    encoder = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.ReLU())
    with torch.no_grad():
        encoder[2].bias[0], encoder[2].bias[1:] = 10.0, -1e6
    network = AutoencoderNetwork(
        encoder=encoder, decoder=nn.Linear(3, 2), head=None, output=None, numbers=2
    )
    found = dead_units(network, (nn.ReLU, nn.Tanh), torch.randn(20, 2))
    assert found == {"encoder layer 2": 2}


def test_the_classifier_has_hidden_units_and_the_output_has_not():
    network = AutoencoderNetwork(
        encoder=nn.Linear(2, 2),
        decoder=nn.Linear(2, 2),
        head=nn.Sequential(nn.Linear(2, 3), nn.ReLU()),
        output=nn.Sigmoid(),
        numbers=2,
    )
    with torch.no_grad():
        network.head[0].bias[:] = -1e6
    assert dead_units(network, (nn.ReLU, nn.Sigmoid), torch.randn(9, 2)) == {
        "classifier layer 1": 3
    }
