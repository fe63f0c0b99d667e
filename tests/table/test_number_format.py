"""Numbers as the world writes them become numbers, and other text does not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aecli.errors import UsageError
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions
from aecli.table.column_plan import describe_columns
from aecli.table.source import Source, open_source


def opened(folder: Path, cells: list[str], **options: Any) -> Source:
    """Return a table of tabs with the columns `x` and `k`."""
    lines = ["x\tk", *(f"{cell}\t{'ab'[i % 2]}" for i, cell in enumerate(cells)), ""]
    (folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    return open_source(folder / "t.csv", ReadOptions(**options))


def column(source: Source) -> tuple[str, list[Any]]:
    """Return the type and the cells of the column `x`."""
    table = pa.Table.from_batches(source.batches(), source.schema)
    return str(table["x"].type), table["x"].to_pylist()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["70,41", "-157,3", "8"], [70.41, -157.3, 8.0]),
        (["1.234,56", "12,5", "-1.234.567"], [1234.56, 12.5, -1234567.0]),
        (["1,234.56", "12.5", "1,234,567"], [1234.56, 12.5, 1234567.0]),
        (["12,34,567.5", "1,000"], [1234567.5, 1000.0]),
        (["1'234.5", "12’345", "7"], [1234.5, 12345.0, 7.0]),
        (["1 234,5", "12\u202f345,25", "7\u00a0000"], [1234.5, 12345.25, 7000.0]),
        (["1_000", "2_500_000"], [1000, 2500000]),
        ([",5", "-,25", "1,"], [0.5, -0.25, 1.0]),
        (["1,5e3", "2,25E-1"], [1500.0, 0.225]),
        (["$1,234.56", "-$5.00", "$ 7"], [1234.56, -5.0, 7.0]),
        (["R$ 1.234,50", "R$ 2,00"], [1234.5, 2.0]),
        (["5,00 €", "1.234,50 €"], [5.0, 1234.5]),
        (["USD 5.5", "USD 1,200.00"], [5.5, 1200.0]),
        (["₹12,34,567", "₹500", "₹1,00,000"], [1234567, 500, 100000]),
        (["12.5%", "7%", "-0.25 %"], [12.5, 7.0, -0.25]),
        (["(1,234.50)", "12.00", "(3.25)"], [-1234.5, 12.0, -3.25]),
        (["12.5-", "7.0", "0.5-"], [-12.5, 7.0, -0.5]),
        (["−5", "−7.5", "3"], [-5.0, -7.5, 3.0]),
        (["20.5 °C", "-3.0 °C"], [20.5, -3.0]),
        (["1.5 km/h", "20.25 km/h"], [1.5, 20.25]),
        (["5.5 µg/m³", "7.25 µg/m³"], [5.5, 7.25]),
        ([f"{i} kg" for i in range(9)], list(range(9))),
        (["1,5", "NA", "-", "2,5", "?", "null"], [1.5, None, None, 2.5, None, None]),
        (["1.5", "?", "-", "N/A", ".", "\\N", "2.5"], [1.5, *[None] * 5, 2.5]),
        (["9223372036854775808", "18446744073709551615"], [2**63, 2**64 - 1]),
        (["-1", "18446744073709551615"], [Decimal(-1), Decimal(2**64 - 1)]),
        (["134162602817392361472", "5"], [Decimal(134162602817392361472), Decimal(5)]),
        (["1" * 40, "2"], [Decimal("1" * 40), Decimal(2)]),
        (
            ["12345678901234567890.123456789012345678", "0.5"],
            [Decimal("12345678901234567890.123456789012345678"), Decimal("0.5")],
        ),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_meant(
    tmp_path: Path, cells: list[str], values: list[float]
) -> None:
    assert column(opened(tmp_path, cells))[1] == values


@pytest.mark.parametrize(
    "cells",
    [
        ["ABC123", "ABC124", "ABC125"],
        ["4th", "5th", "6th"],
        ["2WD", "4WD", "2WD"],
        ["12A", "13B", "14C"],
        ["10-20", "20-30", "30-40"],
        ["1 kg", "2 lb", "3 kg"],
        ["$5", "€6", "$7"],
        ["1.2.3", "1.2.4", "2.0.0"],
        ["192.168.0.1", "10.0.0.2", "8.8.8.8"],
        ["1,2,3", "4,5", "6,7"],
        ["007 kg", "012 kg", "015 kg"],
        ["5 PM", "6 PM", "7 PM"],
        ["1.234,5", "1,234.5", "7"],
        ["12e3456", "13e400", "14e999"],
        ["+491511234567", "+491511234568", "+491511234569"],
        ["3x", "4x", "5x"],
        ["192.168.168.126", "192.168.100.254", "172.160.201.111"],
        ["601 268 464", "602 111 222", "699 000 123"],
        ["low", "1", "2"],
    ],
)
def test_other_text_stays_text(tmp_path: Path, cells: list[str]) -> None:
    assert column(opened(tmp_path, cells)) == ("string", cells)


@pytest.mark.parametrize(
    ("cells", "options", "values"),
    [
        (["1,234", "2,500"], {}, ["1,234", "2,500"]),
        (["1,234", "2,500"], {"decimal": ","}, [1.234, 2.5]),
        (["1,234", "2,500"], {"decimal": "."}, [1234, 2500]),
        (["1,234", "2,500"], {"thousands": ","}, [1234, 2500]),
        (["1,234", "0,500"], {}, [1.234, 0.5]),
        (["1,234", "1,234,567"], {}, [1234, 1234567]),
        (["1.234", "2.500"], {}, [1.234, 2.5]),
        (["1.234", "2.500"], {"decimal": ","}, [1234, 2500]),
        (["1.234", "2.500"], {"thousands": "."}, [1234, 2500]),
        (["1.5", "2.25"], {"decimal": ","}, [1.5, 2.25]),
        (["1.234", "5.67"], {"decimal": ","}, [1.234, 5.67]),
        (["$1.234", "$2.500"], {}, ["$1.234", "$2.500"]),
        (["$1.234", "$2.500"], {"decimal": "."}, [1.234, 2.5]),
    ],
)
def test_a_mark_that_may_be_either_is_decided_by_the_user(
    tmp_path: Path, cells: list[str], options: dict[str, Any], values: list[Any]
) -> None:
    assert column(opened(tmp_path, cells, **options))[1] == values


@pytest.mark.parametrize(
    ("cell", "other", "values"),
    [
        ("1,234", "70,41", [1.234, 2.5]),
        ("1,234", "70.41", [1234, 2500]),
        ("1,234", "word", ["1,234", "2,500"]),
        ("1.234", "70,41", [1234, 2500]),
        ("1.234", "70,4 %", [1234, 2500]),
        ("1.234", "$70.41", [1.234, 2.5]),
        ("1.234", "word", [1.234, 2.5]),
    ],
)
def test_other_columns_decide_a_mark_that_may_be_either(
    tmp_path: Path, cell: str, other: str, values: list[Any]
) -> None:
    mark = cell[1]
    text = f"x;y\n{cell};{other}\n2{mark}500;{other.replace('7', '8')}\n"
    (tmp_path / "t.csv").write_text(text)
    assert column(open_source(tmp_path / "t.csv"))[1] == values


def test_the_whole_file_decides_not_its_first_block(tmp_path: Path) -> None:
    lines = ["1.234;a"] * 600_000
    (tmp_path / "t.csv").write_text("\n".join(["x;k", *lines, "1.234,5;a", "7,25;b", ""]))
    kind, values = column(open_source(tmp_path / "t.csv"))
    assert (kind, values[0], values[-2:]) == ("double", 1234.0, [1234.5, 7.25])


def test_several_files_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;k\n1.234;a\n")
    (tmp_path / "b.csv").write_text("x;k\n1.234,5;b\n")
    assert column(open_source(tmp_path))[1] == [1234.0, 1234.5]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (
            [*map(str, range(60)), "unknown", "n a"],
            "not a number: 60 of 62 cells are, the first other one is 'unknown' in line 62 "
            "(--null-values unknown)",
        ),
        (
            [*(f"{i},5" for i in range(60)), "1.5.3"],
            "not a number: 60 of 61 cells are, the first other one is '1.5.3' in line 62",
        ),
        (
            [f"{i},{i:03}" for i in range(1, 61)],
            "numbers in which ',' may separate decimals or thousands: --decimal , or --thousands ,",
        ),
        (
            [*(f"{i}.5%" for i in range(60)), "0"],
            "not a number: 60 of 61 cells are, the first other one is '0' in line 62",
        ),
        (
            [*map(str, range(60)), "n, a"],
            "not a number: 60 of 61 cells are, the first other one is 'n, a' in line 62",
        ),
    ],
)
def test_a_column_that_is_left_out_says_why(tmp_path: Path, cells: list[str], reason: str) -> None:
    plan = describe_columns(opened(tmp_path, cells), ColumnOptions())
    assert {item.name: item.reason for item in plan.left_out} == {"x": reason}


def test_missing_marks_leave_integers_exact(tmp_path: Path) -> None:
    cells = ["9007199254740993", "nan", "9007199254740995", "NaN"]
    assert column(opened(tmp_path, cells)) == ("int64", [2**53 + 1, None, 2**53 + 3, None])
    long = ["123456789012345678901234567890", "NaN", "123456789012345678901234567891"]
    assert column(opened(tmp_path, long))[1] == [Decimal(long[0]), None, Decimal(long[2])]


@pytest.mark.parametrize("mark", ["1", "-", '"', ";"])
def test_a_thousands_mark_that_is_none_is_refused(tmp_path: Path, mark: str) -> None:
    with pytest.raises(UsageError, match="is not a thousands separator"):
        opened(tmp_path, ["1", "2"], thousands=mark)


def test_addresses_of_any_length_are_no_numbers(tmp_path: Path) -> None:
    cells = ["192.168.101.102", "10.100.101.102", "172.160.201.111"]
    assert column(opened(tmp_path, cells)) == ("string", cells)


def test_what_was_found_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x;y;p;k\n1,5;2,5;5%;a\n2,25;7,5;6%;b\n")
    source = open_source(tmp_path / "t.csv")
    assert len([source.schema, source.select(["x"]).schema]) == 2
    assert source.notes == ["text read as numbers and dates: x, y (decimal comma), p (in %)"]
