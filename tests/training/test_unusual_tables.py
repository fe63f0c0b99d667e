"""Tables with unusual times, labels and shapes: each is trained on, or refused with a reason."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError

ROWS = 60
X = np.random.default_rng(0).normal(size=ROWS)


def spread(kind: pa.DataType, low: int, high: int) -> pa.Array:
    width = np.int32 if kind.bit_width == 32 else np.int64
    return pa.array(np.linspace(low, high, ROWS).astype(width)).cast(kind)


def days(start: date, step: int) -> pa.Array:
    return pa.array([start + timedelta(n * step) for n in range(ROWS)])


TIMES: dict[str, tuple[pa.Array, list[str] | str]] = {
    "one instant": (pa.array([datetime(2024, 1, 1, 5)] * ROWS), []),
    "all missing": (pa.nulls(ROWS, pa.timestamp("us")), "all values missing in the training rows"),
    "half missing": (
        pa.array([None if n % 2 else date(2024, 1, 1) + timedelta(n) for n in range(ROWS)]),
        ["week"],
    ),
    "before 1700": (days(date(1500, 1, 1), 37), ["year"]),
    "after 2200": (days(date(2500, 1, 1), 1), ["week"]),
    "the years 1 to 9999": (days(date(1, 1, 1), 61_000), []),
    "all dates of Arrow": (spread(pa.date32(), -(2**31), 2**31 - 1), []),
    "all nanoseconds": (spread(pa.timestamp("ns"), -(2**63) + 9**9, 2**63 - 9**9), []),
    "nanoseconds that float64 does not distinguish": (
        pa.array(1_700_000_000_000_000_000 + np.arange(ROWS), pa.timestamp("ns")),
        [],
    ),
}


@pytest.mark.parametrize("name", TIMES)
def test_times_of_any_year_are_trained_on_and_scored(name: str, tmp_path: Path) -> None:
    times, expected = TIMES[name]
    table = pa.table({"t": times, "x": X})
    spec = aecli.train(table, model=tmp_path / "m", epochs=1).spec
    if isinstance(expected, str):
        assert [(one.name, one.reason) for one in spec.left_out] == [("t", expected)]
    else:
        (column,) = (column for column in spec.columns if column.name == "t")
        assert column.periods == expected
    model = aecli.load(tmp_path / "m")
    assert np.isfinite(model.score(table)["score"].to_numpy()).all()
    assert model.reconstruct(table).schema == table.schema or isinstance(expected, str)


@pytest.mark.parametrize(
    ("table", "label", "message"),
    [
        ({"t": pa.array([datetime(2024, 1, 1)] * ROWS)}, None, "has no column to learn from"),
        ({"t": pa.nulls(ROWS, pa.date32())}, None, "has no column to learn from"),
        (
            {"t": days(date(2024, 1, 1), 1), "x": pa.array(X)},
            "t",
            r"label column 't' is a date32\[day\]",
        ),
        (
            {"y": pa.array(["a"] * ROWS), "x": pa.array(X)},
            "y",
            "label column 'y' has only one class: 'a'",
        ),
    ],
)
def test_tables_without_anything_to_learn_are_refused(
    table: dict[str, Any], label: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        aecli.train(pa.table(table), label=label, model=tmp_path / "m", epochs=1)


@pytest.mark.parametrize("few", [1, 2])
def test_a_class_of_few_rows_is_trained_on(few: int, tmp_path: Path) -> None:
    labels = ["a"] * (ROWS - few) + ["b"] * few
    table = pa.table({"x": X, "y": labels})
    spec = aecli.train(table, label="y", model=tmp_path / "m", epochs=1).spec
    assert spec.label is not None
    assert spec.label.classes == ["a", "b"]
    assert set(aecli.load(tmp_path / "m").predict(table)["prediction"].to_pylist()) <= {"a", "b"}


def test_more_columns_than_rows_are_trained_on(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).normal(size=(ROWS, 10 * ROWS))
    table = pa.table({f"c{i}": column for i, column in enumerate(wide.T)})
    aecli.train(table, model=tmp_path / "m", epochs=1)
    assert np.isfinite(aecli.load(tmp_path / "m").score(table)["score"].to_numpy()).all()


def test_a_classifier_learns_the_hour_and_knows_it_in_later_rows(tmp_path: Path) -> None:
    def rows(start: datetime, count: int) -> pa.Table:
        times = [start + timedelta(hours=n) for n in range(count)]
        return pa.table({"t": times, "open": [8 <= time.hour < 18 for time in times]})

    train, later = rows(datetime(2024, 1, 1), 24 * 20), rows(datetime(2024, 1, 21), 24 * 5)
    aecli.train(
        train,
        label="open",
        model=tmp_path / "m",
        epochs=12,
        latent=2,
        batch_size=16,
        reconst_weight=0,
    )
    predicted = aecli.load(tmp_path / "m").predict(later)["prediction"].to_pylist()
    assert np.mean(np.array(predicted) == np.array(later["open"])) > 0.9


def test_images_have_no_times(tmp_path: Path) -> None:
    table = pa.table({f"p{i}": X for i in range(15)} | {"t": days(date(2024, 1, 1), 1)})
    with pytest.raises(aecli.errors.UsageError, match="pixels only: 't' is a time column"):
        aecli.train(table, arch="conv2d", shape="4x4", model=tmp_path / "m", epochs=1)
