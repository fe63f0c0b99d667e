"""A network that starts as PCA restores what PCA restores, and training only improves on it."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import aecli
from aecli.features.layout import lay_out
from aecli.metrics.pca import fit_pca
from aecli.model.build import build
from aecli.model.sizes import resolve_network
from aecli.nn.init import start_as_pca
from aecli.schema.options import TrainOptions
from tests.columns import boolean, category, number

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

DIGITS = "sample_data/digits.parquet"
NUMBERS = [number(f"x{i}", low=[-3.0], high=[3.0]) for i in range(6)]


def rows(count: int, width: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(width, width, generator=generator)
    return 2 + torch.randn(count, width, generator=generator) @ mixing


def started(samples: torch.Tensor, columns, **values):
    options = TrainOptions.from_flat({"init": "pca"} | values)
    network = resolve_network(options, columns=columns, layout=lay_out(columns), classes=0)
    torch.manual_seed(0)
    model = build(network, columns=columns).eval()
    pca = fit_pca(lambda: [samples], network.latent)
    start_as_pca(model, pca.mean, pca.components, inputs=network.inputs, outputs=network.outputs)
    return model, pca


@pytest.mark.parametrize("latent", [1, 3, 6])
def test_numbers_are_restored_as_pca_restores_them(latent: int):
    x = rows(300)
    model, pca = started(x, NUMBERS, latent=latent)
    assert torch.allclose(model(x), pca.reconstruct(x), atol=1e-5)
    assert torch.allclose(model.encode(x), (x - pca.mean) @ pca.components.T, atol=1e-5)


@pytest.mark.parametrize("arch", ["vanilla", "conv1d", "lstm", "transformer"])
def test_windows_are_restored_as_pca_restores_them(arch: str):
    x = rows(300)
    model, pca = started(x.reshape(75, 24), NUMBERS, latent=3, window=4, arch=arch)
    expected = pca.reconstruct(x.reshape(75, 24)).reshape(300, 6)
    assert torch.allclose(model(x), expected, atol=1e-5)


def test_images_are_restored_as_pca_restores_them():
    columns = [number(f"p{i}", low=[0.0], high=[1.0], constant=i in (0, 7)) for i in range(16)]
    x = rows(200, width=14)
    model, pca = started(x, columns, latent=5, arch="conv2d", shape="4x4")
    assert torch.allclose(model(x), pca.reconstruct(x).clamp(0, 1), atol=1e-5)


def test_a_latent_wider_than_the_table_leaves_units_at_zero():
    x = rows(300)
    model, _ = started(x, NUMBERS, latent=8)
    assert torch.allclose(model(x), x, atol=1e-4)
    assert float(model.encode(x)[:, 6:].detach().abs().max()) == 0


def test_truths_and_categories_start_at_their_shares():
    columns = [number("a"), boolean("b"), category("c", "u", "v")]
    x = torch.zeros(1000, 4)
    x[:, 0] = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    x[:300, 1] = 1
    x[::4, 2], x[:, 3] = 1, 1
    x[::4, 3] = 0
    model, pca = started(x, columns, latent=2)
    middle = model(pca.mean[None])[0]
    assert middle[1:].sigmoid().tolist() == pytest.approx([0.3, 0.25, 0.75], abs=1e-4)


@pytest.mark.parametrize(
    ("low", "output"), [(0.0, "sigmoid"), (0.0, "tanh"), (-1.0, "tanh")], ids=str
)
def test_a_bounded_output_starts_near_pca(low: float, output: str):
    columns = [*[number(f"x{i}", low=[low], high=[1.0]) for i in range(6)], boolean("b")]
    x = rows(300)
    x = low + (1 - low) * (0.3 + 0.4 * (x - x.amin(0)) / (x.amax(0) - x.amin(0)))
    x = torch.cat([x, (x[:, :1] > x[:, :1].mean()).float()], dim=1)
    model, pca = started(x, columns, latent=3, output=output, scale="none")
    assert torch.allclose(model(pca.mean[None])[0, :6], pca.mean[:6], atol=1e-5)
    error = (model(x) - pca.reconstruct(x))[:, :6].square().mean()
    assert error < 0.1 * x[:, :6].var(0).mean()


def test_the_nonlinear_network_beside_it_learns():
    x = rows(300)
    model, pca = started(x, NUMBERS, latent=2)
    before = (model(x) - x).square().mean()
    before.backward()
    assert before.item() == pytest.approx(float((pca.reconstruct(x) - x).square().mean()), rel=1e-5)
    for layer in (model.encoder.last, model.decoder.last, model.path.encode, model.path.decode):
        assert float(layer.weight.grad.abs().max()) > 0


def test_a_network_without_a_linear_path_is_refused():
    options = TrainOptions.from_flat({"latent": 2, "init": "default"})
    model = build(
        resolve_network(options, columns=NUMBERS, layout=lay_out(NUMBERS), classes=0),
        columns=NUMBERS,
    )
    with pytest.raises(ValueError, match="no linear path"):
        start_as_pca(model, torch.zeros(6), torch.eye(6)[:2], inputs=6, outputs=6)


def curved(rows: int = 1500) -> pa.Table:
    generator = np.random.default_rng(0)
    angle, height = generator.uniform(-2, 2, (2, rows))
    columns = [np.sin(angle), np.cos(angle), angle * height, height, height**2, angle]
    return pa.table({f"x{i}": column for i, column in enumerate(columns)})


@pytest.mark.parametrize(
    "values", [{"latent": 2}, {"latent": 4}, {"latent": 3, "window": 4}], ids=str
)
def test_the_first_epoch_is_not_worse_than_pca(tmp_path, values):
    result = aecli.train(curved(), model=tmp_path / "m", init="pca", epochs=3, **values)
    mse = {found.name: found.mse for found in result.spec.summary.baselines}
    first = result.history[0].valid
    assert first["reconstruction"] <= mse["PCA"]
    assert mse["this model"] < mse["PCA"]


def test_digits_start_at_pca_and_get_better(tmp_path):
    result = aecli.train(
        DIGITS, model=tmp_path / "m", exclude="label", init="pca", latent=8, epochs=4
    )
    mse = {found.name: found.mse for found in result.spec.summary.baselines}
    assert result.history[0].valid["reconstruction"] <= mse["PCA"]
    assert mse["this model"] < mse["PCA"]


@pytest.mark.parametrize(
    "values",
    [
        {"arch": "conv2d", "shape": "8x8", "init": "default"},
        {"arch": "conv2d", "shape": "8x8", "init": "pca"},
    ],
    ids=["plain", "pca"],
)
def test_images_with_constant_pixels_train(tmp_path, values):
    spec = aecli.train(
        DIGITS, model=tmp_path / "m", exclude="label", latent=8, epochs=3, **values
    ).spec
    assert any(column.constant for column in spec.columns)
    mse = {found.name: found.mse for found in spec.summary.baselines}
    assert mse["this model"] < mse["column means"]
