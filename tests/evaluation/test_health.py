import pytest
import torch

from aecli.evaluation.health import signs
from aecli.evaluation.latent import LatentFigures
from aecli.progress import Epoch
from aecli.spec.model import Baseline, Network
from aecli.spec.options import TrainOptions


def latents(active: int = 8) -> LatentFigures:
    figures = LatentFigures(8)
    values = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    values[:, active:] = 0.0
    figures.add(values)
    return figures


def network(**values: object) -> Network:
    given = {"inputs": 9, "outputs": 9, "classes": 0, "encoder": [16, 8], "decoder": [16]}
    rest = {"classifier": [], "activation": "ReLU", "latent_activation": "Identity"}
    return Network(**given, **rest, norm="none", dropout=0.0, output="linear", **values)


def found(train=0.2, valid=0.25, active=8, mse=0.2, penalty=0.0, gradients=None, **options):
    losses = {"reconstruction": train, "kl": penalty, "total": train + penalty}
    held_out = {"reconstruction": valid, "kl": penalty, "total": valid + penalty}
    best = Epoch(3, losses, held_out, 1.0, 1e-3, gradients=gradients or {})
    return signs(
        network(variational=options.pop("variational", False)),
        TrainOptions.from_flat(options),
        best,
        weights={"reconstruction": 1.0, "kl": 1.0},
        latent=latents(active),
        baselines=[Baseline(name="this model", mse=mse), Baseline(name="column means", mse=1.0)],
    )


def test_all_is_well():
    assert found() == []
    assert found(gradients={"encoder.0": 1.0, "decoder.0": 0.01}) == []


@pytest.mark.parametrize(
    ("values", "said", "try_this"),
    [
        ({"active": 2}, "2 of 8 units are active", "--latent 2"),
        ({"active": 2, "variational": True}, "collapsed", "a lower --beta"),
        ({"mse": 1.3, "lr": 0.02}, "no better than the column means", "--lr 0.005"),
        ({"penalty": 9.0, "kl": 4.0}, "kl makes 97% of the loss", "--kl 0.4"),
        ({"valid": 0.6}, "3.0 times as high on held-out rows", "--dropout 0.1"),
        ({"gradients": {"a": 1.0, "b": 1e-6}}, "1 of 2 layers hardly get a gradient, first b",
         "--norm layer"),
    ],
)  # fmt: skip
def test_each_sign_is_one_sentence_with_what_to_try(values, said, try_this):
    (sentence,) = found(**values)
    assert said in sentence
    assert try_this in sentence.partition("; try ")[2]


def test_a_classifier_alone_is_not_blamed_for_its_reconstruction():
    assert found(mse=2.0, label="y", reconst_weight=0.0) == []
