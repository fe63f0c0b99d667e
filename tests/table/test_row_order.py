"""The columns that order rows: series from any kind of value, time from what has an order."""

from datetime import date, datetime, time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from aecli.errors import DataError, UsageError
from aecli.schema.read_options import ReadOptions
from aecli.table.row_order import parse_gap, read_row_order
from aecli.table.source import open_source


def keys(columns, *, group=(), time=None):
    return read_row_order(open_source(pa.table(columns), ReadOptions()), group, time)


def same(codes):
    """Return the codes as the number of the first row with each."""
    return [codes.tolist().index(code) for code in codes]


@pytest.mark.parametrize(
    "column",
    [
        ["a", "b", "a", None, None],
        [1, 2, 1, None, None],
        [0.5, 2.5, 0.5, None, None],
        [True, False, True, None, None],
        [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 1), None, None],
        pa.array(["a", "b", "a", None, None]).dictionary_encode(),
        pa.chunked_array([pa.array([["b"], ["a"]][i]).dictionary_encode() for i in (1, 0, 1)]),
    ],
    ids=["text", "integer", "float", "bool", "date", "dictionary", "chunks"],
)
def test_equal_values_are_one_series_and_empty_ones_another(column):
    rows = len(column)
    assert same(keys({"g": column}, group=["g"]).groups) == [0, 1, 0, 3, 3][:rows]


def test_several_columns_name_a_series_by_their_combination():
    found = keys({"a": list("xxyyx"), "b": [1, 2, 1, 2, 1]}, group=["a", "b"])
    assert same(found.groups) == [0, 1, 2, 3, 0]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([date(2026, 1, 31), date(2025, 12, 1)], 1),
        ([datetime(2026, 1, 31, 12), datetime(2026, 1, 31, 11, 59)], 1_000_000),
        ([time(12), time(11, 59, 59)], 1_000_000),
        ([7, -3], None),
        ([0.25, -1e9], None),
    ],
    ids=["date", "timestamp", "clock", "integer", "float"],
)
def test_later_is_larger(values, ticks):
    found = keys({"t": values}, time="t")
    assert found.times[0] > found.times[1]
    assert found.ticks == ticks
    assert (found.rows, found.groups) == (2, None)


def test_dates_in_a_csv_file_are_times(tmp_path):
    (tmp_path / "t.csv").write_text("t,x\n2026-01-31T12:00:00,1\n2026-01-31T12:01:30,2\n")
    found = read_row_order(open_source(str(tmp_path / "t.csv"), ReadOptions()), [], "t")
    assert (np.diff(found.times) / found.ticks).tolist() == [90]


@pytest.mark.parametrize(
    ("text", "values", "gap"),
    [
        ("90s", [datetime(2026, 1, 1)], 90e6),
        ("1.5m", [datetime(2026, 1, 1)], 90e6),
        ("250 ms", [time(1)], 25e4),
        ("2h", [date(2026, 1, 1)], 7200),
        ("1d", [date(2026, 1, 1)], 86400),
        ("600", [3], 600),
        ("0.5", [3.0], 0.5),
    ],
)
def test_a_gap_is_in_the_unit_of_the_times(text, values, gap):
    assert parse_gap(text, keys({"t": values}, time="t"), "t") == gap


@pytest.mark.parametrize(
    ("text", "value", "hint"),
    [("10m", 3, "--max-gap 10"), ("600", date(2026, 1, 1), "--max-gap 10m")],
)
def test_a_gap_of_the_wrong_kind_is_refused(text, value, hint):
    with pytest.raises(UsageError, match=f"--max-gap {text} does not fit --time t") as caught:
        parse_gap(text, keys({"t": [value]}, time="t"), "t")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, None, 3.0], "1 of 3 cells of --time t in the table are missing"),
        ([1.0, float("nan"), 3.0], "1 of 3 cells of --time t in the table are missing"),
        (["noon", "one", "two"], "is a string, which cannot be ordered"),
        ([True, False, True], "is a bool, which cannot be ordered"),
    ],
)
def test_a_column_without_an_order_is_no_time(values, message):
    with pytest.raises(DataError, match=message):
        keys({"t": values}, time="t")


@pytest.mark.parametrize(
    ("wanted", "flag"), [({"group": ["z"]}, "--group z"), ({"time": "z"}, "--time z")]
)
def test_a_column_that_is_not_there_is_named_with_its_option(wanted, flag):
    with pytest.raises(DataError, match="no column 'z'") as caught:
        keys({"x": [1]}, **wanted)
    assert flag in caught.value.facts


def test_vectors_name_no_series():
    with pytest.raises(DataError, match="--group"):
        keys({"v": pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2))}, group=["v"])


def test_decimals_are_times():
    assert keys({"t": pa.array([2, 1]).cast(pa.decimal128(21, 2))}, time="t").times[0] == 2
    assert keys({"t": [Decimal("1.5"), Decimal("0.5")]}, time="t").times.tolist() == [1.5, 0.5]


def test_nanoseconds_are_told_apart():
    found = keys({"t": pa.array([200, 100], pa.timestamp("ns"))}, time="t")
    assert found.times[0] > found.times[1]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_times_in_a_column_of_text_are_read_as_in_a_csv_file(kind):
    text = ["2024-01-01 00:00:10", "2024-01-01 00:00:00", "2024-01-02 00:00:00"]
    found = keys({"t": pa.array(text, kind)}, time="t")
    assert (found.ticks, (found.times - found.times[1]).tolist()) == (1, [10, 0, 86_400])
    encoded = keys({"t": pa.array(text, kind).dictionary_encode()}, time="t")
    assert encoded.times.tolist() == found.times.tolist()
