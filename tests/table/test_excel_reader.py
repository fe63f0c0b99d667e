from __future__ import annotations

import datetime as dt
import gzip
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest

from aecli.errors import AecliError, DataError
from aecli.schema.read_options import ReadOptions
from aecli.table.cells.reading import Reading
from aecli.table.source import Source, open_source
from aecli.table.writers import output_format

NAMES = ["a", "b", "c"]
ROWS = [NAMES, [1, "x", 0.5], [2, "y", 1.5], [3, "x", 2.5]]
DAY, NOON = dt.datetime(2024, 1, 31), dt.datetime(2024, 1, 31, 12, 30)
TABLE = [dict(zip(NAMES, row, strict=True)) for row in ROWS[1:]]


def workbook(path: Path, rows: Sequence[Sequence[Any]], *, merge: Sequence[str] = ()) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    for cells in merge:
        sheet.merge_cells(cells)
    book.save(path)
    return path


def rows(source: Source) -> list[dict[str, Any]]:
    return [row for batch in source.batches() for row in batch.to_pylist()]


def refusal(path: Path, **options: Any) -> AecliError:
    with pytest.raises(DataError) as caught:
        rows(open_source(path, ReadOptions(**options)))
    assert len(caught.value.lines()) <= 6
    return caught.value


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ([1, 2.0, None], "int64", [1, 2, None]),
        ([1, 2.5, -3], "double", [1.0, 2.5, -3.0]),
        ([1, 1e300, 2], "double", [1.0, 1e300, 2.0]),
        ([2**53 + 2, 1, 2], "double", [2.0**53 + 2, 1.0, 2.0]),
        ([True, False, None], "bool", [True, False, None]),
        ([DAY, None, DAY], "date32[day]", [DAY.date(), None, DAY.date()]),
        ([DAY, NOON, None], "timestamp[us]", [DAY, NOON, None]),
        ([dt.time(1, 2, 3), None, None], "time64[us]", [dt.time(1, 2, 3), None, None]),
        (
            [dt.timedelta(hours=30), dt.timedelta(0), None],
            "duration[us]",
            [dt.timedelta(hours=30), dt.timedelta(0), None],
        ),
        (["x", None, " y"], "string", ["x", None, " y"]),
        (["#N/A", 1, "#DIV/0!"], "int64", [None, 1, None]),
        ([None, "#REF!", None], "null", [None, None, None]),
        ([1, "x", 2.5], "string", ["1", "x", "2.5"]),
        ([1, "NA", 2.5], "double", [1.0, None, 2.5]),
        ([DAY, "later", NOON], "string", ["2024-01-31", "later", "2024-01-31 12:30:00"]),
        ([DAY, "2024-02-01", None], "date32[day]", [DAY.date(), dt.date(2024, 2, 1), None]),
        ([True, "unknown", 1], "string", ["TRUE", "unknown", "1"]),
        (["007", "008", None], "string", ["007", "008", None]),
    ],
)
def test_cells_have_the_type_that_they_have_in_the_sheet(
    tmp_path: Path, cells: list[Any], kind: str, values: list[Any]
) -> None:
    path = workbook(tmp_path / "t.xlsx", [["n", "x"], *([i, c] for i, c in enumerate(cells))])
    source = open_source(path)
    assert str(source.schema.field("x").type) == kind
    assert [row["x"] for row in rows(source)] == values


def test_a_kind_that_changes_far_below_makes_text_of_all_cells(tmp_path: Path) -> None:
    cells = [*range(17_000), "x"]
    source = open_source(workbook(tmp_path / "t.xlsx", [["x"], *([cell] for cell in cells)]))
    assert [row["x"] for row in rows(source)] == [str(cell) for cell in cells]


