from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def table(rows: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    code = generator.normal(size=(rows, 2))
    numbers = code @ np.array([[1, 2, -1, 0.5], [0, 1, 1, -2]]) + 3
    return pa.table(
        {f"x{i}": numbers[:, i] for i in range(4)}
        | {"c": np.where(code[:, 0] > 0, "p", "q"), "y": (code[:, 1] > 0).astype(int)}
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    aecli.train(table(1500, 0), model=folder, label="y", encoder=[64, 3], epochs=40, l2=1e-3)
    return folder


def test_figures_stand_beside_the_means_and_pca(model: Path):
    result = aecli.evaluate(table(500, 1), model=model)
    by_name = {column.name: column for column in result.columns}
    x0 = by_name["x0"]
    assert x0.value > 0.9 > 0.1 > x0.baseline
    assert x0.pca > 0.9
    assert by_name["c"].value > by_name["c"].baseline + 0.2
    assert result.classification.accuracy > 0.9
    assert result.classification.auroc > 0.97
    assert sum(map(sum, result.classification.confusion)) == 500
    assert result.latent.size == 3


def test_figures_have_intervals_with_differences_from_pca(model: Path):
    result = aecli.evaluate(table(500, 1), model=model, by="c")
    for figures in (result, *result.groups):
        found = figures.intervals
        assert all(interval.low <= interval.value <= interval.high for interval in found.values())
        assert found["numbers"].value == figures.number_r2
        gain = figures.number_r2 - figures.number_r2_pca
        assert found["numbers_gain"].value == pytest.approx(gain)
        label = figures.classification
        assert found["label"].value == pytest.approx(label.accuracy)
        lead = label.accuracy - label.baseline_accuracy
        assert found["label_gain"].value == pytest.approx(lead)
    assert set(aecli.evaluate(table(10, 1), model=model).intervals) == {"label", "label_gain"}
    unlabelled = aecli.evaluate(table(60, 1).drop_columns(["y"]), model=model).intervals
    assert set(unlabelled) == {"numbers", "numbers_gain", "categories", "categories_gain"}


def test_the_shares_of_the_terms_add_up_to_the_total(model: Path):
    result = aecli.evaluate(table(300, 2), model=model)
    assert set(result.losses) == {"reconstruction", "classification", "l2"}
    assert sum(loss.share for loss in result.losses.values()) == pytest.approx(1)
    assert result.total == pytest.approx(
        sum(loss.value * loss.weight for loss in result.losses.values())
    )


def test_the_validation_loss_of_training_is_what_evaluate_finds(tmp_path: Path):
    valid = table(200, 3)
    import pyarrow.parquet as pq

    pq.write_table(valid, tmp_path / "valid.parquet")
    trained = aecli.train(
        table(500, 4),
        model=tmp_path / "m",
        label="y",
        latent=2,
        epochs=3,
        valid=str(tmp_path / "valid.parquet"),
    )
    found = aecli.evaluate(valid, model=tmp_path / "m")
    for name, loss in found.losses.items():
        assert loss.value == pytest.approx(trained.spec.summary.valid[name], rel=1e-3)


def test_without_the_label_there_is_no_classification(model: Path):
    result = aecli.evaluate(table(50, 5).drop_columns(["y"]), model=model)
    assert result.classification is None
    assert "classification" not in result.losses


def test_batches_do_not_change_the_figures(model: Path):
    whole, cut = (aecli.evaluate(table(200, 6), model=model, batch_size=b) for b in (None, 33))
    assert cut.total == pytest.approx(whole.total, rel=1e-4)
    assert cut.latent.effective_rank == pytest.approx(whole.latent.effective_rank, rel=1e-3)


def test_gates_say_what_failed(model: Path):
    result = aecli.evaluate(table(100, 7), model=model, fail_if=["accuracy<0.5", "number_r2<1.1"])
    assert [gate.failed for gate in result.gates] == [False, True]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("accurracy<0.9", "no figure 'accurracy'"),
        ("accuracy is bad", "is not a condition"),
        ("accuracy<high", "is not a condition"),
        ("l1>3", "no figure 'l1'"),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused(model: Path, condition: str, message: str):
    with pytest.raises(UsageError, match=message):
        aecli.evaluate(table(10, 8), model=model, fail_if=[condition])


def test_an_empty_table_cannot_be_evaluated(model: Path):
    with pytest.raises(DataError, match="has no rows"):
        aecli.evaluate(table(0, 9), model=model)
