"""Delimiters and quotes of CSV files that are seldom: runs of spaces, `~`, backslashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aecli.errors import DataError
from aecli.schema.read_options import ReadOptions
from aecli.table.source import open_source
from tests.troubles import columns_of, write


def columns(folder: Path, content: str | bytes, **options: Any) -> dict[str, list[Any]]:
    return columns_of(open_source(write(folder / "t.csv", content), ReadOptions(**options)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("   x      y\n 1.5   a\n 2.5   b\n", {"x": [1.5, 2.5], "y": ["a", "b"]}),
        ("3.5 2.0\n1.0 4.5\n3.0 2.5\n2.5 3.5\n", {"column_1": [3.5, 1.0, 3.0, 2.5]}),
        ("# x y\n1.0 2.0\n3.0 4.5\n", {"x": [1.0, 3.0], "y": [2.0, 4.5]}),
        ('"a" "b c"\n"1" 5 "x y"\n"2" 7 "z"\n', {"column_1": [1, 2], "b c": ["x y", "z"]}),
        ("a b c\n1 2 x\n3 4 y\n5 6 z\n", {"a": [1, 3, 5], "b": [2, 4, 6], "c": ["x", "y", "z"]}),
        ("a b\n1,5 2,5\n3,5 4,5\n", {"a": [1.5, 3.5], "b": [2.5, 4.5]}),
        ("a b  \r\n1 2  \r\n\r\n 3 4\r\n", {"a": [1, 3], "b": [2, 4]}),
    ],
)
def test_fields_at_runs_of_spaces_are_told_apart(
    tmp_path: Path, text: str, expected: dict[str, list[Any]]
) -> None:
    read = columns(tmp_path, text)
    assert {name: read[name] for name in expected} == expected
    assert columns(tmp_path, text, delimiter=" ") == read


@pytest.mark.parametrize(
    "text",
    [
        "full name\nJohn Smith\nJane Doe\nMary Major\n",
        "note\nall is well\nit rains  today\nno\n",
        "date time\n2024-01-01 10:00:00\n2024-01-02 11:00:00\n",
        "date of birth\n12 May 1990\n13 June 1991\n14 July 1992\n",
        "body weight\n5 kg\n6 kg\n7 kg\n",
        "1 234\n2 345\n3 456\n",
        "day and hour\n2024-01-01 10:00 AM\n2024-01-01 11:00 PM\n",
    ],
)
def test_words_of_text_are_not_fields(tmp_path: Path, text: str) -> None:
    assert len(columns(tmp_path, text)) == 1


def test_the_option_splits_at_runs_of_spaces_whatever_the_cells(tmp_path: Path) -> None:
    text = "first  last\nJohn Smith\nJane   Doe\n"
    expected = {"first": ["John", "Jane"], "last": ["Smith", "Doe"]}
    assert columns(tmp_path, text, delimiter=" ") == expected


def test_a_line_of_another_width_is_told_where_fields_are_at_spaces(tmp_path: Path) -> None:
    text = "  a   b\n" + "  1   2\n" * 300 + "  3\n"
    with pytest.raises(DataError, match="line 302 has 1 field"):
        columns(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a~b\n1~2\n3~4\n5~6\n", "--delimiter '~'"),
        ("a^b\n1^x\n3^y\n5^z\n", "--delimiter '^'"),
        ("a:b\n1:2\n3:4\n5:6\n", "--delimiter :"),
        ("a\x01b\n1\x012\n3\x014\n5\x016\n", r"--delimiter $'\x01'"),
        ("t\n10:00\n11:00\n12:00\n", None),
        ("10:00\n11:00\n12:00\n", None),
        ("a~b\n1~2\n3~4~5\n5~6\n", None),
    ],
)
def test_a_sign_that_splits_all_lines_alike_is_named(
    tmp_path: Path, text: str, hint: str | None
) -> None:
    notes = "\n".join(open_source(write(tmp_path / "t.csv", text)).notes)
    assert hint in notes if hint else "--delimiter" not in notes


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (r'1,"say \"so\", then",x' + "\n", 'say "so", then'),
        (r'1,"a\\",x' + "\n" + r'2,"\"b\" c",y' + "\n", "a\\"),
        ('1,"a \\"b\nc\\" d",x\n', 'a "b\nc" d'),
        (r'1,"\"",x' + "\n" + r'2,"\"b\" c",y' + "\n", '"'),
        ('1,"C:\\",x\n2,"D:\\",y\n', "C:\\"),
        ('1,"a ""b"" \\n",x\n', 'a "b" \\n'),
    ],
)
@pytest.mark.parametrize("rows", [0, 9_000])
def test_a_backslash_before_a_quote_escapes_it_where_cells_show_so(
    tmp_path: Path, text: str, cells: str, rows: int
) -> None:
    read = columns(tmp_path, "n,t,u\n" + text + '5,"plain",z\n' * rows)
    assert list(read) == ["n", "t", "u"]
    assert read["t"][0] == cells
    assert len(read["t"]) == text.count("\n" + "2") + 1 + rows


def test_the_null_of_databases_is_kept_where_backslashes_escape_quotes(tmp_path: Path) -> None:
    text = 'n,t\n1,"\\"a\\" b"\n\\N,"c"\n'
    assert columns(tmp_path, text) == {"n": [1, None], "t": ['"a" b', "c"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a, b\n"x", "y, z"\n"u", "v ""w"""\n', {"a": ["x", "u"], "b": ["y, z", 'v "w"']}),
        ('a, b\n1, "x\ny, z"\n2,   w\n3, \n', {"a": [1, 2, 3], "b": ["x\ny, z", "w", None]}),
        ('a, b\n# c, d, e\n1, "x"\n', {"a": [1], "b": ["x"]}),
    ],
)
def test_a_space_before_a_quote_does_not_hide_it(
    tmp_path: Path, text: str, expected: dict[str, list[Any]]
) -> None:
    assert columns(tmp_path, text) == expected


@pytest.mark.parametrize("head", ["a, b\n1, 2\n", 'a,b\n1,"\\"x\\" y"\n', "a b\n1 2\n"])
def test_errors_of_such_files_have_their_line(tmp_path: Path, head: str) -> None:
    sign = " " if "," not in head else ", " if ", " in head else ","
    rows = f"3{sign}4\n" * 300
    with pytest.raises(DataError, match="line 303 opens a quote that is never closed"):
        columns(tmp_path, head + rows + f'5{sign}"x\n' + rows)
    with pytest.raises(DataError, match="line 303"):
        columns(tmp_path, (head + rows + f"5{sign}\x92\n").encode("latin-1"))
    with pytest.raises(DataError, match="line 303 has 3 fields"):
        columns(tmp_path, head + rows + f"5{sign}6{sign}7\n")
