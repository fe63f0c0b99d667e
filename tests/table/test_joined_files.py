from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.errors import DataError
from aecli.table.source import open_source

TABLE = pa.table({"a": [1, 2, 3], "t": ["x", "y", "PAR1PAR1"]})


def rows(data: Any) -> list[dict[str, Any]]:
    source = open_source(data)
    batches = [*source.batches(), *source.batches()]
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"write_page_index": True},
        {"compression": None, "use_dictionary": False, "write_page_index": True},
        {"row_group_size": 1},
    ],
)
def test_parquet_files_one_after_the_other_are_refused(
    tmp_path: Path, options: dict[str, Any], count: int
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path, **options)
    assert rows(path) == TABLE.to_pylist() * 2
    path.write_bytes(path.read_bytes() * count)
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert caught.value.what == f"{path} contains {count} Parquet files"
    assert caught.value.hint == "separate files: aecli … a.parquet b.parquet"


@pytest.mark.parametrize("empty", [0, 1])
def test_an_empty_parquet_file_counts_among_joined_ones(tmp_path: Path, empty: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path)
    parts = [path.read_bytes()]
    pq.write_table(TABLE.slice(0, 0), path)
    parts.insert(empty, path.read_bytes())
    path.write_bytes(b"".join(parts))
    with pytest.raises(DataError, match="contains 2 Parquet files"):
        open_source(path)


def test_arrow_streams_one_after_the_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.arrows"
    with pa.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(DataError, match="contains several Arrow streams"):
        rows(path)


def test_gzip_members_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,t\n1,x\n") + gzip.compress(b"2,y\n"))
    assert rows(path) == [{"a": 1, "t": "x"}, {"a": 2, "t": "y"}] * 2
