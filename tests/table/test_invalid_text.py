from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.errors import DataError
from aecli.table.source import Data, open_source

ROW = 70_000


TEXT = pa.array([b"ab"] * ROW + [b"\xff"], pa.binary()).view(pa.string())
"""`ROW` cells of text and one that is not UTF-8."""


def lists(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


def parquet(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "t.parquet")
    return folder / "t.parquet"


def arrow(folder: Path, table: pa.Table) -> Path:
    with pa.ipc.new_file(folder / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "t.arrow"


def in_memory(folder: Path, table: pa.Table) -> pa.Table:
    return table


STORES = [parquet, arrow, in_memory]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("column", "location"),
    [
        (TEXT, "row 70,001"),
        (
            pa.array([b"ab"] * ROW + [b"\xff"], pa.large_binary()).view(pa.large_string()),
            "row 70,001",
        ),
        # The first batch of Parquet has the dictionary of both.
        (TEXT.dictionary_encode(), "(row 70,001|rows 1 to 65,536)"),
        (lists(TEXT), "rows [0-9,]+ to 70,001"),
        (pa.StructArray.from_arrays([TEXT], ["inner"]), "rows [0-9,]+ to 70,001"),
    ],
    ids=["string", "large", "dictionary", "list", "struct"],
)
def test_text_that_is_not_utf_8_names_its_rows(
    tmp_path: Path, store: Callable[[Path, pa.Table], Data], column: pa.Array, location: str
) -> None:
    source = open_source(store(tmp_path, pa.table({"n": range(ROW + 1), "t": column})))
    assert sum(batch.num_rows for batch in source.select(["n"]).batches()) == ROW + 1
    with pytest.raises(DataError) as caught:
        list(source.batches())
    expected = f", {location}, column 't': the text is not valid UTF-8$"
    assert re.search(expected, caught.value.what)
    assert caught.value.hint == "write 't' again as UTF-8, or leave it out"


@pytest.mark.parametrize("store", [parquet, arrow])
@pytest.mark.parametrize("nested", [False, True])
def test_name_that_is_not_utf_8_is_refused(
    tmp_path: Path, store: Callable[[Path, pa.Table], Path], nested: bool
) -> None:
    cells = pa.array([1.0, 2.0])
    inner = pa.StructArray.from_arrays([cells], ["NAME"])
    columns = {"n": cells, "s": inner} if nested else {"n": cells, "NAME": cells}
    path = store(tmp_path, pa.table(columns))
    path.write_bytes(path.read_bytes().replace(b"NAME", b"N\xff\xfeE"))
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert "is not valid UTF-8" in caught.value.what
    assert "N\\xff\\xfeE" in caught.value.facts[0]


@pytest.mark.parametrize("store", [parquet, arrow])
def test_names_may_hold_any_character(
    tmp_path: Path, store: Callable[[Path, pa.Table], Data]
) -> None:
    table = pa.table([[1], [2], [3], [4]], ["a\0b", "c\nd", "", "é"])
    source = open_source(store(tmp_path, table))
    assert source.names == ["a\0b", "c\nd", "column_3", "é"]
    assert [row for batch in source.batches() for row in batch.to_pylist()] == [
        {"a\0b": 1, "c\nd": 2, "column_3": 3, "é": 4}
    ]


@pytest.mark.parametrize("store", STORES)
def test_table_without_columns_is_refused(
    tmp_path: Path, store: Callable[[Path, pa.Table], Data]
) -> None:
    with pytest.raises(DataError, match="has no columns") as caught:
        open_source(store(tmp_path, pa.table({})))
    assert caught.value.hint == "a table with at least one column"
