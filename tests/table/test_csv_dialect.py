from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import DataError
from aecli.schema.read_options import ReadOptions
from aecli.table.cells.reading import Reading
from aecli.table.csv.quotes import unclosed_quote_line
from aecli.table.source import Source, open_source


def lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="")


def is_open(text: str) -> bool:
    return ["", "END"] not in csv.reader(lines(f"{text}\n,END"))


@given(st.text('ab,"\n', max_size=30))
def test_an_open_quote_is_what_the_csv_module_takes_for_one(text: str) -> None:
    assert (unclosed_quote_line(lines(text), ",") is not None) == is_open(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b\n1,"x\n2,y\n', 2),
        ('a,b\n1,"x""\n', 2),
        ('a,b\n1,"x\ny"\n"2,z\n3,z\n', 4),
        ('a,"b\n1,x\n', 1),
        ('a,b\n"1\n2","x\n3,y\n', 3),
    ],
)
@pytest.mark.parametrize("manner", ["plain", "packed", "utf-16"])
def test_a_quote_that_nothing_closes_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, manner: str
) -> None:
    content = text.encode("utf-16" if manner == "utf-16" else "utf-8")
    path = tmp_path / ("t.csv.gz" if manner == "packed" else "t.csv")
    path.write_bytes(gzip.compress(content) if manner == "packed" else content)
    with pytest.raises(DataError) as caught:
        _ = open_source(path).schema
    assert f"{path} line {line} opens a quote that is never closed" in caught.value.what
    assert f"sed -n {line}p" in str(caught.value.hint)


@pytest.mark.parametrize("text", ['a,b\n1,"x', 'a,b\n1,"', 'a,b\n1,x""\n1,3"\n1,"'])
def test_a_quote_in_a_last_line_without_end_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=rf"line {text.count(chr(10)) + 1} opens a quote"):
        _ = open_source(tmp_path / "t.csv").schema


def test_a_quote_in_a_column_that_is_not_read_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n1,"x\n2,y\n')
    source = open_source(tmp_path / "t.csv").select(["a"])
    with pytest.raises(DataError, match="line 2 opens a quote"):
        list(source.batches())


def test_a_quote_is_found_where_it_swallows_more_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,x\n" * 10 + '1,"x\n' + "1,xyz\n" * 3_000_000)
    with pytest.raises(DataError, match="line 12 opens a quote"):
        _ = open_source(path).schema


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,"x\ny"\n',
        'a,b\n1,"x\ny"',
        'a,b\n1,"x\n"""\n',
        'a,b\n1,5" pipe\n',
        'a,b\n1,3"',
        'a,b\n1,""',
        'a,b\n1,"x"',
        'a,b\n1,"x\n"y\n',
    ],
)
def test_quotes_that_are_closed_or_stand_for_themselves_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    source = open_source(tmp_path / "t.csv", ReadOptions())
    assert sum(batch.num_rows for batch in source.batches()) == 1


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("sep=;\na;b\n1,5;x\n", {"a": [1.5], "b": ["x"]}),
        ('"sep=;"\r\na;b\r\n1;x\r\n', {"a": [1], "b": ["x"]}),
        ("SEP=|\na|b\n1|2,3\n", {"a": [1], "b": [2.3]}),
        ("sep=\t\na\tb\n1\t2\n", {"a": [1], "b": [2]}),
        ("\ufeffsep=,\na,b\n1,2;3\n", {"a": [1], "b": ["2;3"]}),
        ("sep,x\n;,1\n", {"sep": [";"], "x": [1]}),
    ],
)
def test_a_first_line_that_names_the_delimiter_is_no_row(
    tmp_path: Path, text: str, columns: dict[str, list[object]]
) -> None:
    assert table_of(tmp_path, text) == columns


