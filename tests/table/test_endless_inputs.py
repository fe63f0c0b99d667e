"""Inputs that never end, or that unpack to far more than memory holds, are refused or streamed."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import zlib
from pathlib import Path

import openpyxl
import pytest

from aecli.errors import DataError
from aecli.table.excel import reader
from aecli.table.source import open_source

MEGABYTE = b"a" * (1 << 20)


def gzipped(path: Path, head: bytes, block: bytes, blocks: int) -> Path:
    """Write a gzip file of a head and many equal blocks, without holding it in memory."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(blocks):
            file.write(packer.compress(block))
        file.write(packer.flush())
    return path


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full"])
def test_a_device_is_not_a_table(device, tmp_path):
    (tmp_path / "table.csv").symlink_to(device)
    for name in (device, str(tmp_path / "table.csv")):
        with pytest.raises(DataError, match="is a device, not a table"):
            open_source(name)


def test_a_socket_and_a_dangling_link_are_explained(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(DataError, match="cannot read"):
            open_source(str(tmp_path / "socket"))
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    with pytest.raises(DataError, match="does not exist"):
        open_source(str(tmp_path / "link.csv"))
    with pytest.raises(DataError, match="is empty"):
        open_source(os.devnull)


def test_the_writer_of_a_named_pipe_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    later = threading.Timer(0.3, (tmp_path / "pipe").write_text, ["a,b\n1,x\n2,y\n"])
    later.start()
    source = open_source(str(tmp_path / "pipe"))
    later.join()
    assert sum(batch.num_rows for batch in source.batches()) == 2


@pytest.mark.parametrize(
    ("name", "head", "message"),
    [
        ("line.csv.gz", b"", "a row is longer than 16 MB"),
        ("header.csv.gz", b"a,b\n", "a row is longer than 16 MB"),
        ("spaces.csv.gz", b"a b\n1 2\n3 4\n5 6\n" + b"7 8\n" * 50, "a row is longer than 16 MB"),
        ("line.jsonl.gz", b'{"a": 1}\n{"a": "', "line 2 is longer than 16 MB"),
    ],
)
def test_a_line_that_does_not_end_is_refused(tmp_path, name, head, message):
    path = gzipped(tmp_path / name, head, MEGABYTE, 20)
    with pytest.raises(DataError, match=message):
        list(open_source(str(path)).batches())


@pytest.mark.parametrize("delimiter", [",", ", "])
def test_a_quote_that_is_never_closed_is_found(tmp_path, delimiter):
    rows = f"a{delimiter}b\n" + f"1{delimiter}2\n" * 50 + f'3{delimiter}"'
    block = (b"a" * 1_023 + b"\n") * 1_024
    path = gzipped(tmp_path / "quote.csv.gz", rows.encode(), block, 20)
    with pytest.raises(DataError, match="line 52 opens a quote that is never closed"):
        list(open_source(str(path)).batches())


@pytest.mark.parametrize("suffix", [".xlsx", ".xlsx.gz"])
def test_a_workbook_that_unpacks_to_more_than_memory_is_refused(
    tmp_path, monkeypatch, suffix
) -> None:
    monkeypatch.setattr(reader, "_MAX_UNPACKED_BYTES", 100_000)
    book = openpyxl.Workbook()
    for row in [["a", "b"], *([1, 2] for _ in range(3_000))]:
        book.active.append(row)
    book.save(tmp_path / "rows.xlsx")
    path = tmp_path / f"rows{suffix}"
    if suffix.endswith(".gz"):
        path.write_bytes(gzip.compress((tmp_path / "rows.xlsx").read_bytes()))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"decompresses to over 100\.0 kB"):
        open_source(str(path))


def test_many_lines_of_a_small_file_are_read_in_batches(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,x\n" * 2_000_000))
    rows = 0
    for batch in open_source(str(path)).batches():
        assert batch.nbytes < 1 << 22
        rows += batch.num_rows
    assert rows == 2_000_000
