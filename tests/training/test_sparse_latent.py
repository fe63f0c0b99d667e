"""Latents that --l1 and --l0 make sparse: exact zeros, few dead units, and the error they cost."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.inference.loaded_model import load_model
from aecli.nn.init import latent_columns
from aecli.schema.network import Network

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def sparse_table() -> pa.Table:
    """Return rows that are sums of few of 8 patterns in 12 columns."""
    rng = np.random.default_rng(0)
    parts = rng.laplace(size=(400, 8)) * (rng.uniform(size=(400, 8)) < 0.3)
    cells = parts @ rng.normal(size=(8, 12)) + 0.05 * rng.normal(size=(400, 12))
    return pa.table({f"x{i}": cells[:, i] for i in range(12)})


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return sparse_table()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, table: pa.Table):
    """Return a function that trains a model once per options, and its directory."""
    place, known = tmp_path_factory.mktemp("sparse"), {}

    def train(**options: object) -> Path:
        key = str(options)
        if key not in known:
            known[key] = place / str(len(known))
            aecli.train(table, latent=8, epochs=15, model=known[key], **options)
        return known[key]

    return train


@pytest.mark.parametrize("options", [{"l1": 0.6}, {"l0": 0.3}], ids=str)
def test_half_of_the_latents_are_0_and_most_units_are_active(trained, table, tmp_path, options):
    model = trained(**options)
    figures = aecli.evaluate(table, model=model)
    aecli.encode(table, str(tmp_path / "z.parquet"), model=model)
    zeros = pq.read_table(tmp_path / "z.parquet").to_pandas().to_numpy() == 0
    assert figures.latent.zero_share == pytest.approx(zeros.mean(), abs=1e-9)
    assert 0.4 < figures.latent.zero_share < 0.8
    assert figures.latent.active_share >= 0.5
    assert figures.number_r2 > 0.6


def test_a_larger_weight_gives_more_zeros(trained, table):
    small, large = (aecli.evaluate(table, model=trained(l1=w)).latent for w in (0.01, 0.6))
    assert small.zero_share < large.zero_share - 0.2


def test_the_decoder_of_l1_has_columns_of_at_most_1(trained):
    network = load_model(trained(l1=0.6)).network
    norms = [weight.detach().norm(dim=0) for weight in latent_columns(network)]
    assert float(torch.cat(norms).max()) <= 1 + 1e-5


def test_l0_is_the_share_that_is_not_0(trained, table):
    figures = aecli.evaluate(table, model=trained(l0=0.3))
    assert figures.losses["l0"].value == pytest.approx(1 - figures.latent.zero_share)


@pytest.mark.parametrize("arch", ["conv1d", "lstm"])
def test_latents_of_windows_have_zeros(tmp_path: Path, table: pa.Table, arch: str):
    aecli.train(table, window=4, arch=arch, latent=6, epochs=2, l1=1.0, model=tmp_path / "m")
    assert aecli.evaluate(table, model=tmp_path / "m").latent.zero_share > 0.1


def test_a_network_without_a_stored_threshold_has_none():
    """Models of 0.2.0 with --l1 were trained without one."""
    golden = Path(__file__).parents[1] / "golden" / "0.2.0" / "mlp" / "model" / "spec.json"
    stored = json.loads(golden.read_text())["network"]
    assert "threshold" not in stored
    assert Network.model_validate(stored).threshold == "none"