def test_the_option_outranks_a_first_line_that_names_a_delimiter(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\na|b\n1|2\n")
    source = open_source(tmp_path / "t.csv", ReadOptions(delimiter="|"))
    assert rows_of(source) == {"a": [1], "b": [2]}


def test_an_error_after_a_first_line_that_names_the_delimiter_has_the_line_of_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "t.csv").write_text("sep=;\na;b\n1;2\n3;4;5\n")
    with pytest.raises(DataError, match=r"line 4 has 3 fields, the header has 2"):
        rows_of(open_source(tmp_path / "t.csv", ReadOptions()))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x\n1\n\n2\n", [1, None, 2]),
        ("x\r\n1\r\n\r\n2\r\n\r\n", [1, None, 2, None]),
        ('x\n1\n""\n2\n', [1, None, 2]),
        ("\n\nx\n\n1\n", [None, 1]),
        ("x\n1\n2", [1, 2]),
        ("x\na\n\nb\n", ["a", None, "b"]),
    ],
)
def test_a_blank_line_of_one_column_is_a_row(
    tmp_path: Path, text: str, values: list[object]
) -> None:
    assert table_of(tmp_path, text) == {"x": values}


def test_a_blank_line_of_several_columns_is_no_row(tmp_path: Path) -> None:
    assert table_of(tmp_path, "x,y\n1,2\n\n3,4\n\n") == {"x": [1, 3], "y": [2, 4]}


def test_a_location_counts_the_blank_lines_of_one_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\nx\n1\n\n2\n")
    [part] = open_source(tmp_path / "t.csv", ReadOptions()).partitions
    assert part.reader.row_location(2) == "row 3 (line 5)"


def table_of(tmp_path: Path, text: str) -> dict[str, list[object]]:
    (tmp_path / "t.csv").write_bytes(text.encode())
    return rows_of(open_source(tmp_path / "t.csv", ReadOptions()))


def rows_of(source: Source) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = pa.Table.from_batches(source.batches()).to_pydict()
    return columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a, b, c\n1, 2, x\n3, 4, y\n", {"a": [1, 3], "b": [2, 4], "c": ["x", "y"]}),
        (
            'a, b\nx, "y z"\nu, NA\nv, "p ""q"""\n',
            {"a": ["x", "u", "v"], "b": ["y z", "NA", 'p "q"']},
        ),
        ("a; b\nx;  y\n", {"a": ["x"], "b": ["y"]}),
        ("a, b, c\n1,, x\n2, 5,\n", {"a": [1, 2], "b": [None, 5], "c": ["x", None]}),
        ("a,b\nx, y\nu, v\n", {"a": ["x", "u"], "b": [" y", " v"]}),
        ("a, b\nx, y\nu,v\n", {"a": ["x", "u"], "b": [" y", "v"]}),
        ("a\n x\n", {"a": [" x"]}),
    ],
)
def test_a_space_after_every_delimiter_is_not_part_of_the_cells(
    tmp_path: Path, text: str, columns: dict[str, list[object]]
) -> None:
    assert table_of(tmp_path, text) == columns


@pytest.mark.parametrize("cell", ["Empty CSV", "conversion error", "straddling"])
def test_the_text_of_a_ragged_row_is_no_message_of_the_parser(tmp_path: Path, cell: str) -> None:
    rows = "1,2\n" * 60_000
    (tmp_path / "t.csv").write_text(f"a,b\n{rows}5,6,{cell}\n1,2\n")
    with pytest.raises(DataError, match="line 60,002 has 3 fields, the header has 2"):
        rows_of(open_source(tmp_path / "t.csv"))


def test_a_later_cell_that_is_no_number_starts_text_without_a_lost_row(tmp_path: Path) -> None:
    rows = "".join(f"{i},x\n" for i in range(300_000))
    (tmp_path / "t.csv").write_text(f"a,b\n{rows}NA,y\n# end\n7,z\n")
    source = open_source(tmp_path / "t.csv").select(["a"], {"a": Reading(pa.int64())})
    found = rows_of(source)["a"]
    assert (len(found), found[:300_000], found[-2:]) == (300_002, [*range(300_000)], [None, 7])