@pytest.mark.parametrize(
    ("sheet", "merge"),
    [
        (ROWS, ()),
        ([[], [], *ROWS], ()),
        ([[None, None, *row] for row in ROWS], ()),
        ([["Report of 2024"], [], *ROWS], ("A1:C1",)),
        ([["Report"], ["Author", "Bo"], *ROWS], ()),
        ([["Report"], [], *([None, None, *row] for row in ROWS)], ()),
        ([[None, "left", "right"], *ROWS], ("B1:B1",)),
        ([["all", "numbers", None], *ROWS], ("B1:C1",)),
        ([["a", "values", None], [None, "b", "c"], *ROWS[1:]], ("A1:A2", "B1:C1")),
        ([*ROWS, [], [None, None, None]], ()),
        ([ROWS[0], *([*row, None, None] for row in ROWS[1:])], ()),
        ([*ROWS[:2], [], *ROWS[2:]], ()),
    ],
    ids=[
        "plain",
        "empty rows",
        "empty columns",
        "merged title",
        "lines above",
        "title left of the table",
        "unnamed column",
        "groups of columns",
        "merged names",
        "empty rows below",
        "empty cells to the right",
        "empty row between",
    ],
)
def test_the_table_is_found_in_its_sheet(
    tmp_path: Path, sheet: Sequence[Sequence[Any]], merge: Sequence[str], request: Any
) -> None:
    if request.node.callspec.id == "unnamed column":
        sheet = [["", "b", "c"], *ROWS[1:]]
        expected = [{"column_1": r["a"], "b": r["b"], "c": r["c"]} for r in TABLE]
    else:
        expected = TABLE
    assert rows(open_source(workbook(tmp_path / "t.xlsx", sheet, merge=merge))) == expected


SPARSE = [list("abcde"), [1], [2, None, 3], [3], [4, None, None, None, 5]]


@pytest.mark.parametrize(
    ("sheet", "names", "count"),
    [
        ([["a", 2020, 2021], ["x", 1, 2], ["y", 3, 4]], ["a", "2020", "2021"], 2),
        ([["a", DAY], ["x", 1], ["y", 3]], ["a", "2024-01-31"], 2),
        ([["a", "b"], *([i, i, "note"] for i in range(3))], ["a", "b", "column_3"], 3),
        ([["a", "b"], [1, 2, "note"], *([i, i] for i in range(3))], ["a", "b", "column_3"], 4),
        ([["a", "a", ""], [1, 2, 3], [3, 4, 5]], ["a", "a_2", "column_3"], 2),
        (SPARSE, list("abcde"), 4),
        ([["Report"], *SPARSE], list("abcde"), 4),
        ([["x"], [1], [None], [3]], ["x"], 3),
        ([["a", "b"]], ["a", "b"], 0),
    ],
    ids=[
        "years",
        "dates",
        "notes without a name",
        "a single note",
        "names that repeat",
        "sparse rows",
        "sparse rows below a title",
        "one column with a gap",
        "names only",
    ],
)
def test_names_are_told_from_rows(
    tmp_path: Path, sheet: Sequence[Sequence[Any]], names: list[str], count: int
) -> None:
    source = open_source(workbook(tmp_path / "t.xlsx", sheet))
    assert source.names == names
    assert len(rows(source)) == count


def test_rows_above_the_names_are_counted(tmp_path: Path) -> None:
    source = open_source(workbook(tmp_path / "t.xlsx", [["Report"], [], ["by Bo"], *ROWS]))
    assert [n for n in source.notes if "above" in n] == [
        f"{tmp_path / 't.xlsx'}: rows above the column names, skipped: 2"
    ]


def test_names_without_text_are_mentioned(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [[1, 0.5], [2, 1.5]])
    note = f"{path}: the column names have no text; --header none, if they are a row"
    assert open_source(path).notes == [note]
    assert len(rows(open_source(path, ReadOptions(header="none")))) == 2


