"""Large integers and decimals of every type, copied to every output format: no digit changes."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.table.cells.reading import Reading
from aecli.table.source import open_source
from aecli.table.writers import open_writer


def decimals(kind: pa.DataType, *texts: str) -> pa.Array:
    return pa.array([*(Decimal(text) for text in texts), None], kind)


UNSIGNED = pa.array([2**64 - 1, 2**63, 2**53 + 1, None], pa.uint64())
LARGE = decimals(pa.decimal128(38, 2), f"{'1234567890' * 3}123456.78", "-0.01", "0")
CELLS = {
    "int64": pa.array([2**63 - 1, -(2**63), 2**53 + 1, None]),
    "uint64": UNSIGNED,
    "dictionary": UNSIGNED.dictionary_encode(),
    "decimal32": decimals(pa.decimal32(9, 2), "1234567.89", "-0.01", "0"),
    "decimal64": decimals(pa.decimal64(18, 2), "1234567890123456.78", "-0.01", "0"),
    "decimal128": LARGE,
    "fractions": decimals(pa.decimal128(38, 38), f"0.{'12345678' * 4}123456", "-1e-38", "0"),
    "decimal256": decimals(pa.decimal256(76, 16), f"{'1' * 60}.{'9' * 16}", "-1e-16", "0"),
    "thousands": decimals(pa.decimal128(5, -3), "12000", "-99999000", "0"),
    "decimals": LARGE.dictionary_encode(),
}
OFFSETS = pa.array([0, 2, 2, 4], pa.int32())
LISTS = {
    f"list of {name}": pa.ListArray.from_arrays(OFFSETS, array)
    for name, array in CELLS.items()
    if not pa.types.is_dictionary(array.type)
}


def copied(array: pa.Array, path: Path) -> Path:
    table = pa.table({"x": array, "row": range(len(array))})
    with open_writer(str(path), table.schema) as write:
        for batch in table.to_batches(max_chunksize=3):
            write(batch)
    return path


def numbers(path: Path) -> list[Any]:
    """Return the cells as other programs read them that lose no digit."""
    match path.suffix:
        case ".parquet":
            return pq.read_table(path)["x"].to_pylist()
        case ".arrow":
            return pa.ipc.open_file(path).read_all()["x"].to_pylist()
        case ".jsonl":
            lines = path.read_text().splitlines()
            return [json.loads(line, parse_float=Decimal)["x"] for line in lines]
    delimiter = "\t" if path.suffix == ".tsv" else ","
    with path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter=delimiter))[1:]
    return [Decimal(cell) if cell else None for cell, _ in rows]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("name", CELLS)
def test_cells_keep_all_digits(name: str, suffix: str, tmp_path: Path) -> None:
    assert numbers(copied(CELLS[name], tmp_path / f"o.{suffix}")) == CELLS[name].to_pylist()


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl"])
@pytest.mark.parametrize("name", LISTS)
def test_lists_keep_all_digits(name: str, suffix: str, tmp_path: Path) -> None:
    assert numbers(copied(LISTS[name], tmp_path / f"o.{suffix}")) == LISTS[name].to_pylist()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("name", [*CELLS, *LISTS])
def test_typed_formats_read_back_equal(name: str, suffix: str, tmp_path: Path) -> None:
    array = (CELLS | LISTS)[name]
    source = open_source(copied(array, tmp_path / f"o.{suffix}"))
    cells = [cell for batch in source.batches() for cell in batch.column("x").to_pylist()]
    assert cells == array.to_pylist()


@pytest.mark.parametrize("name", ["uint64", "decimal64", "decimal128", "fractions", "decimal256"])
def test_json_lines_read_back_equal_as_their_type(name: str, tmp_path: Path) -> None:
    source = open_source(copied(CELLS[name], tmp_path / "o.jsonl"))
    typed = source.select(["x"], {"x": Reading(CELLS[name].type)})
    cells = [cell for batch in typed.batches() for cell in batch.column("x").to_pylist()]
    assert cells == CELLS[name].to_pylist()


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        (pa.decimal128(20, 2), pa.decimal128(18, 6), pa.decimal128(24, 6)),
        (pa.decimal128(38, 0), pa.decimal128(38, 10), pa.decimal256(48, 10)),
        (pa.decimal128(20, 2), pa.int64(), pa.decimal128(22, 2)),
        (pa.uint64(), pa.decimal256(60, 30), pa.decimal256(60, 30)),
        (pa.decimal128(5, -3), pa.decimal128(9, 2), pa.decimal128(10, 2)),
        (pa.decimal256(76, 0), pa.decimal256(76, 76), pa.float64()),
        (pa.decimal128(20, 2), pa.float32(), pa.float64()),
    ],
    ids=str,
)
def test_files_of_several_decimal_types_are_one_that_holds_all_digits(
    first: pa.DataType, second: pa.DataType, joined: pa.DataType, tmp_path: Path
) -> None:
    written: list[Decimal | int | None] = []
    for name, kind in (("a", first), ("b", second)):
        value = 0 if getattr(kind, "scale", 0) > 70 else 1000
        values = pa.array([Decimal(value) if pa.types.is_decimal(kind) else value, None], kind)
        table = pa.table({"x": values})
        with pa.ipc.new_file(tmp_path / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table)
        written += [value, None]
    source = open_source(str(tmp_path / "*.arrow"))
    assert source.schema.field("x").type == joined
    cells = [cell for batch in source.batches() for cell in batch.column("x").to_pylist()]
    assert cells == written
