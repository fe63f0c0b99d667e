import pytest
import torch

from aecli.metrics.latent import LatentFigures
from aecli.progress import Epoch
from aecli.schema.model_spec import Baseline, Label
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.training.diagnostics import diagnose
from aecli.training.fit_result import FitResult


def latents(active: int = 8, rows: int = 500) -> LatentFigures:
    figures = LatentFigures(8)
    values = torch.randn(rows, 8, generator=torch.Generator().manual_seed(0))
    values[:, active:] = 0.0
    figures.add(values)
    return figures


def still() -> LatentFigures:
    """Return latents that deviate by 0.9 % of what the inputs do."""
    figures = LatentFigures(8, input_variance=1.0)
    figures.add(0.009 * torch.randn(5_000, 8, generator=torch.Generator().manual_seed(0)))
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
    last = options.pop("last", valid)
    accuracies = options.pop("accuracies", (None, None, None))
    sides = [
        {"reconstruction": value, "kl": penalty}
        | ({} if classes is None else {"classification": classes})
        for value in (train, valid, last)
    ]
    sides = [losses | {"total": sum(losses.values())} for losses in sides]
    history = [
        Epoch(number, *sides[:2], 1.0, 1e-3, gradients=gradients or {})
        for number in range(1, options.pop("epochs", 20) + 1)
    ]
    best = options.pop("best", 12)
    if best < len(history):
        history[-1] = Epoch(len(history), sides[0], sides[2], 1.0, 1e-3)
    start = Epoch(0, {}, sides[1], 0.0, 0.0)
    fit = FitResult(history, best, "", finished, planned, 64, 1.0, None, start)
    compared = [
        Baseline(name=name, mse=error, accuracy=accuracy)
        for (name, error), accuracy in zip(
            {"this model": mse, "PCA": pca, "column means": 1.0}.items(), accuracies, strict=True
        )
    ]
    values = {name: options.pop(name, False) for name in ("variational", "linear_path")}
    given = options | {"variational": values["variational"]}
    weights = dict.fromkeys(sides[0].keys() - {"total"}, 1.0)
    if options.get("reconst_weight") == 0:
        del weights["reconstruction"]
    return diagnose(
        network(**values, topk=options.get("topk")),
        TrainOptions.from_flat(given),
        fit,
        weights=weights,
        latent=figures,
        baselines=compared,
        label=Label(name="y", type="text", classes=["a", "b"], counts=[5, 5]),
    )


def test_all_is_well():
    assert found() == []
    assert found(gradients={"encoder.0": 1.0, "decoder.0": 0.01}) == []


COLLAPSED = "the latent has collapsed: 2 of 8 units are active"