@pytest.mark.parametrize(
    ("options", "names", "first"),
    [
        ({"header": 2}, ["1", "x", "0.5"], [2, "y", 1.5]),
        ({"header": "none"}, ["column_1", "column_2", "column_3"], ["a", "b", "c"]),
        ({"header": "none", "skip_rows": 1}, ["column_1", "column_2", "column_3"], [1, "x", 0.5]),
        ({"skip_rows": 1}, ["1", "x", "0.5"], [2, "y", 1.5]),
        ({"skip_rows": 1, "header": 2}, ["2", "y", "1.5"], [3, "x", 2.5]),
    ],
)
def test_options_say_which_row_has_the_names(
    tmp_path: Path, options: dict[str, Any], names: list[str], first: list[Any]
) -> None:
    source = open_source(workbook(tmp_path / "t.xlsx", ROWS), ReadOptions(**options))
    assert source.names == names
    assert list(rows(source)[0].values()) == first


def three_sheets(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "cover"
    book.create_sheet("secret").append(["s"])
    book["secret"].append([1])
    book["secret"].sheet_state = "hidden"
    for name in ("data 2024", "2"):
        sheet = book.create_sheet(name)
        sheet.append([name])
        sheet.append([1])
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("sheet", "names"),
    [
        (None, ["data 2024"]),
        ("data 2024", ["data 2024"]),
        ("2", ["2"]),
        ("3", ["data 2024"]),
        ("secret", ["s"]),
    ],
)
def test_sheet_is_chosen_by_name_or_position(
    tmp_path: Path, sheet: str | None, names: list[str]
) -> None:
    path = three_sheets(tmp_path / "t.xlsx")
    assert open_source(path, ReadOptions(sheet=sheet)).names == names


@pytest.mark.parametrize(
    ("options", "what", "hint"),
    [
        ({"sheet": "data 2023"}, "has no sheet 'data 2023'; did you mean", "--sheet 'data 2024'"),
        ({"sheet": "9"}, "has no sheet '9'", "--sheet cover"),
        ({"sheet": "cover"}, "sheet 'cover' is empty", "another --sheet"),
        ({"header": 9}, "sheet 'data 2024' ends in row 2", "a smaller --header or --skip-rows"),
        ({"skip_rows": 9}, "sheet 'data 2024' ends in row 2", "a smaller --header or --skip-rows"),
    ],
)
def test_what_a_workbook_lacks_is_an_error(
    tmp_path: Path, options: dict[str, Any], what: str, hint: str
) -> None:
    error = refusal(three_sheets(tmp_path / "t.xlsx"), **options)
    assert what in error.what
    assert error.hint == hint


def test_other_sheets_are_named(tmp_path: Path) -> None:
    path = three_sheets(tmp_path / "t.xlsx")
    assert open_source(path).notes == [
        f"{path}: sheet 'data 2024' is read; other sheets: 'cover', '2'"
    ]


@pytest.mark.parametrize("name", ["t.xlsx", "t.xlsm", "plain", "t.csv", "t.xlsx.gz"])
def test_workbooks_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    path = workbook(tmp_path / "t.xlsx", ROWS)
    content = path.read_bytes()
    path.unlink()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    source = open_source(tmp_path / name)
    assert source.format == "xlsx"
    assert rows(source) == TABLE


def test_workbook_comes_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = workbook(tmp_path / "t.xlsx", ROWS).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert rows(open_source("-")) == TABLE


ODS = """<?xml version="1.0"?><office:document-content
xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="S">{}</table:table>
</office:spreadsheet></office:body></office:document-content>"""
ODS_CELLS = {
    "string": "><text:p>{}</text:p>",
    "float": ' office:value="{}">',
    "date": ' office:date-value="{}">',
    "boolean": ' office:boolean-value="{}">',
}


@pytest.mark.parametrize("name", ["t.ods", "plain"])
def test_sheets_of_open_document_are_read(tmp_path: Path, name: str) -> None:
    kinds = ["string", "float", "date", "boolean"]
    lines = [list("abcd"), ["x", 1, "2024-01-31", "true"], ["y", 2, "2024-02-01", "false"]]
    cells = [["string"] * 4, kinds, kinds]
    body = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="{kind}"'
            + ODS_CELLS[kind].format(cell)
            + "</table:table-cell>"
            for kind, cell in zip(kinds_of_row, row, strict=True)
        )
        + "</table:table-row>"
        for kinds_of_row, row in zip(cells, lines, strict=True)
    )
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", ODS.format(body))
    assert rows(open_source(tmp_path / name)) == [
        {"a": "x", "b": 1, "c": dt.date(2024, 1, 31), "d": True},
        {"a": "y", "b": 2, "c": dt.date(2024, 2, 1), "d": False},
    ]


