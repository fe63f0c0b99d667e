"""Rows of the tables of troubles that users of other tools reported in public."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.table.source import Source

PANDAS = "https://github.com/pandas-dev/pandas/issues/"
DUCKDB = "https://github.com/duckdb/duckdb/"
POLARS = "https://github.com/pola-rs/polars/issues/"
DATATABLE = "https://github.com/h2oai/datatable/issues/"
CSVKIT = "https://github.com/wireservice/csvkit/"
READR = "https://github.com/tidyverse/readr/issues/"
CSVHELPER = "https://github.com/JoshClose/CsvHelper/issues/"
ARROW = "https://github.com/apache/arrow/"
DATAFUSION = "https://github.com/apache/datafusion/"


def trouble(name: str, url: str, *values: Any) -> Any:
    """Return a parameter set of a report and what it is about."""
    return pytest.param(url, *values, id=name)


def columns_of(source: Source) -> dict[str, list[Any]]:
    """Return the cells of a table by column, in order."""
    table = pa.Table.from_batches(source.batches(), source.schema)
    return {
        name: column.to_pylist() for name, column in zip(table.column_names, table, strict=True)
    }


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, and return its path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def packed(table: pa.Table, *later: pa.Table, **options: Any) -> bytes:
    """Return a Parquet file of tables, one row group each."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        for group in (table, *later):
            writer.write_table(group)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def put(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write tables, pandas frames and bytes below a folder, each as its name says."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
            continue
        text = content.encode() if isinstance(content, str) else content
        path.write_bytes(packed(text) if isinstance(text, pa.Table) else text)
    return folder


def times(kind: pa.DataType, *values: dt.datetime) -> pa.Table:
    """Return a table of one column `t` of a time type, whose values are given in UTC."""
    instants = pa.array(values, pa.timestamp("us")).cast(pa.timestamp(kind.unit))
    return pa.table({"t": instants.cast(pa.int64()).cast(kind)})


def utc(*times: dt.datetime) -> list[dt.datetime]:
    """Return times as instants in UTC."""
    return [time.replace(tzinfo=dt.UTC) for time in times]


DAY, FAR = dt.datetime(2024, 3, 31, 0, 30), dt.datetime(9999, 12, 31, 23, 59, 59)
A, B = pa.table({"a": [1, 2]}), pa.table({"a": [3]})


def dictionary(*values: str) -> pa.Table:
    """Return a table of one column `c` of dictionary-encoded texts."""
    return pa.table({"c": pa.array(values).dictionary_encode()})
