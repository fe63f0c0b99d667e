"""Calendar periods of time columns, and the phases of times in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from aecli.features.inputs import Inputs
from aecli.features.reader import CellReader
from aecli.schema.model_spec import Column
from aecli.schema.options import ColumnOptions
from aecli.table.column_plan import describe_columns
from aecli.table.source import open_source

START = datetime(2021, 3, 1, 6)


def fitted(times: Any, mask: Any = None) -> Column:
    source = open_source(pa.table({"t": times}))
    rows = None if mask is None else np.array(mask)
    return describe_columns(source, ColumnOptions(), train_rows=rows).columns[0]


def phases(column: Column, times: Any) -> dict[str, np.ndarray]:
    """Return sine and cosine `(n_rows, 2)` of each period, as the network gets them."""
    cells = CellReader([column]).read(pa.record_batch({"t": times}))
    layout = CellReader([column]).layout
    inputs = Inputs(layout)(torch.from_numpy(cells)).numpy()[:, layout.outputs :]
    return {name: inputs[:, 2 * i : 2 * i + 2] for i, name in enumerate(column.periods)}


def every(step: timedelta, count: int, start: datetime = START) -> pa.Array:
    return pa.array([start + n * step for n in range(count)])


@pytest.mark.parametrize(
    ("times", "periods"),
    [
        (every(timedelta(minutes=30), 24), []),
        (every(timedelta(minutes=30), 49), ["day"]),
        (every(timedelta(hours=1), 200), ["day", "week"]),
        (every(timedelta(hours=12), 800), ["day", "week", "year"]),
        (every(timedelta(hours=13), 800), ["week", "year"]),
        (every(timedelta(days=1), 6), []),
        (every(timedelta(days=1), 400), ["week", "year"]),
        (every(timedelta(days=7), 60), ["year"]),
        (every(timedelta(days=30), 30), ["year"]),
        (every(timedelta(days=365), 30), []),
        (pa.array([date(2020, 1, 1) + timedelta(n) for n in range(400)]), ["week", "year"]),
        (every(timedelta(hours=1), 200).cast(pa.timestamp("ns")), ["day", "week"]),
        (every(timedelta(hours=1), 200).cast(pa.timestamp("s", "Asia/Tokyo")), ["day", "week"]),
    ],
)
def test_periods_are_between_two_steps_and_the_span_of_the_times(
    times: pa.Array, periods: list[str]
) -> None:
    column = fitted(times)
    assert column.periods == periods
    assert (f"phases of {', '.join(periods)}" in column.reason) == bool(periods)
    shuffled = fitted(times.take(pa.array(np.random.default_rng(0).permutation(len(times)))))
    assert shuffled.periods == periods


def test_only_training_rows_decide_on_periods() -> None:
    times = every(timedelta(hours=1), 200)
    assert fitted(times, np.arange(200) < 30).periods == ["day"]


def test_numbers_durations_and_times_of_day_have_no_periods() -> None:
    for kind in (pa.int64(), pa.duration("us"), pa.time64("us")):
        values = pa.array(np.arange(400) * 100_000_000, pa.int64()).cast(kind)
        assert fitted(values).periods == []


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_phase_of_decades_of_timestamps_is_that_of_the_stored_time(
    unit: str, zone: str | None
) -> None:
    times = every(timedelta(hours=7), 100_000, datetime(1960, 1, 1))  # for 80 years
    column = fitted(times.cast(pa.timestamp(unit, zone)))
    assert column.periods == ["day", "week", "year"]
    later = pa.array([datetime(2100, 5, 4, 6), datetime(2100, 5, 4, 18)]).cast(
        pa.timestamp(unit, zone)
    )
    day = phases(column, later)["day"]
    assert day == pytest.approx(np.array([[1.0, 0.0], [-1.0, 0.0]]), abs=0.01)


def test_each_weekday_has_one_phase() -> None:
    column = fitted(pa.array([date(2020, 1, 1) + timedelta(n) for n in range(400)]))
    mondays = [date(1999, 12, 27), date(2020, 6, 1), date(2035, 1, 1)]
    week = phases(column, pa.array(mondays))["week"]
    angle = 2 * np.pi * 4 / 7  # the phase is 0 on Thursdays, such as 1970-01-01
    expected = np.tile([np.sin(angle), np.cos(angle)], (3, 1))
    assert week == pytest.approx(expected, abs=1e-3)


def test_texts_with_offsets_have_the_phase_of_utc() -> None:
    zone = timezone(timedelta(hours=6))
    column = fitted(every(timedelta(hours=1), 100, START.replace(tzinfo=UTC)))
    noon = pa.array([datetime(2021, 3, 4, 12, tzinfo=zone)], pa.timestamp("us", "UTC"))
    assert phases(column, noon)["day"] == pytest.approx(np.array([[1.0, 0.0]]), abs=1e-4)


def test_a_missing_time_has_no_phase() -> None:
    column = fitted(every(timedelta(hours=1), 100))
    assert phases(column, pa.array([None], pa.timestamp("us")))["day"].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("share", "periods"), [(3, ["day", "week", "year"]), (600, ["week", "year"])]
)
def test_periods_are_longer_than_the_rounding_errors_of_dates_far_apart(
    share: int, periods: list[str]
) -> None:
    never = pa.array([datetime(9999, 12, 31, 23)] * share)
    times = every(timedelta(hours=1), 600)
    assert fitted(pa.chunked_array([times, never]).combine_chunks()).periods == periods
