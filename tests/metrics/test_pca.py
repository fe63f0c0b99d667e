import numpy as np
import pytest
import torch

from aecli.metrics.pca import COVARIANCE_WIDTH, PCA, fit_pca
from aecli.ranks import Ranks
from tests.thread_ranks import on_ranks


def rows(count: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scales = torch.linspace(5, 0.1, width)
    return torch.randn(count, width, generator=generator) * scales + 100


def error(inputs: torch.Tensor, reconstructed: torch.Tensor) -> float:
    return float((inputs.double() - reconstructed).square().mean())


@pytest.mark.parametrize(("count", "width"), [(300, 20), (50, 3000)], ids=["covariance", "sample"])
def test_pca_reaches_the_optimum_of_the_singular_values(count: int, width: int):
    inputs = rows(count, width)
    pca = fit_pca(lambda: inputs.split(64), 4)
    values = np.linalg.svd((inputs - inputs.mean(0)).double().numpy(), compute_uv=False)
    optimum = (values[4:] ** 2).sum() / inputs.numel()
    assert error(inputs, pca.reconstruct(inputs)) == pytest.approx(optimum, rel=0.02)


def test_components_are_orthonormal_and_no_more_than_there_are():
    pca = fit_pca(lambda: [rows(30, 5)], 9)
    torch.testing.assert_close(pca.components @ pca.components.T, torch.eye(5), atol=1e-5, rtol=0)


def test_inputs_that_are_always_zero_change_nothing():
    inputs = rows(100, 8)
    pca = fit_pca(lambda: iter([inputs]), 3)
    widened = torch.nn.functional.pad(inputs, (0, 2))
    reconstructed = pca.widened(10).reconstruct(widened)
    assert torch.allclose(reconstructed[:, :8], pca.reconstruct(inputs), rtol=1e-5)
    assert not reconstructed[:, 8:].any()


@pytest.mark.parametrize(("count", "width"), [(300, 20), (50, 3000)], ids=["covariance", "sample"])
def test_pca_of_several_ranks_is_that_of_all_their_rows(count: int, width: int):
    inputs = rows(count, width)
    parts = inputs.split([count // 4, 0, count - count // 4])

    def fit(ranks: Ranks) -> PCA:
        return fit_pca(lambda: [b for b in parts[ranks.rank].split(64) if len(b)], 4, ranks=ranks)

    whole, found = fit_pca(lambda: inputs.split(64), 4), on_ranks(3, fit)
    if width <= COVARIANCE_WIDTH:
        torch.testing.assert_close(found[0].shares, whole.shares, rtol=1e-5, atol=0)
    reached = error(inputs, found[0].reconstruct(inputs))
    assert reached == pytest.approx(error(inputs, whole.reconstruct(inputs)), rel=0.05)
    assert all(torch.equal(each.components, found[0].components) for each in found)