@pytest.mark.parametrize(
    ("values", "said", "try_this"),
    [
        ({"active": 2}, COLLAPSED, "--init pca"),
        ({"active": 2, "linear_path": True}, COLLAPSED, "--lr 0.001"),
        ({"active": 2, "pca": 0.1}, f"{COLLAPSED}, and the MSE is 0.2 (PCA: 0.1)", "--init"),
        ({"active": 2, "l1": 4.0}, COLLAPSED, "--l1 0.4"),
        ({"active": 2, "l2": 4.0}, COLLAPSED, "--l2 0.4"),
        ({"active": 2, "topk": 2, "pca": 0.1}, COLLAPSED, "--topk 4"),
        ({"active": 2, "label": "y"}, COLLAPSED, "--class-weight 0.1"),
        ({"active": 2, "epochs": 12, "finished": False}, COLLAPSED, "a longer training"),
        ({"active": 2, "epochs": 3, "best": 3, "planned": 3}, COLLAPSED, "--epochs 12"),
        ({"active": 2, "variational": True}, COLLAPSED, "--beta 0.1"),
        ({"active": 2, "variational": True, "best": 9}, COLLAPSED, "--lr 0.001"),
        ({"active": 0, "variational": True, "mse": 1.1},
         "0 of 8 units are active, and reconstruction is no better than", "--beta 0.1"),
        ({"active": 0, "pca": 0.5}, "0 of 8 units are active, and the MSE is 0.2 (column",
         "--init pca"),
        ({"latents": still(), "pca": 0.5}, "0 of 8 units are active, and the MSE is 0.2", "--init"),
        ({"mse": 0.01, "accuracies": (0.7, 0.75, 0.78)},
         "most frequent value (70.0% against 78.0%)", "--init pca"),
        ({"mse": None, "accuracies": (0.7, 0.75, 0.78)}, "column means on held-out", "--init pca"),
        ({"latents": one_direction(), "pca": 0.05},
         "is 4 times that of PCA of the same size (MSE 0.2 against 0.05, effective rank 1.0 of 32)",
         "--init pca"),
        ({"mse": 0.4, "pca": 1e-9}, "is over 1,000 times that of PCA", "--init pca"),
        ({"mse": 0.4, "pca": 0.1, "l1": 0.1}, "is 4 times that of PCA", "--l1 0.01"),
        ({"mse": 1.3, "lr": 0.02, "linear_path": True},
         "reconstruction is no better than predicting column means on held-out rows", "--lr 0.005"),
        ({"mse": 1.3, "accuracies": (0.9, 0.5, 0.3), "linear_path": True}, "column means", "--lr"),
        ({"penalty": 9.0, "kl": 4.0}, "kl is 97% of the loss", "--kl 0.4"),
        ({"penalty": 0.4, "kl": 4.0, "mse": 0.999},
         "kl is 62% of the loss, and reconstruction is no better than predicting column means",
         "--kl 0.4"),
        ({"penalty": 9.0, "classes": 0.7, "label": "y", "reconst_weight": 0, "kl": 4.0},
         "kl is 93% of the loss", "--kl 0.4"),
        ({"train": 900, "valid": 900, "classes": 0.7, "label": "y", "reconst_weight": 1000},
         "reconstruction is 99.92% of the loss, and the classifier is no better than class",
         "without --reconst-weight"),
        ({"classes": 0.5, "valid": 1e-3, "train": 1e-3, "mse": 1.0, "label": "y",
          "class_weight": 50}, "classification is 99.80% of the loss, and reconstruction",
         "--class-weight 0.5"),
        ({"valid": 0.6}, "overfitting: the reconstruction loss is 3.0 times as high on held-out",
         "--dropout 0.1, --noise mask:0.1 or a smaller network"),
        ({"valid": 0.6, "dropout": 0.2, "noise": "mask:0.1"}, "3.0 times", "a smaller network"),
        ({"valid": 0.6, "pca": 0.3, "last": 0.9}, "3.0 times as high", "--dropout 0.1"),
        ({"valid": 0.6, "mse": 1.3}, "3.0 times as high", "--dropout 0.1"),
        ({"train": 1e-4, "valid": 0.6}, "over 100 times as high", "--dropout 0.1"),
        ({"best": 0, "mse": 0.3}, "no epoch beat the initial weights", "--lr 0.001"),
        ({"gradients": {"a": 1.0, "b": 1e-6}}, "vanishing gradients in 1 of 2 layers, first b",
         "--norm layer"),
    ],
)  # fmt: skip
def test_each_cause_is_one_sentence_with_what_to_try(values, said, try_this):
    (sentence,) = found(**values)
    assert said in sentence
    assert try_this in sentence.partition("; try ")[2]


@pytest.mark.parametrize(
    "values",
    [
        {"active": 2, "pca": 0.3},
        {"active": 2, "mse": 0.04},
        {"active": 0, "mse": 0.04},
        {"latents": still(), "mse": 0.04, "pca": 0.5},
        {"mse": 0.01, "accuracies": (0.74, 0.75, 0.78)},
        {"mse": 0.01, "accuracies": (0.5, 0.75, 0.78), "latents": latents(rows=99)},
        {"latents": one_direction(), "pca": 0.1},
        {"latents": one_direction(), "pca": 0.1, "label": "y"},
        {"mse": 0.04, "pca": 1e-9},
        {"mse": 0.2, "pca": 1e-9, "l1": 0.1},
        {"mse": 0.2, "pca": 0.01, "label": "y"},
        {"mse": 0.2, "pca": 0.01, "accuracies": (0.9, 0.7, 0.5)},
        {"penalty": 9.0, "kl": 4.0, "mse": 0.04},
        {"penalty": 0.4, "kl": 4.0, "mse": 0.5},
        {"penalty": 9.0, "classes": 0.1, "label": "y", "reconst_weight": 0, "kl": 4.0},
        {"valid": 0.6, "mse": 0.004},
        {"valid": 0.6, "pca": 0.3},
        {"best": 0, "mse": 1e-9},
        {"mse": 2.0, "label": "y", "reconst_weight": 0},
        {"active": 1, "mse": 2.0, "label": "y", "reconst_weight": 0},
        {"train": 900, "valid": 900, "classes": 0.4, "label": "y", "reconst_weight": 1000},
    ],
    ids=[
        "few units, better than PCA", "few units are enough",
        "no unit, and a good reconstruction", "still units, and a good reconstruction",
        "categories a little below modes", "categories of few rows", "one direction, near PCA",
        "classes decide the variance", "R² 0.96 beside a perfect PCA", "sparse beside PCA",
        "a classifier costs some reconstruction", "categories in exchange for numbers",
        "a large share of a small loss", "a penalty that leaves something to learn",
        "a penalty beside a classifier that works", "overfitting that costs nothing",
        "better than PCA, and no rise", "PCA is all there is",
        "the decoder is not trained", "the decoder is not trained, few units",
        "both tasks are learned",
    ],
)  # fmt: skip
def test_what_is_no_fault_is_not_mentioned(values):
    assert found(**values) == []
