"""Dates and times in other spellings become times, and day and month are never guessed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.errors import UsageError
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions
from aecli.table.column_plan import describe_columns
from aecli.table.source import Source, open_source

D, T = dt.date, dt.datetime


def opened(folder: Path, cells: list[str | None], format: str = "csv", **options: Any) -> Source:
    """Return a table with the column `d` of these texts."""
    path = folder / f"t.{format}"
    rows = [{"d": cell, "k": "ab"[i % 2]} for i, cell in enumerate(cells)]
    if format == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif format == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text("d\tk\n" + "".join(f"{row['d'] or ''}\t{row['k']}\n" for row in rows))
    return open_source(path, ReadOptions(**options))


def cells_of(source: Source, name: str = "d") -> list[Any]:
    """Return the cells of a column."""
    cells: list[Any] = pa.Table.from_batches(source.batches(), source.schema)[name].to_pylist()
    return cells


def utc(*parts: int) -> dt.datetime:
    """Return a time in UTC."""
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]  # year, month, …


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["31.01.2024", "01.02.2024"], [D(2024, 1, 31), D(2024, 2, 1)]),
        (["01/02/2024", "31/12/2023", None], [D(2024, 2, 1), D(2023, 12, 31), None]),
        (["01/02/2024", "12/31/2023"], [D(2024, 1, 2), D(2023, 12, 31)]),
        (["1/2/24", "31/1/24"], [D(2024, 2, 1), D(2024, 1, 31)]),
        (["31-01-2024", "5-1-2024"], [D(2024, 1, 31), D(2024, 1, 5)]),
        (["2024/01/02", "2024/1/31"], [D(2024, 1, 2), D(2024, 1, 31)]),
        (["2024.01.02", "2023.12.31"], [D(2024, 1, 2), D(2023, 12, 31)]),
        (["31-Jan-2024", "01-feb-2024"], [D(2024, 1, 31), D(2024, 2, 1)]),
        (["31 January 2024", "1 May 2024"], [D(2024, 1, 31), D(2024, 5, 1)]),
        (["Jan 31, 2024", "Feb 1, 2024"], [D(2024, 1, 31), D(2024, 2, 1)]),
        (["31JAN2024", "01FEB2024"], [D(2024, 1, 31), D(2024, 2, 1)]),
        (["03/25/2024 12:00 AM", "03/02/2024 1:05 PM"], [T(2024, 3, 25), T(2024, 3, 2, 13, 5)]),
        (["25/03/2024 23:59:58", "02/03/2024 00:00:00"],
         [T(2024, 3, 25, 23, 59, 58), T(2024, 3, 2)]),
        (["25.03.2024 10:11:12.25", "02.03.2024 10:11:12.5"],
         [T(2024, 3, 25, 10, 11, 12, 250_000), T(2024, 3, 2, 10, 11, 12, 500_000)]),
        (["Thu, 01 Feb 2024 10:11:12 +0100"], [utc(2024, 2, 1, 9, 11, 12)]),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00"],
         [utc(2024, 1, 31, 10), utc(2024, 1, 31, 10)]),
        (["2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00"],
         [utc(2024, 1, 31, 8), utc(2024, 1, 31, 10)]),
        (["2024-01-31", "2023-12-01"], [D(2024, 1, 31), D(2023, 12, 1)]),
        (["2024-01-31 10:00:00", None, "2023-12-01 00:00:00"],
         [T(2024, 1, 31, 10), None, T(2023, 12, 1)]),
    ],
)  # fmt: skip
def test_dates_are_read_as_they_are_meant(
    tmp_path: Path, format: str, cells: list[str | None], values: list[Any]
) -> None:
    assert cells_of(opened(tmp_path, cells, format)) == values


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize(
    "cells",
    [
        ["01/02/2024", "03/04/2024"],
        ["1.2.2024", "3.4.2024"],
        ["01-02-24", "03-04-24"],
        ["31/02/2024", "30/02/2024"],
        ["2024-13-01", "2024-14-01"],
        ["31 Foo 2024", "1 Bar 2024"],
        ["12/2024", "11/2024"],
        ["31/12/2024", "12/31/2024"],
    ],
)
def test_what_may_be_another_date_or_none_stays_text(
    tmp_path: Path, format: str, cells: list[str | None]
) -> None:
    assert cells_of(opened(tmp_path, cells, format)) == cells


@pytest.mark.parametrize(
    ("format", "values"),
    [
        ("%d/%m/%Y", [D(2024, 2, 1), D(2024, 4, 3)]),
        ("%m/%d/%Y", [D(2024, 1, 2), D(2024, 3, 4)]),
        ("%Y-%m-%d", ["01/02/2024", "03/04/2024"]),
    ],
)
def test_the_user_decides_day_and_month(tmp_path: Path, format: str, values: list[Any]) -> None:
    assert cells_of(opened(tmp_path, ["01/02/2024", "03/04/2024"], date_format=format)) == values


def test_a_date_format_leaves_other_columns_of_dates_alone(tmp_path: Path) -> None:
    text = (
        "a;b;c;i\n01/02/2024;25.01.2024 10:30;20240131;7\n03/04/2024;02.01.2024 00:00;20240201;8\n"
    )
    (tmp_path / "t.csv").write_text(text)
    source = open_source(tmp_path / "t.csv", ReadOptions(date_format="%m/%d/%Y"))
    assert [str(kind) for kind in source.schema.types] == [
        "date32[day]", "timestamp[s]", "int64", "int64",
    ]  # fmt: skip
    source = open_source(tmp_path / "t.csv", ReadOptions(date_format="%Y%m%d"))
    assert cells_of(source, "c") == [D(2024, 1, 31), D(2024, 2, 1)]
    assert cells_of(source, "i") == [7, 8]


@pytest.mark.parametrize("format", ["%d/%m", "tomorrow", "%Q", "%H:%M", ""])
def test_a_date_format_that_names_no_date_is_refused(tmp_path: Path, format: str) -> None:
    with pytest.raises(UsageError, match="does not determine the day, month and year"):
        opened(tmp_path, ["01/02/2024"], date_format=format)


def test_dates_that_may_be_either_say_so(tmp_path: Path) -> None:
    days = [f"{1 + i % 12:02}/{1 + i // 12:02}/20{10 + i % 11}" for i in range(100)]
    plan = describe_columns(opened(tmp_path, [*days]), ColumnOptions())
    reason = "dates with ambiguous day and month"
    formats = "--date-format '%d/%m/%Y' or --date-format '%m/%d/%Y'"
    assert {item.name: item.reason for item in plan.left_out} == {"d": f"{reason}: {formats}"}


def test_a_date_that_does_not_exist_is_shown_where_it_stands(tmp_path: Path) -> None:
    days = [f"{1 + i % 28}.{1 + i // 28}.2024" for i in range(100)]
    plan = describe_columns(opened(tmp_path, [*days, "31.02.2024"]), ColumnOptions())
    assert [item.reason for item in plan.left_out] == [
        "not a date: 100 of 101 cells are, the first other one is '31.02.2024' in line 102"
    ]
