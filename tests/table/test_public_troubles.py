"""Troubles with the lines of CSV files that users of other tools reported in public."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aecli.cli.main import main
from aecli.table.source import open_source
from tests.troubles import (
    CSVHELPER,
    CSVKIT,
    DATATABLE,
    DUCKDB,
    PANDAS,
    POLARS,
    READR,
    columns_of,
    trouble,
    write,
)

BOM = b"\xef\xbb\xbf"


def zstd(text: str) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(text.encode()).to_pybytes()
    return packed


READ = [
    # Lines and quotes.
    trouble(
        "mixed-line-ends",
        DATATABLE + "601",
        "a,b\r\n1,x\n2,y\r\n3,z\n",
        {"a": [1, 2, 3], "b": ["x", "y", "z"]},
    ),
    trouble(
        "doubled-carriage-returns",
        DATATABLE + "601",
        "a,b\r\r\n1,2\r\r\n3,4\r\r\n",
        {"a": [1, 3], "b": [2, 4]},
    ),
    trouble(
        "carriage-return-in-quotes",
        CSVHELPER + "645",
        'a,b\r\n1,"x\ry"\r\n2,z\r\n',
        {"a": [1, 2], "b": ["x\ry", "z"]},
    ),
    trouble(
        "no-line-end",
        "https://github.com/brechtsanders/xlsxio/issues/100",
        "a,b\n1,x\n2,y",
        {"a": [1, 2], "b": ["x", "y"]},
    ),
    trouble(
        "control-z-at-the-end",
        PANDAS + "7340",
        "a,b\r\n" + "1,2\r\n" * 40 + "\x1a",
        {"a": [1] * 40, "b": [2] * 40},
    ),
    trouble(
        "nul-padding-at-the-end",
        DATATABLE + "590",
        b"a,b\r\n" + b"1,2\r\n" * 400 + b"\0" * 16,
        {"a": [1] * 400, "b": [2] * 400},
    ),
    trouble(
        "nul-in-a-cell",
        PANDAS + "19886",
        "a,b\n" + "1,x\n" * 30 + "2,test\0test\n",
        {"a": [1] * 30 + [2], "b": ["x"] * 30 + ["test\0test"]},
    ),
    trouble(
        "inch-in-a-cell",
        CSVHELPER + "1235",
        'id,size\n1,5" pipe\n2,3/4" tube\n',
        {"id": [1, 2], "size": ['5" pipe', '3/4" tube']},
    ),
    trouble(
        "backslash-before-a-quote",
        "https://github.com/sqlitebrowser/sqlitebrowser/issues/1032",
        'a,b,c\n1,"who, \\"there?\\"",2\n3,"\\"x\\" y",4\n',
        {"a": [1, 3], "b": ['who, "there?"', '"x" y'], "c": [2, 4]},
    ),
    trouble(
        "trailing-delimiter-on-every-line",
        "https://github.com/deephaven/deephaven-core/issues/1800",
        "a|b|\n1|x|\n2|y|\n",
        {"a": [1, 2], "b": ["x", "y"], "column_3": [None, None]},
    ),
    trouble(
        "trailing-delimiter-on-every-row",
        PANDAS + "14124",
        "a,b,c\n1,4,7,\n2,5,8,\n",
        {"a": [1, 2], "b": [4, 5], "c": [7, 8]},
    ),
    trouble(
        "trailing-delimiter-on-the-header",
        "https://github.com/fsprojects/FSharp.Data/issues/688",
        "a,b,c,\n1,2,3\n4,5,6\n",
        {"a": [1, 4], "b": [2, 5], "c": [3, 6]},
    ),
    trouble(
        "rows-of-delimiters",
        "https://github.com/uniVocity/univocity-parsers/issues/457",
        "a,b\n1,x\n,\n2,y\n,\n",
        {"a": [1, None, 2, None], "b": ["x", None, "y", None]},
    ),
    trouble(
        "quote-that-closes-within-a-cell",  # read as spreadsheets and pandas read it
        DUCKDB + "issues/14883",
        'id,size\n1,"5" pipe\n2,7 tube\n',
        {"id": [1, 2], "size": ["5 pipe", "7 tube"]},
    ),
    trouble(
        "runs-of-spaces",
        DUCKDB + "issues/18413",
        "  a    b\n  1  2.5\n 10  3.5\n",
        {"a": [1, 10], "b": [2.5, 3.5]},
    ),
    trouble(
        "delimiters-within-cells",
        DUCKDB + "issues/9343",
        "id,tags\n1,a;b;c\n2,d;e;f\n",
        {"id": [1, 2], "tags": ["a;b;c", "d;e;f"]},
    ),
    trouble(
        "commas-in-every-row-of-a-tab-table",
        "https://github.com/ExcelDataReader/ExcelDataReader/issues/463",
        "Name, first\tAge\nDoe, J\t5\nRoe, K\t6\n",
        {"Name, first": ["Doe, J", "Roe, K"], "Age": [5, 6]},
    ),
    trouble(
        "commas-in-cells-of-a-tab-table",
        "https://github.com/infiniflow/ragflow/pull/17496",
        "text\tscore\nthe quick, brown fox\t1\nhello\t2\n",
        {"text": ["the quick, brown fox", "hello"], "score": [1, 2]},
    ),
    trouble(
        "commas-in-quotes-of-a-tab-table",
        "https://github.com/stablyai/orca/pull/4055",
        '"Doe, Jane"\tAge\n"Roe, John"\t42\n',
        {"Doe, Jane": ["Roe, John"], "Age": [42]},
    ),
    trouble(
        "space-before-a-quoted-delimiter",
        "https://github.com/BurntSushi/rust-csv/issues/337",
        'a, b\n"x", "y, z"\n"u", "v"\n',
        {"a": ["x", "u"], "b": ["y, z", "v"]},
    ),
    trouble(
        "a-cell-of-megabytes",
        "https://github.com/simonw/csv-diff/issues/41",
        "a,b\n1," + "x" * 3_000_000 + "\n2,y\n",
        {"a": [1, 2], "b": ["x" * 3_000_000, "y"]},
    ),
    trouble(
        "thousands-of-columns",
        DATATABLE + "3453",
        ",".join(f"c{i}" for i in range(3_000)) + "\n" + ",".join(["1"] * 3_000) + "\n",
        {f"c{i}": [1] for i in range(3_000)},
    ),
    # Names.
    trouble(
        "repeated-names",
        "https://github.com/aden-hive/hive/issues/2153",
        "name,age,name\nA,30,B\n",
        {"name": ["A"], "age": [30], "name_2": ["B"]},
    ),
    trouble(
        "repeated-name-that-is-taken",
        CSVKIT + "issues/563",
        "a,a_2,a\n1,2,3\n",
        {"a": [1], "a_2": [2], "a_3": [3]},
    ),
    trouble(
        "row-names-of-r",
        POLARS + "1999",
        '"a","b"\n"1",5,6\n"2",7,8\n',
        {"column_1": [1, 2], "a": [5, 7], "b": [6, 8]},
    ),
    trouble(
        "empty-first-name",
        DATATABLE + "3363",
        ",a\n0,John\n1,Jane\n",
        {"column_1": [0, 1], "a": ["John", "Jane"]},
    ),
    trouble(
        "names-in-two-cases", DUCKDB + "issues/13053", "col,COL\n1,4\n", {"col": [1], "COL": [4]}
    ),
    trouble(
        "mark-and-quoted-name",
        "https://github.com/thephpleague/csv/issues/586",
        BOM + b'"a,x","b"\n1,2\n',
        {"a,x": [1], "b": [2]},
    ),
    trouble(
        "two-marks",
        PANDAS + "4793",
        BOM * 2 + b"a,b\n1,2\n",
        {"a": [1], "b": [2]},
    ),
    trouble(
        "mark-in-a-row",
        "https://github.com/plaintextaccounting/hledger/issues/2189",
        BOM + b"a,b\n1,x\n" + BOM + b"2,y\n",
        {"a": [1, 2], "b": ["x", "y"]},
    ),
    trouble(
        "zero-width-space-in-a-name",
        "https://github.com/opengovsg/postmangovsg/pull/88",
        "\u200bn,\u00a0m\u00a0\n5,6\n",
        {"n": [5], "m": [6]},
    ),
    # Encodings and compression.
    trouble(
        "utf-16-with-tabs",
        "https://github.com/adaltas/node-csv-parse/issues/318",
        'a\tb\r\n"1"\t\u00e4\r\n'.encode("utf-16"),
        {"a": [1], "b": ["\u00e4"]},
    ),
    trouble(
        "emoji",
        "https://github.com/twentyhq/twenty/issues/5476",
        "a\n\U0001f600\U0001f44d\U0001f3fd\ne\u0301\n",
        {"a": ["\U0001f600\U0001f44d\U0001f3fd", "e\u0301"]},
    ),
    trouble(
        "gzip-of-several-members",
        POLARS + "1126",
        gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"),
        {"a": [1, 3], "b": [2, 4]},
    ),
    trouble(
        "zstd-of-several-frames",
        POLARS + "1126",
        zstd("a,b\n1,2\n") + zstd("3,4\n"),
        {"a": [1, 3], "b": [2, 4]},
    ),
]


@pytest.mark.parametrize(("url", "content", "columns"), READ)
def test_a_table_is_read_as_it_was_meant(
    tmp_path: Path, url: str, content: str | bytes, columns: dict[str, list[Any]]
) -> None:
    read = columns_of(open_source(write(tmp_path / "t.csv", content)))
    assert list(read) == list(columns), url
    assert read == columns, url


ROWS = "".join(f"{i},x\n" for i in range(5))
REFUSED = [
    trouble(
        "short-last-row",
        DUCKDB + "issues/6764",
        f"a,b,c\n{ROWS.replace(',x', ',x,y')}6,x\n",
        ["line 7 has 2 fields, the header has 3", "sed -n 7p"],
    ),
    trouble(
        "values-behind-the-header",
        PANDAS + "15203",
        f"a,b\n{ROWS}6,x,7\n",
        ["line 7 has 3 fields, the header has 2", "sed -n 7p"],
    ),
    trouble(
        "carriage-return-outside-quotes",
        "https://github.com/C2FO/fast-csv/issues/320",
        "a,b\r\n1,x\ry\r\n2,z\r\n",
        ["line 3 has 1 field", "sed -n 3p"],
    ),
    trouble(
        "single-quotes-around-a-delimiter",
        "https://github.com/mholt/PapaParse/issues/218",
        "id,name\n1,'Smith, J'\n2,'Doe, A'\n",
        ["line 2 has 3 fields", "sed -n 2p"],
    ),
    trouble(
        "footer-of-another-width",
        READR + "88",
        "id,race,language\n6543,Other,English\nPage -1 of 1\n",
        ["line 3 has 1 field", "Page -1 of 1"],
    ),
    trouble(
        "text-of-windows",
        "https://github.com/HXLStandard/libhxl-python/issues/271",
        "a,b\n1,it\u2019s\n".encode("cp1252"),
        ["byte 0x92 in line 2", "--encoding cp1252"],
    ),
    trouble(
        "utf-16-without-a-mark",
        "https://github.com/turicas/rows/issues/273",
        "a,b\n1,x\n".encode("utf-16-le"),
        ["--encoding utf-16-le"],
    ),
    trouble(
        "cut-gzip",
        PANDAS + "12098",
        gzip.compress(b"a,b\n" + b"1,2\n" * 1_000)[:-12],
        ["damaged or incomplete", "Truncated"],
    ),
    trouble(
        "web-page",
        "https://github.com/Autodesk/genetic-constructor/issues/957",
        "<!DOCTYPE html>\n<html>\n<body>\n<p>404</p>\n</body>\n</html>\n",
        ["HTML"],
    ),
    trouble(
        "pointer-of-git-lfs",
        "https://github.com/dipanjanS/practical-machine-learning-with-python/issues/1",
        "version https://git-lfs.github.com/spec/v1\noid sha256:3207c5d96b\nsize 230\n",
        ["Git LFS", "git lfs pull"],
    ),
]


@pytest.mark.parametrize(("url", "content", "fragments"), REFUSED)
def test_a_table_that_is_refused_says_where_and_what_to_try(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    content: str | bytes,
    fragments: list[str],
) -> None:
    assert main(["inspect", str(write(tmp_path / "t.csv", content))]) == 3, url
    message = capsys.readouterr().err
    assert [part for part in fragments if part not in message] == [], url
    assert "try: " in message
    assert len(message.splitlines()) <= 6
