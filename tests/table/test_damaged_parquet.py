from __future__ import annotations

import os
import struct
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.errors import DataError
from aecli.table import parquet_reader
from aecli.table.parquet_pages import column_chunks, read_footer_bytes
from aecli.table.source import open_source
from tests.reliability.children import resident_bytes, run_child
from tests.reliability.mutated_runs import failures

ROWS = 5_555
MEGABYTE = 10**6
TWO_GIGABYTES = b"\xfe\xff\xff\xff\x0f"  # as Thrift writes the size of a page
A_MILLION_ITEMS = b"\xfc\xbf\x84\x3d"


def written(path: Path, rows: int = 100) -> bytes:
    pq.write_table(pa.table({"a": range(rows), "b": range(rows)}), path, use_dictionary=False)
    return path.read_bytes()


def read_all(path: Path) -> int:
    """Read a file as commands do; the exit code is that of the error."""
    try:
        list(open_source(path).batches())
    except DataError as error:
        return error.exit_code
    return 0


@pytest.mark.parametrize("buffered", [True, False])
def test_page_that_claims_gigabytes_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffered: bool
) -> None:
    path = tmp_path / "t.parquet"
    content = bytearray(written(path))
    page = pq.read_metadata(path).row_group(0).column(1).data_page_offset
    # A header begins with its type, then the sizes: each is a byte of its field, then the number.
    at = page + 2
    while content[at] & 128 or content[at + 1] != 0x15:
        at += 1
    content[at + 2 : at + 2 + len(TWO_GIGABYTES)] = TWO_GIGABYTES
    path.write_bytes(content)
    if buffered:
        monkeypatch.setattr(parquet_reader, "_SMALL_GROUP_BYTES", 0)
    before = resident_bytes(os.getpid())
    run = run_child(partial(read_all, path), most_resident=before + 2_000 * MEGABYTE)
    assert (run.code, failures(run, before + 800 * MEGABYTE)) == (3, [])
    assert [batch.num_rows for batch in open_source(path).select(["a"]).batches()] == [100]


def test_footer_that_claims_a_million_columns_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    content = written(path)
    start = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
    footer = content[start:-8]
    columns = footer.index(b"\x19\x2c", footer.index(b"\x19\x1c") + 2)  # inside of the row groups
    footer = footer[: columns + 1] + A_MILLION_ITEMS + footer[columns + 2 :]
    path.write_bytes(content[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1")
    before = resident_bytes(os.getpid())
    run = run_child(partial(read_all, path), most_resident=before + 2_000 * MEGABYTE)
    assert (run.code, failures(run, before + 500 * MEGABYTE)) == (3, [])


def test_statistics_that_contradict_the_schema_do_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1.0, None, 2.0]}), path)
    content = bytearray(path.read_bytes())
    footer = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
    optional = content.index(b"\x25\x02", footer)
    content[optional + 1] = 0  # required now, while values are still counted by definition level
    path.write_bytes(content)
    run = run_child(partial(read_all, path))
    assert run.code == 3


def test_columns_lie_where_arrow_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    nested = pa.array([{"x": [1, 2], "y": {"k": True}}, None] * 100)
    table = pa.table({"a": range(200), "nested": nested, "text": ["a", "b"] * 100})
    table = table.replace_schema_metadata({"of the file": "0" * 5_000})
    order = [pq.SortingColumn(0)]
    pq.write_table(table, path, row_group_size=60, sorting_columns=order, write_page_index=True)
    metadata = pq.read_metadata(path)
    found = [
        [
            (
                start := column.dictionary_page_offset or column.data_page_offset,
                start + column.total_compressed_size,
            )
            for column in map(metadata.row_group(number).column, range(metadata.num_columns))
        ]
        for number in range(4)
    ]
    with pa.OSFile(str(path)) as file:
        chunks = column_chunks(read_footer_bytes(file), metadata.num_columns)
    assert [[chunk[:2] for chunk in group] for group in chunks] == found


@pytest.mark.parametrize("claimed", [90, 6_000])
def test_rows_that_the_footer_counts_must_be_there(tmp_path: Path, claimed: int) -> None:
    path = count_rows_otherwise(tmp_path, claimed, 1)
    with pytest.raises(DataError, match="damaged"):
        list(open_source(path).batches())


def test_rows_that_no_memory_could_hold_are_counted_by_reading(tmp_path: Path) -> None:
    source = open_source(count_rows_otherwise(tmp_path, 2**40, -1))
    assert source.n_rows is None
    assert sum(batch.num_rows for batch in source.batches()) == ROWS


def count_rows_otherwise(folder: Path, claimed: int, places: int) -> Path:
    """Write a file whose footer counts `claimed` rows in its first places."""
    path = folder / "t.parquet"
    content = written(path, ROWS)
    start = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
    footer = content[start:-8].replace(varint(ROWS), varint(claimed), places)
    path.write_bytes(content[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1")
    return path


def varint(number: int) -> bytes:
    number *= 2
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])


def test_large_row_groups_are_read_in_buffers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of every kind have headers that the check must understand."""
    rows = 20_000
    table = pa.table(
        {
            "text": [f"{'long ' * 60}{row}" for row in range(rows)],
            "few": pa.array([f"v{row % 9}" for row in range(rows)]),
            "lists": pa.array([[row, None] for row in range(rows)]),
            "x.y": [row * 0.5 for row in range(rows)],
        }
    )
    monkeypatch.setattr(parquet_reader, "_SMALL_GROUP_BYTES", 1000)
    for number, version in enumerate(("1.0", "2.0")):
        for codec in ("none", "snappy", "zstd"):
            path = tmp_path / f"{number}{codec}.parquet"
            pq.write_table(
                table, path, data_page_version=version, compression=codec,
                data_page_size=4_000, write_page_checksum=True,
            )  # fmt: skip
            assert pa.Table.from_batches(open_source(path).batches()).equals(table)
