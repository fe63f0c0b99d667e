"""Troubles with the cells of CSV files that users of other tools reported in public."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from aecli.cli.main import main
from aecli.table.source import open_source
from tests.troubles import CSVKIT, DUCKDB, PANDAS, POLARS, READR, columns_of, trouble, write

BOM = b"\xef\xbb\xbf"
UTC = dt.UTC

READ = [
    # Numbers and texts that look like numbers.
    trouble(
        "zero-date",
        "https://github.com/gbif/ipt/issues/1119",
        "d\n0000-00-00\n2024-01-31\n",
        {"d": [None, dt.date(2024, 1, 31)]},
    ),
    trouble(
        "error-of-a-spreadsheet",
        "https://github.com/dilshod/xlsx2csv/pull/286",
        "x\n#DIV/0!\n1.5\n",
        {"x": [None, 1.5]},
    ),
    trouble(
        "identifiers-like-huge-powers",
        "https://github.com/SheetJS/sheetjs/issues/2373",
        "id\n101E010031\n3E17773446\n47583311587\n",
        {"id": ["101E010031", "3E17773446", "47583311587"]},
    ),
    trouble(
        "identifiers-like-tiny-powers",
        "https://github.com/FlatFilers/csvjson-app/issues/84",
        "id\n12E-500\n13E-600\n",
        {"id": ["12E-500", "13E-600"]},
    ),
    trouble(
        "padded-power-and-text",
        "https://github.com/tilo/smarter_csv/issues/345",
        "id\n0047583311587DD90005\n0047583311587E590003\n",
        {"id": ["0047583311587DD90005", "0047583311587E590003"]},
    ),
    trouble(
        "phone-numbers",
        DUCKDB + "pull/5857",
        "p\n+491511234567890123\n+491511234567890124\n",
        {"p": ["+491511234567890123", "+491511234567890124"]},
    ),
    trouble(
        "padded-phone-numbers",
        CSVKIT + "pull/206",
        "p\n0151123\n0160555\n",
        {"p": ["0151123", "0160555"]},
    ),
    trouble(
        "padding-in-the-last-row",
        "https://github.com/CartoDB/cartodb/issues/6760",
        "zip\n90210\n94103\n02134\n",
        {"zip": ["90210", "94103", "02134"]},
    ),
    trouble(
        "padded-codes-with-a-point",
        "https://github.com/dathere/qsv/pull/3938",
        "code\n007.1\n008.45\n401.9\n",
        {"code": ["007.1", "008.45", "401.9"]},
    ),
    trouble(
        "padding-after-a-sign",
        "https://github.com/nao1215/filesql/pull/149",
        "n\n+05\n+12\n",
        {"n": ["+05", "+12"]},
    ),
    trouble(
        "powers-and-plus-signs",
        "https://github.com/apache/arrow-rs/pull/11105",
        "n,p\n1E+05,+1\n100,-3\n",
        {"n": [100_000, 100], "p": [1, -3]},
    ),
    trouble(
        "zeros-and-ones",
        CSVKIT + "issues/1020",
        "n,b\n0,true\n1,FALSE\n",
        {"n": [0, 1], "b": [True, False]},
    ),
    trouble(
        "booleans-among-zeros",
        "https://github.com/NVIDIA/cudf/issues/20752",
        "c\ntrue\n1\n",
        {"c": ["true", "1"]},
    ),
    trouble(
        "digits-and-a-letter",
        CSVKIT + "issues/1173",
        "id\n0606D\n170D\n",
        {"id": ["0606D", "170D"]},
    ),
    trouble(
        "addresses",
        "https://github.com/dumbmatter/csv-sql-live/pull/1",
        "ip,h\n1.2.3.4,0x1F\n10.0.0.1,0xFF\n",
        {"ip": ["1.2.3.4", "10.0.0.1"], "h": ["0x1F", "0xFF"]},
    ),
    trouble(
        "cells-of-spaces",
        "https://github.com/exceljs/exceljs/issues/2751",
        "n,t\n5,x\n   ,y\n7,z\n",
        {"n": [5, None, 7], "t": ["x", "y", "z"]},
    ),
    trouble(
        "no-break-spaces-around-numbers",
        "https://github.com/NHSDigital/manage-vaccinations-in-schools/pull/3410",
        "n\n\u00a05\n6\u00a0\n\u30007\n",
        {"n": [5, 6, 7]},
    ),
    trouble(
        "marks-of-direction-around-numbers",
        "https://github.com/opengovsg/postmangovsg/pull/88",
        "n\n\u200e5\n\u200b6\n7\u2060\n",
        {"n": [5, 6, 7]},
    ),
    trouble(
        "minus-sign-of-print", POLARS + "28163", "n\n\u22125\n3\n\u22122.5\n", {"n": [-5, 3, -2.5]}
    ),
    trouble(
        "missing-of-databases",
        "https://github.com/ClickHouse/ClickHouse/issues/9375",
        "a\tb\n1\t\\N\n\\N\t2.5\n",
        {"a": [1, None], "b": [None, 2.5]},
    ),
    trouble(
        "digits-of-other-scripts",
        "https://github.com/datalust/superpower/pull/70",
        "n\n\u0665\n\uff15\n",
        {"n": ["\u0665", "\uff15"]},
    ),
    # Dates and times.
    trouble(
        "numbers-that-could-be-dates",
        "https://github.com/trickvi/datapackage/issues/24",
        "year,day,millis\n2004,20040108,1704067200000\n2005,20050101,1704067201000\n",
        {
            "year": [2004, 2005],
            "day": [20040108, 20050101],
            "millis": [1704067200000, 1704067201000],
        },
    ),
    trouble(
        "times-of-day",
        DUCKDB + "issues/13247",
        "t,u\n05:40,05:40:00\n21:30,21:30:10\n",
        {
            "t": [dt.time(5, 40), dt.time(21, 30)],
            "u": [dt.time(5, 40), dt.time(21, 30, 10)],
        },
    ),
    trouble(
        "dates-beyond-nanoseconds",
        PANDAS + "61447",
        "d,t\n0001-01-01,1500-01-01 10:00:00\n9999-12-31,2999-12-31 23:59:59\n",
        {
            "d": [dt.date(1, 1, 1), dt.date(9999, 12, 31)],
            "t": [dt.datetime(1500, 1, 1, 10), dt.datetime(2999, 12, 31, 23, 59, 59)],
        },
    ),
    trouble(
        "offsets-that-change-in-summer",
        PANDAS + "24987",
        "t\n2024-03-31T01:30:00+01:00\n2024-03-31T03:30:00+0200\n",
        {
            "t": [
                dt.datetime(2024, 3, 31, 0, 30, tzinfo=UTC),
                dt.datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
            ]
        },
    ),
    trouble(
        "zone-as-a-word",
        "https://github.com/johnkerl/miller/pull/1968",
        "t\n2022-04-03 17:38:20 UTC\n2022-04-03 17:38:21.5 UTC\n",
        {
            "t": [
                dt.datetime(2022, 4, 3, 17, 38, 20, tzinfo=UTC),
                dt.datetime(2022, 4, 3, 17, 38, 21, 500_000, tzinfo=UTC),
            ]
        },
    ),
    trouble(
        "comma-before-milliseconds",
        "https://github.com/fluent/fluent-bit/issues/703",
        "a;t\n1;2018-08-03 02:05:59,772\n2;2018-08-03 02:06:16,195\n",
        {
            "a": [1, 2],
            "t": [
                dt.datetime(2018, 8, 3, 2, 5, 59, 772_000),
                dt.datetime(2018, 8, 3, 2, 6, 16, 195_000),
            ],
        },
    ),
    trouble(
        "year-first-with-slashes",
        "https://github.com/receptron/mulmoclaude/pull/2333",
        "d\n2025/03/04\n2025/12/31\n",
        {"d": [dt.date(2025, 3, 4), dt.date(2025, 12, 31)]},
    ),
    trouble(
        "dates-and-missing",
        "https://github.com/pandas-dev/pandas/pull/3621",
        "d\n2024-02-28\nNaT\n2024-03-01\n",
        {"d": [dt.date(2024, 2, 28), None, dt.date(2024, 3, 1)]},
    ),
    trouble(
        "dates-with-and-without-time",
        "https://github.com/dannymcc/may/issues/96",
        "t\n2025-04-30\n2025-04-30 09:20\n",
        {"t": [dt.datetime(2025, 4, 30), dt.datetime(2025, 4, 30, 9, 20)]},
    ),
]


@pytest.mark.parametrize(("url", "content", "columns"), READ)
def test_cells_are_read_as_they_were_meant(
    tmp_path: Path, url: str, content: str | bytes, columns: dict[str, list[Any]]
) -> None:
    read = columns_of(open_source(write(tmp_path / "t.csv", content)))
    assert list(read) == list(columns), url
    assert read == columns, url


NUMBERS = [f"{i * 1.37:.2f}" for i in range(60)]
DAYS = [str(dt.date(2024, 1, 1) + dt.timedelta(days=i)) for i in range(60)]
SPOILT = [
    trouble("footer", READR + "88", [*DAYS, "Total"], ["'Total'", "line 62"]),
    trouble(
        "header-again",
        "https://github.com/whitfin/s3-concat/issues/3",
        [*NUMBERS, "a"],
        ["'a'", "line 62"],
    ),
    trouble(
        "day-that-does-not-exist",
        "https://github.com/RayforceDB/rayforce/pull/435",
        [*DAYS, "2024-02-30"],
        ["'2024-02-30'", "line 62"],
    ),
    trouble(
        "leap-second",
        "https://github.com/NVIDIA/cudf/issues/11593",
        [*(f"{day}T10:00:00" for day in DAYS), "2016-12-31T23:59:60"],
        ["'2016-12-31T23:59:60'", "line 62"],
    ),
    trouble(
        "hour-24",
        PANDAS + "8891",
        [*(f"{day} 10:00" for day in DAYS), "2024-03-01 24:00"],
        ["'2024-03-01 24:00'", "line 62"],
    ),
    trouble(
        "limit-of-detection",
        "https://github.com/bcgov/wqbc/issues/49",
        [*NUMBERS, "<0.5"],
        ["'<0.5'", "line 62"],
    ),
]


@pytest.mark.parametrize(("url", "cells", "fragments"), SPOILT)
def test_the_cell_that_spoils_a_column_is_shown(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    cells: list[str],
    fragments: list[str],
) -> None:
    lines = [f"{cell},{i % 7}" for i, cell in enumerate(cells)]
    path = write(tmp_path / "t.csv", "\n".join(["a,b", *lines, ""]))
    assert main(["inspect", str(path)]) == 0, url
    shown = " ".join(capsys.readouterr().out.split())
    assert [part for part in fragments if part not in shown] == [], url
