"""The sparsity term pulls mean activations to rho, whatever the batch, the width or the range."""

import math

import pyarrow.parquet as pq
import pytest
import torch
from torch.distributions import Bernoulli, Normal
from torch.distributions.kl import kl_divergence

import aecli
from aecli.nn.losses import bernoulli_kl, kl_normal, kl_sparsity

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

DIGITS = "sample_data/digits.parquet"


def activations(rows: int = 64, units: int = 5) -> torch.Tensor:
    return torch.rand(rows, units, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rho", [0.01, 0.05, 0.5, 0.9])
def test_the_term_is_the_divergence_of_two_coins(rho: float):
    rho_hat = torch.tensor([0.001, 0.05, 0.3, 0.5, 0.97])
    expected = kl_divergence(Bernoulli(torch.tensor(rho)), Bernoulli(rho_hat))
    assert bernoulli_kl(rho_hat, rho).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("rho", [0.01, 0.05, 0.5, 0.9])
def test_the_term_is_nothing_at_rho_and_rises_to_both_sides(rho: float):
    assert float(bernoulli_kl(torch.tensor(rho), rho)) == pytest.approx(0, abs=1e-6)
    below = bernoulli_kl(torch.linspace(1e-4, rho, 50), rho)
    above = bernoulli_kl(torch.linspace(rho, 1 - 1e-4, 50), rho)
    assert bool((below.diff() < 0).all())
    assert bool((above.diff() > 0).all())


def test_rho_changes_the_term():
    z = activations()
    mean = z.mean(0)
    for rho in (0.05, 0.3):
        terms = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        assert float(kl_sparsity(z, rho)) == pytest.approx(float(terms.mean()), rel=1e-5)


def test_neither_more_rows_nor_more_units_change_the_term():
    z = activations()
    once = float(kl_sparsity(z, 0.05))
    assert float(kl_sparsity(z.repeat(2, 1), 0.05)) == pytest.approx(once, rel=1e-6)
    assert float(kl_sparsity(z.repeat(1, 2), 0.05)) == pytest.approx(once, rel=1e-6)


def test_a_range_from_minus_one_is_moved_to_0_and_1():
    z = activations()
    moved = float(kl_sparsity(2 * z - 1, 0.05, low=-1.0))
    assert moved == pytest.approx(float(kl_sparsity(z, 0.05)), rel=1e-5)


def test_a_dead_unit_receives_a_gradient():
    raw = torch.tensor([[-40.0, 0.0], [-40.0, 1.0]], requires_grad=True)
    value = kl_sparsity(torch.sigmoid(raw), 0.05)
    value.backward()
    assert math.isfinite(value.item())
    assert raw.grad is not None
    assert bool(raw.grad.isfinite().all())
    # Of one unit of two and one row of two: d/dx of -rho · log(sigmoid(x)) is -rho there.
    assert raw.grad[:, 0].tolist() == pytest.approx([-0.05 / 4] * 2, rel=0.01)


def test_the_variational_term_is_the_divergence_from_a_standard_normal():
    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn(2, 30, 4, generator=generator)
    spread = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(spread, Normal(0.0, 1.0)).mean()
    assert float(kl_normal(mean, log_variance)) == pytest.approx(float(expected), rel=1e-5)
    assert float(kl_normal(torch.zeros(3, 2), torch.zeros(3, 2))) == 0


def mean_activations(tmp_path, **values) -> torch.Tensor:
    how = {"exclude": "label", "latent": 16, "model": tmp_path / "m"}
    aecli.train(DIGITS, **how | values)
    aecli.encode(DIGITS, str(tmp_path / "z.parquet"), model=tmp_path / "m", as_list=True)
    z = pq.read_table(tmp_path / "z.parquet")["z"].combine_chunks()
    return torch.tensor(z.flatten().to_numpy()).reshape(len(z), 16)


def test_digits_are_encoded_with_mean_activations_at_rho(tmp_path):
    z = mean_activations(tmp_path, kl=10, rho=0.05, epochs=20)
    live = z.std(0) > 1e-3
    assert int(live.sum()) >= 8
    assert z.mean(0)[live].tolist() == pytest.approx([0.05] * int(live.sum()), abs=0.03)
    assert 0 <= float(z.min()) <= float(z.max()) <= 1


def test_another_rho_makes_other_activations(tmp_path):
    z = mean_activations(tmp_path, kl=10, rho=0.3, epochs=5)
    assert float(z.mean()) == pytest.approx(0.3, abs=0.05)


def test_a_latent_like_tanh_is_pulled_in_its_own_range(tmp_path):
    z = mean_activations(tmp_path, kl=10, rho=0.2, epochs=8, latent_activation="Tanh")
    assert float(((z + 1) / 2).mean()) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    ("activation", "low", "value"),
    [(torch.sigmoid, 0.0, -45.0), (torch.sigmoid, 0.0, -110.0), (torch.tanh, -1.0, -10.0)],
)
def test_a_unit_at_the_end_of_its_range_has_a_finite_gradient(activation, low, value):
    raw = torch.full((4, 1), value, requires_grad=True)
    kl_sparsity(activation(raw), 0.05, low=low).backward()
    assert raw.grad is not None
    assert bool(raw.grad.isfinite().all())
