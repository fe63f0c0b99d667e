"""Lines of CSV files that have one field more or less than the others, or are no text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aecli.errors import DataError
from aecli.table.source import Source, open_source
from tests.troubles import columns_of, write


def opened(folder: Path, content: str | bytes) -> Source:
    return open_source(write(folder / "t.csv", content))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('"x"\n"r1",5\n"r2",7\n', {"column_1": ["r1", "r2"], "x": [5, 7]}),
        ('"x","y"\n"r1","p",1\n"r2","q",2\n', {"column_1": ["r1", "r2"], "x": ["p", "q"]}),
        ("s1\ts2\nBRCA1\t5\t6\nTP53\t7\t8\n", {"column_1": ["BRCA1", "TP53"], "s1": [5, 7]}),
        ("a;b\nr1;1;2\nr2;3;4\nr3;5;6\n", {"column_1": ["r1", "r2", "r3"], "b": [2, 4, 6]}),
    ],
)
def test_names_of_rows_that_have_no_name_are_a_column(
    tmp_path: Path, text: str, columns: dict[str, list[Any]]
) -> None:
    source = opened(tmp_path, text)
    read = columns_of(source)
    assert {name: read[name] for name in columns} == columns
    assert "the first is called column_1" in "".join(source.notes)


@pytest.mark.parametrize(
    "text",
    [
        "id,amount\n1,1,234\n2,5,678\n",
        "a\tb\n1\t1\t234\n1\t5\t678\n",
        '"a","b"\n"x",1,2\n"x",3,4\n',
        '"a","b"\n"x",1,2\n"y",3,4\n"z",3\n',
    ],
)
def test_other_lines_with_one_field_too_many_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"line \d has \d fields"):
        columns_of(opened(tmp_path, text))


LATE = "".join(f"{i},x,\n" for i in range(300))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n" + LATE, {"a": [*range(300)], "b": ["x"] * 300}),
        ("a\tb\r\n1\tx\t\r\n2\t\t\r\n", {"a": [1, 2], "b": ["x", None]}),
        ("a,b,\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}),
        ("# c\na,b\n1,2,\n# d\n3,4,\n", {"a": [1, 3], "b": [2, 4]}),
    ],
)
def test_a_delimiter_at_the_end_of_lines_is_no_column(
    tmp_path: Path, text: str, columns: dict[str, list[Any]]
) -> None:
    assert columns_of(opened(tmp_path, text)) == columns


@pytest.mark.parametrize("last", ["7,x,y\n", "7,x\n", "7,x,y,z\n"])
def test_text_behind_the_last_name_is_told_with_its_line(tmp_path: Path, last: str) -> None:
    source = opened(tmp_path, "a,b\n" + LATE + last)
    with pytest.raises(DataError) as caught:
        _ = source.schema
    assert "line 302" in caught.value.what
    assert "sed -n 302p" in str(caught.value.hint)


@pytest.mark.parametrize("end", ["\x1a", "\x1a\n", "\0" * 4_000, "\0\0\n\0\0", "\x1a\0\0"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a\r\n1\r\n2\r\n", {"a": [1, 2]}),
        ("a,b\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}),
    ],
)
def test_what_old_systems_leave_at_an_end_is_no_row(
    tmp_path: Path, text: str, columns: dict[str, list[Any]], encoding: str, end: str
) -> None:
    assert columns_of(opened(tmp_path, (text + end).encode(encoding))) == columns


def test_cells_in_single_quotes_do_not_make_the_header_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2 has 3 fields, the header has 2"):
        columns_of(opened(tmp_path, "id,name\n1,'Smith, J'\n2,'Doe, A'\n"))


def test_many_files_have_one_note_of_each_kind(tmp_path: Path) -> None:
    rows = "".join(f"{i},2\n" for i in range(9))
    for number in range(5):
        above = "# made by x\n" * number
        write(tmp_path / f"{number}.csv", f"{above}a,b\n[s],[m]\n{rows}")
    assert open_source(tmp_path).notes == [
        f"{tmp_path}/0.csv and 4 more files: line 2 contains units and is not a row: [s], [m]",
        f"{tmp_path}/1.csv: 1 comment line above the header skipped",
        f"{tmp_path}/2.csv and 2 more files: 2 comment lines above the header skipped",
    ]
