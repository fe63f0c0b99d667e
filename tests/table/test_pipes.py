from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from aecli.errors import DataError
from aecli.table.source import open_source

TABLE = pa.table({"a": [1, 2, 3], "t": ["x", "y", "PAR1PAR1"]})


def write_parquet(path: Path) -> None:
    pq.write_table(TABLE, path)


def write_stream(path: Path) -> None:
    with pa.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE)


def write_arrow(path: Path) -> None:
    with pa.ipc.new_file(path, TABLE.schema) as writer:
        writer.write_table(TABLE)


def write_csv(path: Path) -> None:
    pacsv.write_csv(TABLE, path)


def write_gzip(path: Path) -> None:
    write_csv(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def write_json(path: Path) -> None:
    TABLE.to_pandas().to_json(path, orient="records", lines=True)


def write_workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [TABLE.column_names, *zip(*TABLE.to_pydict().values(), strict=True)]:
        book.active.append(row)
    book.save(path)


WRITERS = [
    write_parquet,
    write_stream,
    write_arrow,
    write_csv,
    write_gzip,
    write_json,
    write_workbook,
]


@contextmanager
def pipe(path: Path, content: bytes) -> Iterator[Path]:
    """Make a named pipe that gives `content` to whoever opens it."""
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield path
    writer.join()


def rows(data: Any) -> list[dict[str, Any]]:
    source = open_source(data)
    batches = [*source.batches(), *source.batches()]
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("write", WRITERS)
def test_a_pipe_gives_its_rows_as_often_as_they_are_read(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "file")
    with pipe(tmp_path / "pipe", (tmp_path / "file").read_bytes()) as path:
        assert rows(path) == TABLE.to_pylist() * 2


def test_pipes_stand_beside_files(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv")
    content = (tmp_path / "t.csv").read_bytes()
    with pipe(tmp_path / "1", content) as first, pipe(tmp_path / "2", content) as second:
        source = open_source([first, tmp_path / "t.csv", second])
        assert source.paths == (tmp_path / "t.csv",)
        assert sum(batch.num_rows for batch in source.batches()) == 9


def test_a_file_called_dash_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "-")
    assert rows("./-") == TABLE.to_pylist() * 2


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n"])
def test_what_is_wrong_with_a_pipe_is_said_with_its_name(tmp_path: Path, content: bytes) -> None:
    with pipe(tmp_path / "pipe", content) as path, pytest.raises(DataError) as caught:
        rows(path)
    assert str(path) in caught.value.what


def test_a_device_without_bytes_is_empty() -> None:
    with pytest.raises(DataError, match="/dev/null is empty"):
        open_source("/dev/null")
