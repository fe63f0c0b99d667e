"""Troubles with Parquet files that users of other tools reported in public."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from aecli.schema.options import ColumnOptions
from aecli.table.column_plan import describe_columns
from aecli.table.source import open_source
from tests.troubles import (
    ARROW,
    DAY,
    DUCKDB,
    FAR,
    PANDAS,
    POLARS,
    A,
    B,
    columns_of,
    dictionary,
    packed,
    put,
    times,
    trouble,
    utc,
)


def old_times(*values: dt.datetime) -> bytes:
    """Return a Parquet file of times as Spark, Hive and Impala wrote them."""
    return packed(times(pa.timestamp("us"), *values), use_deprecated_int96_timestamps=True)


READ = [
    # Types.
    trouble(
        "old-times",
        "https://github.com/Eventual-Inc/Daft/issues/1215",
        {"t.parquet": old_times(DAY)},
        {"t": [DAY]},
    ),
    trouble(
        "old-times-far-away",
        ARROW + "issues/37580",
        {"t.parquet": old_times(FAR, DAY, dt.datetime(1200, 1, 1, 0, 0, 59))},
        {"t": [FAR, DAY, dt.datetime(1200, 1, 1, 0, 0, 59)]},
    ),
    trouble(
        "zone-of-a-place",
        "https://github.com/deephaven/deephaven-core/issues/976",
        {"t.parquet": times(pa.timestamp("us", "Europe/Berlin"), DAY)},
        {"t": utc(DAY)},
    ),
    trouble(
        "dictionary-of-each-row-group",
        "https://github.com/dask/fastparquet/issues/949",
        {"t.parquet": packed(dictionary("b", "a"), dictionary("c", "a"), dictionary("d"))},
        {"c": ["b", "a", "c", "a", "d"]},
    ),
    trouble(
        "dictionary-of-each-file",
        "https://github.com/dask/dask/pull/1930",
        {"1.parquet": dictionary("b", "a"), "2.parquet": dictionary("c", "a")},
        {"c": ["b", "a", "c", "a"]},
    ),
    trouble(
        "integers-without-a-sign",
        "https://github.com/deephaven/deephaven-core/pull/8350",
        {"t.parquet": pa.table({"u": pa.array([2**64 - 1, 5], pa.uint64())})},
        {"u": [2**64 - 1, 5]},
    ),
    trouble(
        "decimals-held-in-integers",
        "https://github.com/commandprompt/pgcolumnar/pull/120",
        {"t.parquet": packed(pa.table({"d": [Decimal("12.34")]}), store_decimal_as_integer=True)},
        {"d": [Decimal("12.34")]},
    ),
    trouble(
        "wide-decimals",
        DUCKDB + "pull/25058",
        {"t.parquet": pa.table({"d": pa.array([Decimal("-2.25")], pa.decimal256(39, 2))})},
        {"d": [Decimal("-2.25")]},
    ),
    # Names and the index of pandas.
    trouble(
        "points-in-names",
        "https://github.com/apache/paimon/pull/7955",
        {"t.parquet": pa.table({"a.b": [1], "a": [2], "c.list.element": [3]})},
        {"a.b": [1], "a": [2], "c.list.element": [3]},
    ),
    trouble(
        "name-like-a-field-of-a-struct",
        "https://github.com/databricks/koalas/issues/217",
        {"t.parquet": pa.table({"a.b": [1], "a": [{"b": 8}]})},
        {"a.b": [1], "a": [{"b": 8}]},
    ),
    trouble(
        "names-in-two-cases",
        "https://github.com/mukunku/ParquetViewer/issues/68",
        {"t.parquet": pa.table({"col": [1], "COL": [4]})},
        {"col": [1], "COL": [4]},
    ),
    trouble(
        "repeated-names",
        "https://github.com/rok/test-parquet-format/issues/160",
        {"t.parquet": pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])},
        {"x": [1], "x_2": [2]},
    ),
    trouble(
        "index-with-a-name",
        PANDAS + "51717",
        {"t.parquet": pd.DataFrame({"A": [1, 2]}, index=pd.Index([7, 9], name="idx"))},
        {"A": [1, 2], "idx": [7, 9]},
    ),
    trouble(
        "index-without-a-name",
        POLARS + "7291",
        {"t.parquet": pd.DataFrame({"A": [1, 2]}, index=[7, 9])},
        {"A": [1, 2]},
    ),
    trouble(
        "row-groups-without-rows",
        "https://github.com/ClickHouse/ClickHouse/issues/107746",
        {"t.parquet": packed(A[:0], A, A[:0], B, B[:0])},
        {"a": [1, 2, 3]},
    ),
]


@pytest.mark.parametrize(("url", "files", "columns"), READ)
def test_files_are_read_as_they_were_meant(
    tmp_path: Path, url: str, files: dict[str, Any], columns: dict[str, list[Any]]
) -> None:
    read = columns_of(open_source(put(tmp_path / "data", files)))
    assert list(read) == list(columns), url
    assert read == columns, url


LEFT_OUT = [
    trouble(
        "struct",
        "https://github.com/uber/petastorm/pull/686",
        pa.array([{"a": 1}] * 12),
        "struct<a: int64>",
    ),
    trouble(
        "lists-of-several-lengths",
        ARROW + "issues/42811",
        pa.array([[1, 2], [3, 4, 5]] * 6),
        "length",
    ),
    trouble(
        "text-without-its-mark",
        "https://github.com/apache/spark/pull/1855",
        pa.array([b"x", b"y"] * 6),
        "binary",
    ),
]


@pytest.mark.parametrize(("url", "values", "reason"), LEFT_OUT)
def test_a_column_of_no_use_is_left_out_with_its_type(
    tmp_path: Path, url: str, values: pa.Array, reason: str
) -> None:
    folder = put(tmp_path, {"t.parquet": pa.table({"c": values, "x": [0.5, 1.5, 2.5] * 4})})
    plan = describe_columns(open_source(folder), ColumnOptions())
    assert [item.name for item in plan.left_out] == ["c"], url
    assert reason in plan.left_out[0].reason, url
