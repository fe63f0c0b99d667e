"""A variational latent is drawn in training and is its mean everywhere else."""

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

import aecli
from aecli.features.layout import lay_out
from aecli.model.build import DECODER_VARIANCE, build, resolve_weights
from aecli.model.sizes import resolve_network
from aecli.nn.autoencoder import LOG_VARIANCE_BOUND, AutoencoderNetwork, EncoderOutput, LinearPath
from aecli.nn.layers import MLP
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import LossOptions
from tests.columns import number

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

COLUMNS = [number(f"x{i}", low=[-3.0], high=[3.0]) for i in range(6)]
TABLE = "sample_data/digits.parquet"


def network(**values):
    options = TrainOptions.from_flat({"encoder": [8, 2]} | values)
    return resolve_network(options, columns=COLUMNS, layout=lay_out(COLUMNS), classes=0)


def built(**values) -> AutoencoderNetwork:
    torch.manual_seed(0)
    return build(network(**values), columns=COLUMNS)


def test_a_sample_has_the_mean_and_the_variance_of_its_code():
    torch.manual_seed(0)
    mean, variance = torch.tensor([[-1.0, 3.0]]), torch.tensor([[0.25, 4.0]])
    drawn = EncoderOutput(mean.repeat(20_000, 1), variance.log().repeat(20_000, 1)).sample()
    assert drawn.mean(0).tolist() == pytest.approx([-1, 3], abs=0.05)
    assert drawn.var(0).tolist() == pytest.approx([0.25, 4], rel=0.05)


def test_a_certain_code_is_its_own_sample():
    z = torch.randn(3, 2)
    assert torch.equal(EncoderOutput(z, None).sample(), z)


def test_a_sample_passes_gradients_to_mean_and_variance():
    torch.manual_seed(0)
    mean, log_variance = (
        torch.zeros(5, 2, requires_grad=True),
        torch.zeros(5, 2, requires_grad=True),
    )
    EncoderOutput(mean, log_variance).sample().sum().backward()
    assert mean.grad is not None
    assert log_variance.grad is not None
    assert bool((mean.grad == 1).all())
    assert bool((log_variance.grad != 0).all())


def test_encode_gives_the_mean_without_chance():
    model, x = built(variational=True), torch.randn(7, 6)
    code = model.distribution(x)
    assert code.log_variance is not None
    assert code.latent.shape == code.log_variance.shape == (7, 2)
    assert torch.equal(model.encode(x), code.latent)
    assert torch.equal(model.train().encode(x), code.latent)
    assert not torch.equal(code.sample(), code.sample())


def test_a_plain_latent_has_no_variance():
    assert built().distribution(torch.randn(7, 6)).log_variance is None


def test_a_variance_never_overflows():
    model = built(variational=True)
    code = model.distribution(1e9 * torch.randn(7, 6))
    assert code.log_variance is not None
    assert float(code.log_variance.detach().abs().max()) <= LOG_VARIANCE_BOUND
    assert bool(code.sample().isfinite().all())


@pytest.mark.parametrize("arch", ["vanilla", "conv1d", "lstm", "transformer"])
@pytest.mark.parametrize("variational", [False, True])
def test_windows_have_one_latent_each(arch: str, variational: bool):
    model = built(arch=arch, window=5, variational=variational, encoder=None, latent=3)
    x = torch.randn(20, 6)
    code = model.eval().distribution(x)
    assert code.latent.shape == (4, 3)
    assert model(x).shape == (20, 6)
    assert torch.allclose(model(x[5:10]), model(x)[5:10], atol=1e-5)


def test_a_linear_path_is_added_to_encoder_and_decoder():
    path = LinearPath(inputs=6, latent=2, outputs=6)
    encoder, decoder = (MLP(sizes=s, activation=nn.SiLU) for s in ([6, 8, 2], [2, 8, 6]))
    parts = {"encoder": encoder, "decoder": decoder, "head": None, "output": None, "numbers": 6}
    beside, alone = AutoencoderNetwork(**parts, path=path), AutoencoderNetwork(**parts)
    x, z = torch.randn(4, 6), torch.randn(4, 2)
    assert torch.allclose(beside.encode(x), alone.encode(x) + path.encode(x), atol=1e-6)
    assert torch.allclose(beside.decode(z), alone.decode(z) + path.decode(z), atol=1e-6)


@pytest.mark.parametrize("window", [None, 3])
def test_beta_1_weighs_both_terms_as_the_evidence_lower_bound(window):
    """Per latent unit: -log p(x|z) is the sum of squares / (2 · variance), KL a sum over units."""
    found = network(variational=True, window=window)
    weights = resolve_weights(LossOptions(), found, cells=6, trivial=0.5)
    expected = 6 * found.window / (2 * DECODER_VARIANCE * 0.5) / found.latent
    assert weights["reconstruction"] / weights["kl_normal"] == pytest.approx(expected, rel=1e-3)


def test_sums_weigh_the_terms_against_each_other_as_means_do():
    found = network(variational=True)
    mean, total = (
        resolve_weights(LossOptions(reduction=how), found, cells=6, trivial=0.5)
        for how in ("mean", "sum")
    )
    assert total["reconstruction"] / total["kl_normal"] == pytest.approx(
        mean["reconstruction"] / mean["kl_normal"], rel=1e-3
    )


def test_sums_multiply_the_weights_of_means_by_columns_and_units():
    options = LossOptions(reduction="sum", l1=0.5, l2=0.25, kl=2.0, reconst_weight=3.0)
    weights = resolve_weights(options, network(), cells=6, trivial=1.0)
    assert weights == {"reconstruction": 18.0, "l1": 1.0, "l2": 0.5, "kl": 4.0}


def test_without_beta_the_variational_term_is_left_out():
    weights = resolve_weights(LossOptions(beta=0.0), network(variational=True), cells=6, trivial=1)
    assert "kl_normal" not in weights


def test_a_variational_model_encodes_deterministically_and_uses_its_latent(tmp_path):
    spec = aecli.train(
        TABLE, model=tmp_path / "m", exclude="label", variational=True, latent=6, epochs=8
    ).spec
    latents = []
    for name in ("a.parquet", "b.parquet"):
        aecli.encode(TABLE, str(tmp_path / name), model=tmp_path / "m")
        latents.append(pq.read_table(tmp_path / name))
    assert latents[0] == latents[1]
    assert spec.summary.latent_active == 6
    assert spec.summary.valid["kl_normal"] > 0.1
    by_name = {found.name: found.mse for found in spec.summary.baselines}
    assert by_name["this model"] < by_name["column means"] / 1.5
