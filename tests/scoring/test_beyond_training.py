"""Rows beyond the training range: constants that differ, later dates, numbers out of range."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import UsageError
from aecli.schema.model_spec import Column
from aecli.table.bounds import bound_text

FEW = {"latent": 2, "epochs": 3, "seed": 0}


def plant(rows: int, seed: int = 0) -> pa.Table:
    """A table with a constant of every kind."""
    x = np.random.default_rng(seed).normal(size=rows)
    return pa.table(
        {
            "x": x,
            "y": 2 * x,
            "volt": np.full(rows, 0.1),
            "count": np.full(rows, 2**62 + 1),
            "site": ["EU"] * rows,
            "on": [True] * rows,
            "day": pa.array([dt.date(2026, 1, 31)] * rows),
            "v": pa.array([[1.0, 2.0]] * rows, pa.list_(pa.float64(), 2)),
        }
    )


def changed(table: pa.Table, name: str, row: int, value: Any) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array(values, table.schema.field(name).type))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plant") / "m"
    aecli.train(plant(300), model=folder, **FEW)
    return folder


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of windows of three rows."""
    folder = tmp_path_factory.mktemp("series") / "m"
    aecli.train(plant(300), model=folder, window=3, exclude=["v"], **FEW)
    return folder


def scored(table: Any, model: Path, place: Path, **how: Any) -> tuple[pa.Table, Any]:
    result = aecli.score(table, str(place / "s.parquet"), model=model, **how)
    return pq.read_table(place / "s.parquet"), result


@pytest.mark.parametrize(
    ("column", "value", "only"),
    [
        ("volt", 9999.0, "0.1"),
        ("volt", 0.1001, "0.1"),
        ("volt", -1e300, "0.1"),
        ("count", 2**62 + 2, str(2**62 + 1)),
        ("site", "MOON", "EU"),
        ("on", False, "true"),
        ("day", dt.date(2025, 1, 1), "2026-01-31"),
        ("v", [1.0, 2.5], None),
    ],
)
def test_another_value_of_a_constant_is_an_outlier_of_that_column(
    model: Path, tmp_path: Path, column: str, value: Any, only: str | None
) -> None:
    rows = plant(6, 1)
    before, _ = scored(rows, model, tmp_path)
    found, result = scored(changed(rows, column, 2, value), model, tmp_path)
    assert found["is_outlier"][2].as_py()
    assert found["top1_column"][2].as_py() == column
    added = found["score"][2].as_py() - before["score"][2].as_py()
    assert added == pytest.approx(2 * result.threshold, rel=1e-4)
    assert [found["score"][i] for i in (0, 1, 5)] == [before["score"][i] for i in (0, 1, 5)]
    assert result.out_of_range[column] == 1
    (note,) = [note for note in result.notes if note.startswith(f"{column}: ")]
    if only is not None:
        assert note == f"{column}: 1 of 6 values differs from {only}, the only one in training"


@pytest.mark.parametrize(("differing", "hint"), [(3, ""), (4, "; try --exclude volt")])
def test_a_constant_that_most_rows_differ_from_is_one_to_exclude(
    model: Path, tmp_path: Path, differing: int, hint: str
) -> None:
    rows = plant(6, 1)
    for row in range(differing):
        rows = changed(rows, "volt", row, 7.0)
    _, result = scored(rows, model, tmp_path)
    said = f"volt: {differing} of 6 values differ from 0.1, the only one in training{hint}"
    assert said in result.notes


def test_a_boolean_constant_is_written_as_the_table_spells_it(tmp_path: Path) -> None:
    row = "{0},{1:.2f},Ja\n"
    text = "x,y,paid\n" + "".join(row.format(i % 9, i * 0.37 % 5) for i in range(60))
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "new.csv").write_text("x,y,paid\n" + "1,1.5,Nein\n" * 2 + "2,1.5,Ja\n" * 3)
    options = {"model": tmp_path / "m", "latent": 1, "epochs": 1}
    aecli.train(tmp_path / "t.csv", **options)
    result = aecli.score(tmp_path / "new.csv", str(tmp_path / "o.csv"), model=tmp_path / "m")
    assert "paid: 2 of 5 values differ from Ja, the only one in training" in result.notes


