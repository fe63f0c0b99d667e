"""Results as commands return them, built by hand, and a way to draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from aecli.evaluation.results import (
    Compared,
    Detection,
    Difference,
    EvaluateResult,
    Group,
    LossShare,
    Measured,
    Probe,
    ProbeView,
)
from aecli.inspection.inspect import Layer, ModelInspection
from aecli.metrics.classification import Classification
from aecli.metrics.column_scores import ColumnScore
from aecli.metrics.detection import Interval
from aecli.metrics.latent import LatentHealth
from aecli.progress import Epoch
from aecli.schema.model_spec import (
    UNSAVED,
    Baseline,
    Column,
    Identifier,
    Label,
    LeftOut,
    ModelSpec,
    Summary,
)
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.schema.torch_classes import TorchClassSpec
from aecli.training.train import TrainResult


def number(name: str, **known: Any) -> Column:
    settings = {"type": "double", "center": [40.0], "scale": [12.0], "low": [17.0], "high": [90.0]}
    settings |= {"mean": [40.0], "observed": 30_000, "reason": "numbers"} | known
    return Column(name=name, kind="number", **settings)


def category(name: str, values: Sequence[str]) -> Column:
    return Column(
        name=name,
        kind="category",
        type="string",
        categories=list(values),
        observed=30_000,
        reason=f"text with {len(values)} distinct values",
    )


PIXELS = [
    number(f"px{i}", type="uint8", center=[0.0], scale=[255.0], low=[0.0], high=[255.0])
    for i in range(784)
]
PEOPLE = [
    *(number(n) for n in ("age", "fnlwgt", "education_num", "capital_gain", "hours")),
    *(category(n, list("abcdefgh")) for n in ("workclass", "education", "occupation")),
]


def epochs(count: int, terms: Sequence[str] = ("reconstruction",), best: int = 1) -> list[Epoch]:
    def side(index: int, factor: float) -> dict[str, float]:
        values = {term: factor * 0.0834 / (index + 1) / (i + 1) for i, term in enumerate(terms)}
        return values | {"total": sum(values.values())}

    metrics = {"accuracy": 0.97} if "classification" in terms else {}
    return [
        Epoch(i + 1, side(i, 1.0), side(i, 1.07), 1.5, 1e-3, best=i + 1 <= best, metrics=metrics)
        for i in range(count)
    ]


def spec(columns: Sequence[Column] = PEOPLE, **known: Any) -> ModelSpec:
    network = Network(
        inputs=784, outputs=784, classes=10, encoder=[512, 256, 64], decoder=[256, 512],
        classifier=[], activation=TorchClassSpec(name="ReLU"), norm=TorchClassSpec(name="none"),
        dropout=0.0, latent_activation=TorchClassSpec(name="Identity"), output="sigmoid",
    )  # fmt: skip
    summary = Summary(
        epochs=35, best_epoch=25, stopped="early stopping: no improvement for 10 epochs (best: 25)",
        seconds=84.2, train_rows=54_000, valid_rows=6_000, metrics={"accuracy": 0.9812},
        train={"reconstruction": 0.00698, "classification": 0.0012, "total": 0.0082},
        valid={"reconstruction": 0.00712, "classification": 0.0712, "total": 0.0783},
        baselines=[
            Baseline(name="this model", r2=0.91, mse=0.00712),
            Baseline(name="PCA", r2=0.88, mse=0.0091),
            Baseline(name="column means", r2=0.0, mse=0.0672),
        ],
        compared_rows=6_000, batch_size=256, latent_active=62,
        dead_units={"encoder layer 1": 12, "encoder layer 2": 0},
    )  # fmt: skip
    settings: dict[str, Any] = {
        "created": "2025-03-01T12:00:00+00:00",
        "versions": {"aecli": "0.1.0", "torch": "2.9.0"},
        "columns": list(columns),
        "network": network,
        "loss_weights": {"reconstruction": 12.5, "classification": 1.0, "l1": 1e-5},
        "options": TrainOptions(),
        "parameters": 1_142_352,
        "weights": UNSAVED,
        "history": UNSAVED,
        "summary": summary,
        "label": Label(name="income", type="string", classes=["<=50K", ">50K"], counts=[76, 24]),
        "ids": [Identifier(name="person", type="int64")],
        "left_out": [LeftOut(name="row", type="int64", reason="counts the rows")],
    }
    return ModelSpec(**(settings | known))


def train_result(columns: Sequence[Column] = PEOPLE, **known: Any) -> TrainResult:
    history = epochs(35, ("reconstruction", "classification"), best=25)
    return TrainResult(model=Path("aecli_model"), spec=spec(columns, **known), history=history)


def score(name: str, value: float | None, **known: Any) -> ColumnScore:
    settings: dict[str, Any] = {"kind": "number", "metric": "r2", "baseline": -0.001, "pca": 0.88}
    settings |= {"mse": 0.007, "share": None if value is None else 1 - value}
    return ColumnScore(name=name, value=value, observed=10, **(settings | known))


def classification(classes: Sequence[str]) -> Classification:
    size = len(classes)
    confusion = [[980 if r == c else (r * 7 + c) % 5 for c in range(size)] for r in range(size)]
    return Classification(
        rows=10_000, classes=classes, accuracy=0.9831, balanced_accuracy=0.9829, macro_f1=0.9828,
        auroc=0.9996, log_loss=0.0731, baseline_accuracy=0.1135, confusion=confusion,
        ece=0.0042, positive_ece=None, reliability=[(0.6, 0.5, 1_000), (0.99, 0.99, 9_000)],
    )  # fmt: skip


def evaluation(
    columns: Sequence[ColumnScore], classes: Sequence[str] = ("no", "yes"), **known: Any
) -> EvaluateResult:
    settings: dict[str, Any] = {
        "model": Path("aecli_model"),
        "rows": 10_000,
        "samples": 10_000,
        "losses": {
            "reconstruction": LossShare(0.00712, 1.0, 0.09),
            "classification": LossShare(0.0721, 1.0, 0.91),
        },
        "total": 0.0792,
        "number_r2": 0.91,
        "number_r2_baseline": -0.001,
        "number_r2_pca": 0.88,
        "limited": {},
        "number_mse": 0.00712,
        "number_mse_baseline": 0.0672,
        "number_mse_pca": 0.0091,
        "columns": columns,
        "classification": classification(classes),
        "latent": LatentHealth(64, 62, 62 / 64, [3, 17], 41.23, 0.61, 0.12, 0.1, [0.1] * 64, None),
        "unseen": {"country": 3},
        "out_of_range": {},
        "gates": [],
        "seconds": 1.2,
    }
    return EvaluateResult(**(settings | known))


def extended_evaluation(names: Sequence[str]) -> EvaluateResult:
    """Return an evaluation with anomalies, probes, groups and a comparison of these names."""
    interval = Interval(0.91234, 0.88, 0.93)
    detection = Detection(
        names[0], 123_456, 23_456, interval, interval, interval, 12.345, interval, 1.5
    )
    views = {name: ProbeView(6_830, 0.9999, 0.9) for name in ("raw", "pca", "latent")}
    probe = Probe(names[1], "accuracy", 5_000, 5_000, 0.76, views)
    main = evaluation([score(name, 0.5) for name in names], anomaly=detection, probe=probe)
    shared = {f.name: getattr(main, f.name) for f in fields(Measured)}
    groups = [Group(**shared, value=name) for name in [*names, None]]
    groups.append(Group(**shared, value=None, pooled=979))
    differences = [Difference(name, 0.5, 0.25, 0.25) for name in names]
    compared = Compared(main, differences, differences, [f"only in {names[0]}: l1"])
    return replace(main, by=names[2], groups=groups, compared=compared, notes=names)


def model_inspection(columns: Sequence[Column] = PEOPLE) -> ModelInspection:
    layers = [
        Layer("encoder", "Linear, ReLU", 784, 512, 401_920),
        Layer("encoder", "Linear", 512, 64, 32_832),
        Layer("decoder", "Linear, sigmoid", 64, 784, 50_960),
    ]
    return ModelInspection(Path("aecli_model"), spec(columns), layers, 485_712, 4_571_812)


def drawn(renderable: RenderableType, width: int = 80, *, terminal: bool = False) -> str:
    """Return what a console of this width shows."""
    screen = StringIO()
    console = Console(
        file=screen, width=width, force_terminal=terminal, markup=False, emoji=False,
        highlight=False, color_system=None, legacy_windows=False, _environ={},
    )  # fmt: skip
    console.print(renderable)
    return screen.getvalue()
