"""Troubles with tables that a model is applied to, which users reported in public."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aecli.errors import DataError
from aecli.schema.options import ColumnOptions
from aecli.table.column_match import match_columns
from aecli.table.column_plan import plan_columns
from aecli.table.source import open_source
from tests.troubles import (
    CSVKIT,
    DATAFUSION,
    DAY,
    DUCKDB,
    FAR,
    PANDAS,
    columns_of,
    put,
    times,
    trouble,
    utc,
    write,
)

BOM = b"\xef\xbb\xbf"


def training(*cells: str, name: str = "a") -> str:
    return f"{name},x\n" + "".join(f"{cells[i % len(cells)]},{i}.5\n" for i in range(12))


NANOSECONDS = training("2024-01-01 00:00:00.123456789", "2024-01-02 00:00:00.5")
LATER = [
    trouble(
        "booleans-in-other-spellings",
        "https://github.com/UCL/TLOmodel/pull/1071",
        training("true", "false"),
        "a,x\nTRUE,1\n0,2\nFalse,3\n1,4\n",
        [True, False, False, True],
    ),
    trouble(
        "a-float-for-a-class",
        CSVKIT + "issues/506",
        training("0", "1", "2"),
        "a,x\n0.0,1\n1.0,2\n,3\n",
        [0, 1, None],
    ),
    trouble(
        "numbers-only-for-a-text",
        CSVKIT + "issues/858",
        training("1", "A", "2"),
        "a,x\n1,1\n2,2\n",
        ["1", "2"],
    ),
    trouble(
        "padding-lost-in-a-spreadsheet",
        "https://github.com/cfpb/college-costs/issues/90",
        training("00", "01", "02"),
        "a,x\n0,1\n01,2\n",
        ["0", "01"],
    ),
    trouble(
        "powers-for-whole-numbers",
        "https://github.com/massbays-tech/MassWateR/issues/59",
        training("5", "100"),
        "a,x\n1E-3,1\n+3,2\n 7 ,3\n",
        [0.001, 3, 7],
    ),
    trouble(
        "a-zone-that-is-lost",
        PANDAS + "3498",
        training("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"),
        "a,x\n2024-01-01T00:00:00,1\n",
        "(line 2), column 'a': '2024-01-01T00:00:00'",
    ),
    trouble(
        "a-day-that-does-not-exist",
        PANDAS + "35520",
        training("2024-01-01", "2024-01-02"),
        "a,x\n2024-01-03,1\n2024-02-30,2\n",
        "(line 3), column 'a': '2024-02-30'",
    ),
    trouble(
        "a-date-beyond-nanoseconds",
        "https://github.com/cmu-delphi/covidcast-indicators/pull/2187",
        NANOSECONDS,
        "a,x\n2024-01-03 00:00:00,1\n2608-01-01 00:00:00,2\n",
        "(line 3), column 'a': '2608-01-01 00:00:00'",
    ),
    trouble(
        "names-in-another-case",
        DUCKDB + "issues/673",
        training("A", "B"),
        "A,X\nA,1\n",
        "lacks 2 of the 2 columns",
    ),
    trouble(
        "a-second-mark",
        "https://github.com/belarusian/runloop-pipeline/issues/7",
        training("A", "B"),
        BOM * 2 + b"a,x\nB,1\n",
        ["B"],
    ),
]


@pytest.mark.parametrize(("url", "train", "later", "expected"), LATER)
def test_a_later_table_is_read_as_the_training_table_was(
    tmp_path: Path, url: str, train: str, later: str | bytes, expected: list[Any] | str
) -> None:
    options = ColumnOptions(categorical=("a",)) if train == training("0", "1", "2") else None
    plan = plan_columns(open_source(write(tmp_path / "a.csv", train)), options or ColumnOptions())
    source = open_source(write(tmp_path / "b.csv", later))
    if isinstance(expected, list):
        assert columns_of(match_columns(source, plan)[0])["a"] == expected, url
        return
    with pytest.raises(DataError) as caught:
        columns_of(match_columns(source, plan)[0])
    assert expected in caught.value.what, url


BERLIN, NAIVE = pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us")
DAYS = [dt.datetime(2024, 1, day) for day in range(1, 13)]
LATER_TIMES = [
    trouble(
        "another-zone",
        "https://github.com/delta-io/delta-rs/issues/3507",
        times(BERLIN, *DAYS),
        times(pa.timestamp("us", "UTC"), DAY),
        utc(DAY),
    ),
    trouble(
        "zone-lost",
        "https://github.com/StarRocks/starrocks/issues/73672",
        times(BERLIN, *DAYS),
        times(NAIVE, DAY),
        "column 't' is timestamp[us]",
    ),
    trouble(
        "zone-added",
        "https://github.com/aloneguid/parquet-dotnet/issues/600",
        times(NAIVE, *DAYS),
        times(BERLIN, DAY),
        "column 't' is timestamp[us, tz=Europe/Berlin]",
    ),
    trouble(
        "finer-unit",
        "https://github.com/elastic/elasticsearch/pull/152855",
        times(pa.timestamp("ms"), *DAYS),
        times(pa.timestamp("ns"), DAY),
        [DAY],
    ),
    trouble(
        "date-beyond-nanoseconds",
        DATAFUSION + "issues/1360",
        times(pa.timestamp("ns"), *DAYS),
        times(NAIVE, DAY, FAR),
        "row 2, column 't': '9999-12-31 23:59:59'",
    ),
]


@pytest.mark.parametrize(("url", "train", "later", "expected"), LATER_TIMES)
def test_later_times_are_read_as_those_of_training_were(
    tmp_path: Path, url: str, train: pa.Table, later: pa.Table, expected: list[Any] | str
) -> None:
    plan = plan_columns(open_source(put(tmp_path / "a", {"t.parquet": train})), ColumnOptions())
    source = open_source(put(tmp_path / "b", {"t.parquet": later}))
    if isinstance(expected, list):
        assert columns_of(match_columns(source, plan)[0])["t"] == expected, url
        return
    with pytest.raises(DataError) as caught:
        columns_of(match_columns(source, plan)[0])
    assert expected in caught.value.what, url