def test_constants_as_trained_missing_or_absent_change_nothing(model: Path, tmp_path: Path) -> None:
    rows = plant(6, 1)
    before, result = scored(rows, model, tmp_path)
    assert not {"volt", "count", "site", "on", "day", "v"} & set(result.out_of_range)
    variants = [
        rows.select(["x", "y"]),
        changed(changed(rows, "volt", 1, None), "site", 1, None),
        rows.set_column(2, "volt", rows["volt"].cast(pa.float32())),
    ]
    for table in variants:
        found, result = scored(table, model, tmp_path)
        assert found.equals(before)
        assert not [note for note in result.notes if "differ" in note]


def test_a_constant_date_that_has_moved_on_is_said_and_not_scored(
    model: Path, tmp_path: Path
) -> None:
    rows = plant(6, 1)
    before, _ = scored(rows, model, tmp_path)
    found, result = scored(changed(rows, "day", 2, dt.date(2026, 2, 1)), model, tmp_path)
    assert found.equals(before)
    assert "day: 1 of 6 values differs from 2026-01-31, the only one in training" in result.notes


def test_every_command_that_reads_rows_sees_the_constant_that_differs(
    model: Path, tmp_path: Path
) -> None:
    rows = changed(plant(6, 1), "volt", 2, 7.0)
    said = "volt: 1 of 6 values differs from 0.1, the only one in training"
    output = str(tmp_path / "o.parquet")
    for command in (aecli.encode, aecli.reconstruct):
        result = command(rows, output, model=model)
        assert said in result.notes
        assert result.out_of_range["volt"] == 1
    assert pq.read_table(output)["volt"].to_pylist() == [0.1] * 6
    evaluated = aecli.evaluate(rows, model=model)
    assert said in evaluated.notes
    assert evaluated.out_of_range["volt"] == 1


