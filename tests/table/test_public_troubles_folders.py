"""Troubles with tables of several files that users of other tools reported in public."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aecli.errors import DataError
from aecli.table.source import open_source
from tests.troubles import (
    ARROW,
    CSVKIT,
    DATAFUSION,
    DAY,
    DUCKDB,
    FAR,
    PANDAS,
    POLARS,
    A,
    B,
    columns_of,
    dictionary,
    put,
    times,
    trouble,
    utc,
)

READ = [
    trouble(
        "file-without-rows",
        "https://github.com/apache/doris/issues/1594",
        {"1.parquet": A[:0], "2.parquet": A},
        {"a": [1, 2]},
    ),
    trouble(
        "file-without-bytes",
        DATAFUSION + "issues/13737",
        {"1.parquet": b"", "2.parquet": A},
        {"a": [1, 2]},
    ),
    # What else lies in a folder.
    trouble(
        "marks-of-spark",
        "https://github.com/ray-project/ray/issues/57704",
        {
            "part-0.parquet": A,
            "_SUCCESS": b"",
            "_metadata": b"PAR1",
            "_common_metadata": b"x",
            ".part-0.parquet.crc": b"crc",
            "_temporary/0/part-1.parquet": B,
        },
        {"a": [1, 2]},
    ),
    trouble(
        "copy-in-progress",
        ARROW + "pull/4478",
        {"1.parquet": A, "2.parquet._COPYING_": b"PAR1", "3.parquet.tmp": b"PAR1"},
        {"a": [1, 2]},
    ),
    trouble(
        "lock-of-an-office-program",
        "https://github.com/exploratory-io/exploratory_func/pull/1383",
        {"t.csv": "a\n1\n2\n", "~$t.csv": b"\x05owner\0\0"},
        {"a": [1, 2]},
    ),
    trouble(
        "packed-and-plain",
        "https://github.com/openwsn-berkeley/mercator/issues/52",
        {"1.csv": "a,b\n1,2\n", "2.csv.gz": gzip.compress(b"b,a\n4,3\n")},
        {"a": [1, 3], "b": [2, 4]},
    ),
    trouble(
        "delimiter-of-each-file",
        DUCKDB + "issues/14115",
        {"1.csv": "a,b\n1,2\n", "2.csv": "a|b\n3|4\n"},
        {"a": [1, 3], "b": [2, 4]},
    ),
    trouble(
        "padding-in-one-file",
        CSVKIT + "issues/858",
        {"1.csv": "zip\n90210\n", "2.csv": "zip\n02134\n"},
        {"zip": ["90210", "02134"]},
    ),
    # JSON lines.
    trouble(
        "json-with-a-mark",
        "https://github.com/serde-rs/json/issues/805",
        {"t.jsonl": b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n'},
        {"a": [1, 2]},
    ),
    trouble(
        "json-integers-then-floats",
        POLARS + "22229",
        {"t.jsonl": '{"a": 7}\n{"a": 3.5}\n{}\n'},
        {"a": [7, 3.5, None]},
    ),
    trouble(
        "json-numbers-then-texts",
        POLARS + "6813",
        {"t.jsonl": '{"a": 539454}\n{"a": "007"}\n'},
        {"a": ["539454", "007"]},
    ),
    # Types that differ between files.
    trouble(
        "integers-then-floats",
        DUCKDB + "issues/1286",
        {"1.parquet": A, "2.parquet": pa.table({"a": [1.5]})},
        {"a": [1.0, 2.0, 1.5]},
    ),
    trouble(
        "wider-integers-later",
        DUCKDB + "issues/1214",
        {"1.parquet": pa.table({"a": pa.array([1], pa.int32())}), "2.parquet": B},
        {"a": [1, 3]},
    ),
    trouble(
        "nothing-then-text",
        PANDAS + "55731",
        {"1.parquet": pa.table({"a": pa.nulls(1)}), "2.parquet": pa.table({"a": ["x"]})},
        {"a": [None, "x"]},
    ),
    trouble(
        "texts-of-three-types",
        ARROW + "issues/47177",
        {
            "1.parquet": dictionary("x"),
            "2.parquet": pa.table({"c": ["y"]}),
            "3.parquet": pa.table({"c": pa.array(["z"], pa.large_string())}),
        },
        {"c": ["x", "y", "z"]},
    ),
    trouble(
        "columns-in-another-order",
        "https://github.com/johnkerl/miller/pull/2148",
        {"1.parquet": pa.table({"a": [1], "b": [2]}), "2.parquet": pa.table({"b": [3], "a": [4]})},
        {"a": [1, 4], "b": [2, 3]},
    ),
    trouble(
        "two-zones",
        DATAFUSION + "issues/5823",
        {
            "1.parquet": times(pa.timestamp("us", "UTC"), DAY),
            "2.parquet": times(pa.timestamp("us", "Europe/Berlin"), DAY),
        },
        {"t": utc(DAY, DAY)},
    ),
    # Partitions.
    trouble(
        "partition-without-a-value",
        DUCKDB + "pull/20512",
        {"x=1/t.parquet": A[:1], "x=__HIVE_DEFAULT_PARTITION__/t.parquet": B},
        {"a": [1, 3], "x": [1, None]},
    ),
    trouble(
        "encoded-partition",
        DATAFUSION + "issues/19650",
        {"c=foo%2Fbar%20x/t.parquet": A[:1], "c=%C3%A9/t.parquet": B},
        {"a": [3, 1], "c": ["\u00e9", "foo/bar x"]},
    ),
    trouble(
        "plus-sign-in-a-partition",
        "https://github.com/elastic/elasticsearch/pull/153908",
        {"tag=a+b/t.parquet": A[:1]},
        {"a": [1], "tag": ["a+b"]},
    ),
    trouble(
        "padded-partition",
        "https://github.com/apache/iceberg/pull/6779",
        {"hour=01/t.parquet": A[:1], "hour=12/t.parquet": B},
        {"a": [1, 3], "hour": ["01", "12"]},
    ),
    trouble(
        "encoded-name-of-a-partition",
        DUCKDB + "pull/12974",
        {"my%20key=1/t.parquet": A[:1], "my%20key=2/t.parquet": B},
        {"a": [1, 3], "my key": [1, 2]},
    ),
]


@pytest.mark.parametrize(("url", "files", "columns"), READ)
def test_files_are_read_together_as_they_were_meant(
    tmp_path: Path, url: str, files: dict[str, Any], columns: dict[str, list[Any]]
) -> None:
    read = columns_of(open_source(put(tmp_path / "data", files)))
    assert list(read) == list(columns), url
    assert read == columns, url


def test_a_glob_skips_files_without_bytes_as_a_folder_does(tmp_path: Path) -> None:
    folder = put(tmp_path / "data", {"1.parquet": b"", "2.parquet": A})
    assert columns_of(open_source(str(folder / "*.parquet"))) == {"a": [1, 2]}


REFUSED = [
    trouble(
        "column-added-later",
        POLARS + "24050",
        {"1.parquet": A, "2.parquet": pa.table({"a": [2], "y": [1]})},
        ["have different columns", "only this file has: y"],
    ),
    trouble(
        "header-in-the-first-file-only",
        CSVKIT + "issues/188",
        {"1.csv": "x,y\n1,2\n", "2.csv": "3,4\n5,6\n"},
        ["have different columns", "only this file has: 3, 4"],
    ),
    trouble(
        "header-in-another-case",
        DUCKDB + "issues/673",
        {"1.csv": "x,y\n1,2\n", "2.csv": "X,Y\n3,4\n"},
        ["have different columns", "only this file has: X, Y"],
    ),
    trouble(
        "numbers-and-texts",
        "https://github.com/apache/spark/pull/20953",
        {"1.parquet": A, "2.parquet": pa.table({"a": ["x"]})},
        ["column 'a' has different types", "string in", "int64 in", "1.parquet", "2.parquet"],
    ),
    trouble(
        "with-and-without-a-zone",
        POLARS + "29458",
        {
            "1.parquet": times(pa.timestamp("us"), DAY),
            "2.parquet": times(pa.timestamp("us", "UTC"), DAY),
        },
        ["column 't' has different types", "1.parquet", "2.parquet"],
    ),
    trouble(
        "nanoseconds-and-far-dates",
        "https://github.com/aws/aws-sdk-pandas/pull/3358",
        {"1.parquet": times(pa.timestamp("ns"), DAY), "2.parquet": times(pa.timestamp("us"), FAR)},
        ["2.parquet", "column 't'", "9999-12-31 23:59:59"],
    ),
]


@pytest.mark.parametrize(("url", "files", "fragments"), REFUSED)
def test_files_that_do_not_fit_together_are_named(
    tmp_path: Path, url: str, files: dict[str, Any], fragments: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        columns_of(open_source(put(tmp_path / "data", files)))
    message = "\n".join(caught.value.lines())
    assert [part for part in fragments if part not in message] == [], url
    assert caught.value.hint
    assert len(caught.value.lines()) <= 6
