"""Independent units: FastICA finds sources, and returns a rotation in any case."""

import pytest
import torch
from torch import Tensor

from aecli.metrics.ica import independent_rotation


def whitened(values: Tensor) -> Tensor:
    centred = values.double() - values.double().mean(0)
    eigenvalues, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    return centred @ axes / eigenvalues.sqrt()


def sources(rows: int) -> Tensor:
    torch.manual_seed(0)
    heavy = torch.distributions.Laplace(0.0, 1.0).sample((rows,))
    return torch.stack([torch.rand(rows), heavy, (torch.rand(rows) < 0.3).float()], 1)


def test_mixed_sources_are_found():
    truth = sources(4_000)
    units = whitened(truth @ torch.randn(3, 3))
    rotation, converged = independent_rotation(units)
    assert converged
    found = torch.corrcoef(torch.cat([units @ rotation.T, truth.double()], 1).T)[:3, 3:].abs()
    assert sorted(found.argmax(1).tolist()) == [0, 1, 2]
    assert float(found.max(1).values.min()) > 0.99


@pytest.mark.parametrize(
    "values",
    [torch.randn(400, 5, generator=torch.Generator().manual_seed(1)), torch.rand(6, 3)],
    ids=["normal distributions", "fewer rows than it needs"],
)
def test_units_without_independent_axes_are_rotated_only(values: Tensor):
    rotation, _ = independent_rotation(whitened(values))
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(len(rotation)).double())
