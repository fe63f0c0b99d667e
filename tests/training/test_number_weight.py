"""The weight of numbers with a label or few rows, and what epochs are compared by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.model.build import build, build_reconstruction_loss
from aecli.model.sizes import resolve_network
from aecli.model_directory.read import read_history, read_spec
from aecli.progress import SILENT
from aecli.schema.model_spec import ModelSpec
from aecli.schema.options import TrainOptions
from aecli.training.build import build_training
from aecli.training.data import prepare
from aecli.training.objective import LossTerms, Objective
from aecli.training.train import parse_options
from aecli.training.validation import (
    Criterion,
    NumberTarget,
    ValidationFigures,
    ValidationResult,
    next_number_weight,
    number_weight_rate,
)
from tests.columns import number


def mixed(rows: int, seed: int) -> pa.Table:
    """Return numbers of three factors next to categories that compete for the latent."""
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(rows, 3))
    numbers = factors @ np.random.default_rng(1).normal(size=(3, 5))
    columns: dict[str, Any] = {f"x{i}": numbers[:, i] for i in range(5)}
    for i in range(5):
        columns[f"c{i}"] = [f"v{code}" for code in generator.integers(0, 6, rows)]
    columns["y"] = np.where(factors[:, 0] + generator.normal(size=rows) > 0, "yes", "no")
    return pa.table(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def specs(folder: Path) -> dict[str, ModelSpec]:
    pq.write_table(mixed(300, 1), folder / "valid.parquet")
    runs: dict[str, dict[str, Any]] = {
        "auto": {"label": "y"},
        "1": {"label": "y", "number_weight": 1},
        "3": {"label": "y", "number_weight": 3},
        "no label": {"exclude": ["y"]},
        "numbers": {"columns": ["x0", "x1", "x2", "x3", "x4"], "latent": 2, "encoder": [32, 2]},
        "penalty": {"label": "y", "l1": 1e-4},
        "noise": {"label": "y", "noise": "mask:0.2"},
    }
    return {
        name: aecli.train(
            mixed(700, 0), model=folder / name, valid=str(folder / "valid.parquet"),
            epochs=16 if name in ("auto", "1", "no label") else 2,
            **{"latent": 4, "encoder": [32, 4]} | options,
        ).spec
        for name, options in runs.items()
    }  # fmt: skip


def r2(spec: ModelSpec) -> dict[str, float]:
    return {row.name: row.r2 or 0.0 for row in spec.summary.baselines}


def test_numbers_with_a_label_or_few_rows_are_as_good_as_those_of_pca(
    specs: dict[str, ModelSpec],
):
    plain = r2(specs["1"])
    assert plain["this model"] < plain["PCA"] - 0.02
    for run in ("auto", "no label"):
        raised = r2(specs[run])
        assert raised["this model"] > raised["PCA"] - 0.01
        assert specs[run].number_weight > 1.5


@pytest.mark.parametrize(
    ("run", "weight"), [("1", 1.0), ("3", 3.0), ("numbers", 1.0), ("penalty", 1.0), ("noise", 1.0)]
)
def test_the_weight_stays_where_nothing_competes_or_other_terms_do(
    specs: dict[str, ModelSpec], run: str, weight: float
):
    assert specs[run].number_weight == weight


@pytest.mark.parametrize("run", ["auto", "3"])
def test_evaluate_reports_the_losses_of_the_training(
    folder: Path, specs: dict[str, ModelSpec], run: str
):
    losses = aecli.evaluate(folder / "valid.parquet", model=folder / run).losses
    known = {name: share.value for name, share in losses.items()}
    valid = specs[run].summary.valid
    assert known == pytest.approx({name: valid[name] for name in known}, rel=1e-4)


def test_the_history_has_the_weight_of_each_epoch(folder: Path, specs: dict[str, ModelSpec]):
    history = read_history(folder / "auto", read_spec(folder / "auto"))
    weights = [record.get("number_weight", 1.0) for record in history]
    assert weights[0] == 1
    assert weights[specs["auto"].summary.best_epoch - 1] == specs["auto"].number_weight


@pytest.mark.parametrize(
    ("weight", "excess", "expected"),
    [(1.0, 1.0, 1.0), (1.0, 0.1, 1.0), (4.0, 2.7, 4.88), (4.0, 0.37, 3.28), (60.0, 1e9, 64.0)],
)
def test_the_weight_follows_the_error(weight: float, excess: float, expected: float):
    assert next_number_weight(weight, excess, rate=0.2) == pytest.approx(expected, abs=0.01)


def test_the_weight_changes_less_early_unless_the_start_is_pca():
    rates = [number_weight_rate(epoch, 20, as_pca=False) for epoch in (1, 10, 20)]
    assert rates[0] < rates[1] == rates[2]
    assert len({number_weight_rate(epoch, 20, as_pca=True) for epoch in (1, 10, 20)}) == 1


@pytest.mark.parametrize(("classification", "rises"), [(0.4, True), (0.401, True), (0.41, False)])
def test_the_weight_rises_only_where_classification_is_as_good(classification: float, rises: bool):
    best = Criterion(1.0, classification=0.4)
    assert Criterion(1.0, classification=classification).classifies_as_well_as(best) == rises


COLUMNS = [number(f"x{i}", low=[-3.0], high=[3.0]) for i in range(2)]


def figures(
    logits: torch.Tensor, codes: torch.Tensor, outputs: torch.Tensor, error: float | None = None
) -> ValidationResult:
    """Return the figures of one batch whose cells are 0."""
    options = TrainOptions.from_flat({"encoder": [4, 1], "label": "y"})
    network = resolve_network(options, columns=COLUMNS, layout=lay_out(COLUMNS), classes=2)
    objective = Objective(
        build(network, columns=COLUMNS),
        Inputs(lay_out(COLUMNS)),
        build_reconstruction_loss(lay_out(COLUMNS), options.losses),
        {"reconstruction": 1.0, "classification": 1.0},
    )
    bound = torch.full((2,), 9.0)
    target = None if error is None else NumberTarget(-bound, bound, error)
    made = ValidationFigures(objective, target, len(codes))
    cells = torch.zeros(len(codes), 2)
    loss = torch.nn.functional.cross_entropy(logits, codes)
    values = [outputs.square().mean(), loss]
    made.add(LossTerms(sum(values), values, logits, outputs, values[0]), cells, codes)
    return made.result()


def test_an_overconfident_classifier_is_not_a_worse_epoch():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 2, (500,), generator=generator)
    signal = (2.0 * codes - 1)[:, None] * torch.tensor([[-1.0, 1.0]])
    logits = signal + torch.randn(500, 2, generator=generator)
    zero = torch.zeros(500, 2)
    calm, loud = figures(logits, codes, zero), figures(6 * logits, codes, zero)
    assert loud.losses["total"] > 1.3 * calm.losses["total"]
    assert loud.criterion.at(1) == pytest.approx(calm.criterion.at(1), rel=0.02)
    assert loud.criterion.classification == loud.criterion.total
    assert calm.metrics == loud.metrics


def test_a_raised_weight_applies_to_errors_beyond_the_target_in_all_epochs():
    logits, codes = torch.zeros(10, 2), torch.tensor([0, 1] * 5)
    made = figures(logits, codes, torch.full((10, 2), 0.1), error=0.05)
    assert made.excess == pytest.approx(0.2 / 0.05)
    total = 0.01 + float(np.log(2))
    assert made.criterion.at(1) == pytest.approx(total)
    assert made.criterion.at(5) == pytest.approx(total + 4 * 0.01 * 3 / 4)
    assert figures(logits, codes, torch.ones(10, 2)).excess == 1


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({"latent": 6}, 2.0),
        ({"latent": 5}, 1.0),  # less than one unit for two of eleven columns
        ({"latent": 6, "reconst_weight": 1}, 1.0),
        ({"latent": 6, "label": "rare"}, 0.5),
        ({"latent": 6, "label": "rare", "balance": True}, 2.0),
        ({"latent": 6, "exclude": ["y"], "label": None}, 1.0),
    ],
)
def test_columns_of_several_kinds_count_by_the_entropy_of_the_label_and_their_room(
    options: dict[str, Any], weight: float
):
    chosen = parse_options({"label": "y", "valid": "none"} | options)
    table = mixed(60, 0).append_column("rare", [["a", "b"] + 58 * ["a"]])
    setup = build_training(prepare(table, chosen, SILENT), chosen, SILENT)
    assert setup.objective.weights["reconstruction"] == weight
