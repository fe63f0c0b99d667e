import pytest
import torch

from aecli.metrics.latent import LatentFigures
from aecli.progress import Epoch
from aecli.schema.model_spec import Baseline, Label, Network
from aecli.schema.options import TrainOptions
from aecli.training.diagnostics import diagnose
from aecli.training.trainer import FitResult


def latents(active: int = 8) -> LatentFigures:
    figures = LatentFigures(8)
    values = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    values[:, active:] = 0.0
    figures.add(values)
    return figures


def one_direction() -> LatentFigures:
    """Return latents that all vary, as one."""
    figures = LatentFigures(32)
    generator = torch.Generator().manual_seed(0)
    figures.add(torch.randn(500, 1, generator=generator) * torch.arange(1.0, 33))
    return figures


def network(**values: object) -> Network:
    given = {"inputs": 9, "outputs": 9, "classes": 0, "encoder": [16, 8], "decoder": [16]}
    rest = {"classifier": [], "activation": "ReLU", "latent_activation": "Identity"}
    return Network(**given, **rest, norm="none", dropout=0.0, output="linear", **values)


def found(train=0.2, valid=0.25, mse=0.2, penalty=0.0, gradients=None, **options):
    pca, classes = options.pop("pca", None), options.pop("classes", None)
    figures = options.pop("latents", None) or latents(options.pop("active", 8))
    planned, finished = options.pop("planned", 40), options.pop("finished", True)
    sides = [
        {"reconstruction": value, "kl": penalty}
        | ({} if classes is None else {"classification": classes})
        for value in (train, valid)
    ]
    sides = [losses | {"total": sum(losses.values())} for losses in sides]
    history = [
        Epoch(number, *sides, 1.0, 1e-3, gradients=gradients or {})
        for number in range(1, options.pop("epochs", 20) + 1)
    ]
    fit = FitResult(history, options.pop("best", 12), "", finished, planned, 64, 1.0, None)
    compared = [
        Baseline(name="this model", mse=mse),
        Baseline(name="PCA", mse=pca),
        Baseline(name="column means", mse=1.0),
    ]
    return diagnose(
        network(variational=options.pop("variational", False)),
        TrainOptions.from_flat(options),
        fit,
        weights=dict.fromkeys(sides[0].keys() - {"total"}, 1.0),
        latent=figures,
        baselines=compared,
        label=Label(name="y", type="text", classes=["a", "b"], counts=[5, 5]),
    )


def test_all_is_well():
    assert found() == []
    assert found(gradients={"encoder.0": 1.0, "decoder.0": 0.01}) == []


@pytest.mark.parametrize(
    ("values", "said", "try_this"),
    [
        ({"active": 2}, "2 of 8 units are active", "--latent 2"),
        ({"active": 2, "l1": 4.0}, "collapsed", "--l1 0.4"),
        ({"active": 2, "epochs": 12, "finished": False}, "collapsed", "a longer training"),
        ({"active": 2, "epochs": 3, "best": 3, "planned": 3}, "collapsed", "--epochs, such as 12"),
        ({"active": 2, "variational": True}, "collapsed", "a lower --beta"),
        ({"active": 2, "variational": True, "best": 9}, "collapsed", "--latent 2"),
        ({"active": 0, "variational": True, "mse": 1.1}, "0 of 8 units", "a lower --beta"),
        ({"latents": one_direction(), "pca": 0.1}, "32 units have an effective rank of 1.0",
         "--latent 2"),
        ({"mse": 1.3, "lr": 0.02}, "no better than the column means", "--lr 0.005"),
        ({"penalty": 9.0, "kl": 4.0}, "kl makes 97% of the loss", "--kl 0.4"),
        ({"penalty": 0.4, "kl": 4.0, "mse": 0.999}, "kl makes 62% of the loss, and rows",
         "--kl 0.4"),
        ({"train": 900, "valid": 900, "classes": 0.7, "label": "y", "reconst_weight": 1000},
         "reconstruction makes 99.92% of the loss, and classes", "without --reconst-weight"),
        ({"classes": 0.5, "valid": 1e-3, "train": 1e-3, "mse": 1.0, "label": "y",
          "class_weight": 50}, "classification makes 99.80% of the loss, and rows",
         "--class-weight 0.5"),
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


def test_a_task_that_is_learned_is_not_blamed_for_its_share():
    assert found(train=900, valid=900, classes=0.4, label="y", reconst_weight=1000) == []
    assert found(penalty=0.4, kl=4.0, mse=0.5) == []