def test_a_mark_that_training_rows_do_not_have_tells_scores_nothing(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    marks = np.arange(200) < 20
    for window in (None, 4):
        train = pa.table({"x": rng.normal(size=200), "y": rng.normal(size=200), "odd": [0] * 200})
        aecli.train(train, model=tmp_path / "m", window=window, **FEW)
        noise = {"x": rng.normal(size=200), "y": rng.normal(size=200), "odd": marks.astype(int)}
        found = aecli.evaluate(pa.table(noise), model=tmp_path / "m", anomaly="odd")
        assert found.anomaly.auroc.value < 0.8
        assert "odd" not in found.out_of_range


@pytest.mark.parametrize("values", [["ten"], [str(i) for i in range(300)]])
def test_a_constant_that_is_not_of_its_type_differs(
    model: Path, tmp_path: Path, values: list[str]
) -> None:
    rows = plant(300, 1).drop_columns(["v", "volt"])
    broken = rows.append_column("volt", pa.array((values * 300)[:300]))
    _, result = scored(broken, model, tmp_path)
    assert result.out_of_range["volt"] == 300
    csv = tmp_path / "rows.csv"
    broken.drop_columns(["day"]).to_pandas().to_csv(csv, index=False)
    cells = ["0.1", "0.10", "broken", "", *["0.1"] * 296]
    mixed = rows.append_column("volt", pa.array(cells)).to_pandas()
    mixed.to_csv(csv, index=False)
    _, result = scored(csv, model, tmp_path)
    assert result.out_of_range["volt"] == 1


def test_calibrate_makes_another_constant_ordinary(tmp_path: Path) -> None:
    aecli.train(plant(300).drop_columns(["v"]), model=tmp_path / "m", **FEW)
    moved = plant(300, 1).set_column(2, "volt", pa.array([7.0] * 300))
    _, before = scored(moved, tmp_path / "m", tmp_path)
    aecli.calibrate(moved, model=tmp_path / "m")
    _, after = scored(moved, tmp_path / "m", tmp_path)
    assert before.outliers == 300
    assert after.outliers <= 6


def test_the_python_model_calibrate_and_evaluate_see_the_same_scores(
    model: Path, tmp_path: Path
) -> None:
    marks = [False] * 19 + [True]
    rows = changed(plant(20, 1), "volt", 19, 7.0).append_column("odd", pa.array(marks))
    found, _ = scored(rows, model, tmp_path)
    in_memory = aecli.load(model).score(rows)
    assert in_memory["score"].to_pylist() == found["score"].to_pylist()
    assert aecli.evaluate(rows, model=model, anomaly="odd").anomaly.auroc.value == 1.0


def test_the_estimator_finds_a_constant_that_differs() -> None:
    rows = plant(300).to_pandas()[["x", "y", "volt", "site"]]
    fitted = aecli.Autoencoder(latent=2, epochs=2).fit(rows)
    new = rows.head(3).copy()
    new.loc[1, "site"] = "MOON"
    difference = fitted.score_samples(rows.head(3)) - fitted.score_samples(new)
    assert difference == pytest.approx([0, -2 * fitted.offset_, 0])
    assert fitted.predict(new)[1] == -1


def test_a_window_differs_where_one_of_its_rows_does_and_a_row_by_itself(
    series: Path, tmp_path: Path
) -> None:
    rows = plant(12, 1)
    broken = changed(rows, "site", 6, "MOON")
    before, _ = scored(rows, series, tmp_path)
    found, result = scored(broken, series, tmp_path)
    added = found["score"].to_numpy() - before["score"].to_numpy()
    starts = np.arange(len(found))
    holds = (starts <= 6) & (starts + 3 > 6)
    assert added == pytest.approx(np.where(holds, 2 * result.threshold, 0), rel=1e-4, abs=1e-4)
    assert set(np.array(found["top1_column"].to_pylist())[holds]) == {"site"}
    before, _ = scored(rows, series, tmp_path, score_unit="row")
    found, result = scored(broken, series, tmp_path, score_unit="row")
    added = found["score"].to_numpy() - before["score"].to_numpy()
    assert added == pytest.approx(
        np.where(np.arange(12) == 6, 2 * result.threshold, 0), rel=1e-4, abs=1e-4
    )
    assert found["top1_column"][6].as_py() == "site"


def month(rows: int, start: str, seed: int, *, kind: str) -> pd.DataFrame:
    """Rows of one month whose numbers have no trend, with dates of a kind."""
    rng = np.random.default_rng(seed)
    when = pd.Timestamp(start) + pd.to_timedelta(np.sort(rng.uniform(0, 28, rows)), unit="D")
    when = when.tz_localize("Europe/Berlin") if kind == "zone" else when
    temp = rng.normal(20, 5, rows)
    table = pd.DataFrame({"temp": temp, "load": 5 * temp + rng.normal(0, 3, rows)})
    table["zone"] = np.where(temp > 20, "A", "B")
    table["day"] = when if kind in ("zone", "hours") else when.floor("D")
    if kind == "several":
        table["sent"] = table["day"] + pd.to_timedelta(rng.integers(1, 5, rows), unit="D")
    return table.sample(frac=1, random_state=seed) if kind == "shuffled" else table


@pytest.mark.parametrize("kind", ["days", "hours", "zone", "several", "shuffled"])
def test_next_month_is_as_ordinary_as_rows_without_their_dates(tmp_path: Path, kind: str) -> None:
    train, new = month(1500, "2026-01-01", 5, kind=kind), month(1000, "2026-02-03", 6, kind=kind)
    aecli.train(train, model=tmp_path / "m", epochs=12, seed=0)
    found, result = scored(new, tmp_path / "m", tmp_path)
    assert result.outliers <= 25
    assert "day" not in found["top1_column"].to_pylist()
    (note, *_) = [note for note in result.notes if note.startswith("day: ")]
    assert note.startswith("day: 1,000 of 1,000 values after the last training date 2026-01-28")
    assert note.endswith("; try --exclude day")
    # A date long before the first one is an anomaly as any.
    new["day"] = new["day"].where(np.arange(1000) != 7, new["day"] - pd.Timedelta(days=9000))
    if kind != "several":
        found, _ = scored(new, tmp_path / "m", tmp_path)
        assert found["is_outlier"][7].as_py()
        assert found["top1_column"][7].as_py() == "day"


@pytest.mark.parametrize(("outside", "speaks"), [(0, False), (2, False), (3, True), (100, True)])
def test_a_column_is_named_where_more_than_2_percent_are_out_of_range(
    model: Path, tmp_path: Path, outside: int, speaks: bool
) -> None:
    x = np.where(np.arange(100) < outside, 100.0, 0.5)
    rows = pa.table({"x": x, "y": np.ones(100)})
    result = aecli.encode(rows, str(tmp_path / "o.csv"), model=model)
    column = aecli.load(model).spec.columns[0]
    low, high = (bound_text(column, bound[0]) for bound in (column.low, column.high))
    said = f"x: {outside} of 100 values outside the training range {low} to {high}"
    said += "; try --exclude x" if outside > 50 else ""
    assert result.notes == ([said] if speaks else [])
    assert result.out_of_range == ({"x": outside} if outside else {})


def test_the_training_rows_themselves_are_within_their_range(model: Path, tmp_path: Path) -> None:
    whole = plant(300)
    for kind in (pa.float64(), pa.float32()):
        rows = whole.set_column(0, "x", whole["x"].cast(kind))
        assert aecli.encode(rows, str(tmp_path / "o.csv"), model=model).out_of_range == {}


def test_at_most_five_columns_are_named(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 9))
    train = pa.table({f"c{i}": x[:, i] for i in range(9)})
    aecli.train(train, model=tmp_path / "m", **FEW)
    far = pa.table({f"c{i}": x[:, i] + 99 for i in range(9)})
    notes = aecli.encode(far, str(tmp_path / "o.csv"), model=tmp_path / "m").notes
    assert len(notes) == 6
    assert notes[-1] == "4 more columns with values that training did not have"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("date32[day]", 20_484, "2026-01-31"),
        ("timestamp[s]", 20_484 * 86_400, "2026-01-31"),
        ("timestamp[us]", 20_484 * 86_400_000_000 + 1, "2026-01-31 00:00:00.000001"),
        ("timestamp[ns, tz=UTC]", 20_484 * 86_400_000_000_000, "2026-01-31 00:00:00Z"),
        ("date32[day]", 9_000_000, "26611-03-02"),
        ("int64", 37.0, "37"),
        ("double", 0.1234567, "0.123457"),
    ],
)
def test_a_bound_reads_as_the_table_writes_it(kind: str, value: float, text: str) -> None:
    column = Column(name="c", kind="category", type=kind, reason="")
    assert bound_text(column, value) == text