def test_text_called_xls_is_text(tmp_path: Path) -> None:
    path = tmp_path / "t.xls"
    path.write_text("a\tb\n1\tx\n")
    assert rows(open_source(path)) == [{"a": 1, "b": "x"}]


def other_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("t.zip", other_archive(), "is a zip archive"),
        ("t.xlsx", other_archive(), "is damaged or incomplete"),
        ("t.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "is damaged or incomplete"),
        ("t.xls", b"<html><table><tr><td>a</td></tr></table></html>", "is an HTML page"),
        ("t.xlsx", b"", "is empty"),
        (
            "t.xlsx",
            b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            "is protected by a password",
        ),
    ],
)
def test_what_is_no_workbook_is_refused(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert what in refusal(path).what


def test_workbook_cut_short_is_damaged(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ROWS)
    path.write_bytes(path.read_bytes()[:-500])
    assert "is damaged or incomplete" in refusal(path).what


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        (pa.float64(), [1, "2", None], [1.0, 2.0, None]),
        (pa.string(), [1, 2.5, True], ["1", "2.5", "TRUE"]),
        (pa.int64(), [1, 2.0, "3"], [1, 2, 3]),
        (pa.bool_(), [1, 0, None], [True, False, None]),
        (pa.bool_(), [True, "false", None], [True, False, None]),
        (pa.timestamp("ns"), [DAY, None, "2024-01-31 12:30"], [DAY, None, NOON]),
        (pa.date32(), ["2024-01-31", None, DAY], [DAY.date(), None, DAY.date()]),
    ],
)
def test_cells_are_read_as_the_type_of_a_model(
    tmp_path: Path, kind: pa.DataType, cells: list[Any], values: list[Any]
) -> None:
    path = workbook(tmp_path / "t.xlsx", [["n", "x"], *([i, c] for i, c in enumerate(cells))])
    assert [
        row["x"] for row in rows(open_source(path).select(["x"], {"x": Reading(kind)}))
    ] == values


@pytest.mark.parametrize(
    ("kind", "cell", "what"),
    [
        (pa.float64(), DAY, "'2024-01-31' is not a number"),
        (pa.timestamp("us"), 45_000, "'45000' is not a date or time"),
        (pa.int64(), 2.5, "'2.5' is not a whole number"),
    ],
)
def test_cell_of_another_kind_names_its_row(
    tmp_path: Path, kind: pa.DataType, cell: Any, what: str
) -> None:
    path = workbook(tmp_path / "t.xlsx", [["n", "x"], [1, None], [], [2, cell]])
    with pytest.raises(DataError) as caught:
        rows(open_source(path).select(["x"], {"x": Reading(kind)}))
    assert f"row 2 (row 4 of the sheet), column 'x': {what}" in caught.value.what


def test_workbooks_of_several_files_agree_on_types(tmp_path: Path) -> None:
    workbook(tmp_path / "1.xlsx", [["x", "y"], [1, 1], [2, DAY]])
    workbook(tmp_path / "2.xlsx", [["y", "x"], ["z", 0.5]])
    assert rows(open_source(tmp_path)) == [
        {"x": 1.0, "y": "1"},
        {"x": 2.0, "y": "2024-01-31"},
        {"x": 0.5, "y": "z"},
    ]


def test_workbooks_are_not_written() -> None:
    with pytest.raises(AecliError, match=r"unknown format .xlsx") as caught:
        output_format("latents.xlsx", None)
    assert "formats: .parquet" in caught.value.facts[0]


def test_without_the_extra_an_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "t.xlsx", ROWS)
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(AecliError) as caught:
        open_source(path)
    assert caught.value.hint == "pip install 'aecli[excel]'"
