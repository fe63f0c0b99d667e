"""`--anomaly`, `--probe`, `--by` and `--compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError, UsageError
from aecli.evaluation import groups

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def table(rows: int, seed: int, odd: float = 0.05) -> pa.Table:
    dice = np.random.default_rng(seed)
    code = dice.normal(size=(rows, 2))
    numbers = code @ np.array([[1, 2, -1, 0.5], [0, 1, 1, -2]]) + 3
    marks = dice.random(rows) < odd
    numbers[marks] += dice.normal(scale=3, size=(int(marks.sum()), 4))
    where = np.array(["[/red]", "größe", None], dtype=object)[dice.integers(0, 3, rows)]
    return pa.table(
        {f"x{i}": numbers[:, i] for i in range(4)}
        | {"class": np.where(code[:, 0] > 0, "p", "q"), "sum": code.sum(1), "odd": marks}
        | {"where": pa.array(where)}
    )


FEATURES = ["x0", "x1", "x2", "x3"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    aecli.train(table(1_000, 0, odd=0), model=folder, columns=FEATURES, latent=2, epochs=10)
    return folder


@pytest.fixture(scope="module")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "w"
    aecli.train(
        table(300, 0, odd=0), model=folder, columns=FEATURES, latent=4, epochs=2,
        arch="vanilla", window=5, stride=5,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def variational(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "v"
    aecli.train(table(200, 0), model=folder, columns=FEATURES, latent=2, epochs=1, variational=True)
    return folder


def later(data: pa.Table, days: int) -> pa.Table:
    """Return the table with a column of times, an hour apart, that start after some days."""
    times = np.datetime64("2026-01-01") + np.arange(len(data)) * np.timedelta64(3_600, "s")
    return data.append_column("time", pa.array(times + np.timedelta64(days, "D")))


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "t"
    columns = [*FEATURES, "time"]
    aecli.train(later(table(200, 0), 0), model=folder, columns=columns, latent=2, epochs=1)
    return folder


@pytest.mark.parametrize("kind", ["model", "windowed", "variational", "timed"])
def test_other_figures_are_the_same_with_anomalies(kind: str, request: pytest.FixtureRequest):
    data, folder = later(table(300, 1), 100), request.getfixturevalue(kind)
    plain = aecli.evaluate(data, model=folder)
    found = aecli.evaluate(data, model=folder, anomaly="odd")
    assert found.number_mse == pytest.approx(plain.number_mse, rel=1e-5)
    assert found.total == pytest.approx(plain.total, rel=1e-5)
    assert found.latent.mean_abs == pytest.approx(plain.latent.mean_abs, rel=1e-5)


def test_anomalies_are_measured_with_the_score_that_score_writes(model: Path, tmp_path: Path):
    data = table(600, 1)
    found = aecli.evaluate(data, model=model, anomaly="odd").anomaly
    written = aecli.score(data, str(tmp_path / "s.parquet"), model=model, keep=["odd"])
    scores = pq.read_table(tmp_path / "s.parquet")
    values, marks = (scores[n].to_numpy() for n in ("score", "odd"))
    pairs = values[marks][:, None] > values[~marks][None]
    assert found.auroc.value == pytest.approx(pairs.mean(), abs=1e-6)
    assert found.threshold == written.threshold
    assert found.anomalies == marks.sum()
    for figure in (found.auroc, found.average_precision, found.f1):
        assert figure.low <= figure.value <= figure.high


def test_the_best_threshold_is_where_calibrate_puts_it(model: Path, tmp_path: Path):
    import shutil

    shutil.copytree(model, tmp_path / "m")
    data = table(400, 2)
    before = aecli.evaluate(data, model=tmp_path / "m", anomaly="odd").anomaly
    aecli.calibrate(data, model=tmp_path / "m", anomaly="odd")
    after = aecli.evaluate(data, model=tmp_path / "m", anomaly="odd").anomaly
    assert after.threshold == pytest.approx(before.best_threshold)
    assert after.f1.value == pytest.approx(before.best_f1.value)


def test_rows_that_nobody_judged_are_left_out(model: Path):
    data = table(300, 3)
    marks = [None if i % 2 else bool(m) for i, m in enumerate(data["odd"].to_pylist())]
    judged = data.set_column(data.schema.get_field_index("odd"), "odd", pa.array(marks))
    half = aecli.evaluate(judged, model=model, anomaly="odd").anomaly
    alone = aecli.evaluate(data.take(list(range(0, 300, 2))), model=model, anomaly="odd").anomaly
    assert half == alone
    assert half.rows == 150


@pytest.mark.parametrize(("odd", "what"), [(0.0, "no anomaly"), (1.0, "no ordinary row")])
def test_marks_of_one_side_give_no_figures_but_a_note(model: Path, odd: float, what: str):
    found = aecli.evaluate(table(100, 4, odd=odd), model=model, anomaly="odd")
    assert found.anomaly.auroc is None
    assert f"odd contains {what}: detection figures are undefined" in found.notes


def test_windows_are_marked_as_calibrate_marks_them(windowed: Path):
    data = table(200, 5)
    found = aecli.evaluate(data, model=windowed, anomaly="odd", by="where", probe="class")
    last = np.array(data["odd"])[4::5]
    assert (found.anomaly.rows, found.anomaly.anomalies) == (40, last.sum())
    assert sum(group.anomaly.rows for group in found.groups) == 40
    assert sum(group.rows for group in found.groups) == 200
    assert sum(group.samples for group in found.groups) == found.samples == 40
    assert found.probe.views["raw"].size == 20
    assert found.probe.fitted + found.probe.measured == 40


def test_batches_change_nothing(model: Path):
    asked = {"anomaly": "odd", "probe": "class", "by": "where"}
    data = table(200, 6)
    whole, cut = (aecli.evaluate(data, model=model, batch_size=b, **asked) for b in (None, 33))
    assert cut.anomaly == whole.anomaly
    assert [g.anomaly for g in cut.groups] == [g.anomaly for g in whole.groups]
    assert cut.probe.views["raw"] == whole.probe.views["raw"]


def test_latents_tell_what_the_columns_hold(model: Path):
    found = aecli.evaluate(table(600, 7, odd=0), model=model, probe="class").probe
    assert (found.column, found.metric, list(found.views)) == (
        "class", "accuracy", ["raw", "pca", "latent"],
    )  # fmt: skip
    assert found.views["latent"].linear > 0.9 > 0.6 > found.baseline
    numbers = aecli.evaluate(table(600, 7, odd=0), model=model, probe="sum").probe
    assert numbers.metric == "r2"
    assert numbers.views["latent"].knn > 0.8


def test_groups_are_what_their_rows_alone_would_be(model: Path):
    data = table(300, 8)
    found = aecli.evaluate(data, model=model, anomaly="odd", by="where")
    assert {group.value for group in found.groups} == {"[/red]", "größe", None}
    for group in found.groups:
        rows = [i for i, v in enumerate(data["where"].to_pylist()) if v == group.value]
        alone = aecli.evaluate(data.take(rows), model=model, anomaly="odd")
        assert group.rows == len(rows)
        assert group.total == pytest.approx(alone.total, rel=1e-4)
        assert group.anomaly == alone.anomaly
        assert [c.name for c in group.columns] == [c.name for c in alone.columns]


def test_rare_values_are_pooled(model: Path):
    found = aecli.evaluate(
        table(300, 9).append_column("n", [np.arange(300) // 4]), model=model, by="n"
    )
    assert len(found.groups) == groups.MAX_GROUPS + 1
    assert (found.groups[-1].pooled, found.groups[-1].rows) == (55, 220)
    assert found.notes == ["55 rarer values of n form one group"]


def test_too_many_values_make_no_groups(model: Path):
    with pytest.raises(DataError, match="more than 1,000 values"):
        aecli.evaluate(table(1_200, 10), model=model, by="sum")


def test_a_model_beside_itself_differs_in_nothing(model: Path):
    data = table(200, 11)
    found = aecli.evaluate(data, model=model, compare=model, anomaly="odd", probe="class")
    assert {d.difference for d in [*found.compared.figures, *found.compared.columns]} == {0.0}
    names = {d.name for d in found.compared.figures}
    assert {"number_mse", "total", "anomaly_auroc", "knn_latent"} <= names
    assert found.compared.notes == []


def test_what_two_models_do_not_share_is_named(model: Path, windowed: Path, tmp_path: Path):
    aecli.train(
        table(300, 0), model=tmp_path / "m", columns=FEATURES[:3], label="class", latent=2,
        epochs=1, scale="robust",
    )  # fmt: skip
    data = table(200, 12)
    found = aecli.evaluate(data, model=model, compare=tmp_path / "m").compared
    assert [d.name for d in found.columns] == FEATURES[:3]
    assert not {"number_mse", "total", "reconstruction"} & {d.name for d in found.figures}
    said = " ".join(found.notes)
    assert "columns, or their scaling: number_mse" in said
    assert f"columns only in {model}: x3" in said
    assert "differ in labels" in said
    samples = aecli.evaluate(data, model=model, compare=windowed).compared.notes[0]
    assert samples == "the samples differ: rows and windows of 5 rows"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"anomaly": "x0"}, "was trained with 'x0' as a feature"),
        ({"probe": "x0"}, "was trained with 'x0' as a feature"),
        ({"by": "nope"}, "has no column 'nope'"),
        ({"anomaly": "sum"}, "does not label anomalies"),
        ({"by": "where", "compare": "m"}, "--by and --compare"),
        ({"fail_if": ["anomaly_f1<1"]}, "no anomaly_f1 without --anomaly"),
        ({"fail_if": ["knn_raw<1"]}, "no knn_raw without --probe"),
    ],
)
def test_what_cannot_be_measured_is_refused(model: Path, asked: dict, message: str):
    with pytest.raises((UsageError, DataError), match=message):
        aecli.evaluate(table(30, 13), model=model, **asked)


def test_gates_judge_the_new_figures(model: Path):
    found = aecli.evaluate(
        table(300, 14), model=model, anomaly="odd", probe="class",
        fail_if=["anomaly_auroc<0.5", "probe_latent<1.1"],
    )  # fmt: skip
    assert [gate.failed for gate in found.gates] == [False, True]