def test_shares_count_outliers_of_rows_and_the_rest_of_cells(model: Path, tmp_path: Path) -> None:
    rows = plant(10, 1).select(["x", "y", "volt", "site"])
    rows = changed(changed(rows, "x", 0, None), "volt", 1, 7.0)
    rows = changed(rows, "y", 2, 1e6)
    _, result = scored(rows, model, tmp_path, fail_if=["outlier_share>0.5", "missing_share>0"])
    assert result.shares["outlier_share"] == result.outliers / 10
    assert result.shares["missing_share"] == 1 / 40
    assert result.shares["unseen_share"] == 0
    assert result.shares["out_of_range_share"] == 2 / 40
    assert [gate.failed for gate in result.gates] == [False, True]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("outlier_shar>0.1", "there is no figure 'outlier_shar'"),
        ("accuracy<0.9", "there is no figure 'accuracy'"),
        ("outlier_share", "is not a condition"),
    ],
)
def test_an_unknown_figure_is_refused_before_the_model_is_read(
    tmp_path: Path, condition: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        aecli.score("absent.csv", "o.csv", model=tmp_path / "none", fail_if=[condition])
    if "figure" in message:
        known = "score has: missing_share, out_of_range_share, outlier_share, unseen_share"
        assert known in refused.value.facts
