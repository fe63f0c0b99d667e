from __future__ import annotations

import csv
import gzip
import io
import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import DataError, UsageError
from aecli.schema.read_options import ReadOptions
from aecli.table.csv.dialect import read_dialect
from aecli.table.csv.rows import read_rows
from aecli.table.source import Source, open_source

ROWS = "1.5,20,x\n2.5,10,y\n3.5,40,x\n4.5,30,y\n5.5,20,x\n6.5,70,y\n"
TEXTS = "Bob,Rome\nAnn,Oslo\nKim,Rome\nLee,Bern\n"


def opened(tmp_path: Path, text: str, **options: Any) -> Source:
    (tmp_path / "t.csv").write_bytes(text.encode())
    return open_source(tmp_path / "t.csv", ReadOptions(**options))


def table(source: Source) -> pa.Table:
    return pa.Table.from_batches(source.batches(), source.schema)


def first_row(source: Source) -> list[object]:
    return list(table(source).slice(0, 1).to_pylist()[0].values())


def notes(source: Source) -> str:
    return "\n".join(source.notes)


@pytest.mark.parametrize(
    ("text", "names", "rows", "note"),
    [
        ("# one\n#,b,c\n" + ROWS, "#bc", 6, "1 comment line above the header skipped"),
        ("# one\na,b,c\n" + ROWS, "abc", 6, "1 comment line above the header skipped"),
        ("# x\n#\n\n# y, z\na,b,c\n" + ROWS, "abc", 6, "3 comment lines above the header skipped"),
        ("#1\r\n#2\r\na,b,c\r\n" + ROWS, "abc", 6, "2 comment lines"),
        ("# it's \"open\na;b\n1,5;x\n2,5;y\n", "ab", 2, "1 comment line"),
        ("sep=;\n# by lab\na;b\n1;2\n3;4\n", "ab", 2, "1 comment line above the header"),
        ("# one\na,b,c\n1,2,x\n# two\n3,4,y\n#\n5,6,z\n", "abc", 3, "1 comment line"),
        ("a,b,c\n1,2,x\n# a remark\n3,4,y\n", "abc", 2, ""),
        ("# n\na,b\n# [s],[m],[K]\n1,2\n3,4\n", "ab", 2, "1 comment line"),
        ("# text\nname,city\n" + TEXTS, ["name", "city"], 4, "1 comment line"),
        ("# from here, there\nname,city\n" + TEXTS, ["name", "city"], 4, "1 comment line"),
        ("# from here, there\na,b\n1,2\n3,4\n5,6\n", "ab", 3, "1 comment line"),
    ],
)
def test_a_comment_is_not_a_row(
    tmp_path: Path, text: str, names: list[str], rows: int, note: str
) -> None:
    source = opened(tmp_path, text)
    assert source.names == list(names)
    assert table(source).num_rows == rows
    assert note in notes(source)


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        ("# a,b,c\n1,2,3\n4,5,6\n", ["a", "b", "c"], [1, 2, 3]),
        ("# made by x\n#a,b\n1,2\n4,5\n", ["a", "b"], [1, 2]),
        ("##v=4\n##d=1, 2\n#CHROM\tPOS\tID\n1\t14370\trs6\n1\t17330\t.\n", None, [1, 14370, "rs6"]),
        ("#\ttime\ttemp\n0.5\t20\n1.5\t21\n", ["time", "temp"], [0.5, 20]),
        ('# "a b",c\n1,2\n3,4\n', ["a b", "c"], [1, 2]),
        ("# date,place\n2024-01-01,x\n2024-01-02,y\n", ["date", "place"], None),
        ("# a,b\n# [s],[m]\n1,2\n3,4\n", ["a", "b"], [1, 2]),
        ("# a,b\n1,NA\n2,5\n", ["a", "b"], [1, None]),
    ],
)
def test_a_comment_above_the_data_may_hold_the_names(
    tmp_path: Path, text: str, names: list[str] | None, first: list[object] | None
) -> None:
    source = opened(tmp_path, text)
    assert source.names == (names or ["CHROM", "POS", "ID"])
    assert first is None or first_row(source) == first
    assert "a comment, contains the names of the columns" in notes(source)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("#,name,value\n1,x,5\n2,y,7\n", ["#", "name", "value"]),
        ("#id,name,value\n1,x,5\n2,y,7\n", ["#id", "name", "value"]),
        ("#id,name\nr1,x\nr2,y\n", ["#id", "name"]),
        ('"#id",name\n1,x\n2,y\n', ["#id", "name"]),
        ("color,n\n#ff0000,1\n#00ff00,2\n", ["color", "n"]),
        ("color\n#ff0000\n#00ff00\n", ["color"]),
    ],
)
def test_a_name_or_cell_that_begins_with_the_sign_of_comments_is_kept(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    source = opened(tmp_path, text)
    assert source.names == names
    assert table(source).num_rows == 2
    assert not source.notes


def test_comments_may_be_longer_than_the_sample(tmp_path: Path) -> None:
    source = opened(tmp_path, f"# {'x' * 98}\n" * 15_000 + "a,b,c\n" + ROWS)
    assert (source.names, table(source).num_rows) == (["a", "b", "c"], 6)
    assert "15,000 comment lines above the header skipped" in notes(source)


@pytest.mark.parametrize(
    ("titles", "header", "shown"),
    [
        ("Report of 2024\n", "a,b,c", "line 1 above the header skipped: 'Report of 2024'"),
        ("Report\n\n", "a,b,c", "'Report'"),
        ("Report of 2024,,\n", "a,b,c", "'Report of 2024'"),
        ("Report,\n,\n", "a,b,c", "lines 1 to 2 above the header skipped: 'Report'"),
        ("Station: X\nHeight,5 m\n\n", "a,b,c", "lines 1 to 2 above the header"),
        ('"Title, long"\n', "a,b,c", "'Title, long'"),
        ("Report; 2024\n", "a,b,c", "'Report; 2024'"),
        ("# by x\nReport\n", "a,b,c", "line 2 above the header skipped: 'Report'"),
        ("Report\n", "Country,1990,1991", "'Report'"),
        ("Report\n", ",a,b", "'Report'"),
        ("\ufeffReport\r\n", "a,b,c", "'Report'"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_title_above_the_header_is_skipped(
    tmp_path: Path, titles: str, header: str, shown: str, end: str
) -> None:
    text = titles + header + "\n" + "".join(f"r{i},{i * 7 % 5},{i / 4}\n" for i in range(9))
    source = opened(tmp_path, text.replace("\r\n", "\n").replace("\n", end))
    assert source.names == [name or "column_1" for name in header.split(",")]
    assert first_row(source) == ["r0", 0, 0.0]
    assert table(source).num_rows == 9
    assert shown in notes(source)


def test_a_title_above_text_is_skipped_where_nothing_else_fits(tmp_path: Path) -> None:
    source = opened(tmp_path, "All people\n\nname,city\n" + TEXTS)
    assert source.names == ["name", "city"]
    assert table(source).num_rows == 4


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        ("a,b\nx,y\nz,w\n", ["a", "b"], ["x", "y"]),
        (",b\nx,y\nz,w\n", ["column_1", "b"], ["x", "y"]),
        (",b,\nx,y,u\nz,w,v\n", ["column_1", "b", "column_3"], ["x", "y", "u"]),
        ("Report of 2024\nx\ny\n", ["Report of 2024"], ["x"]),
        ("id,,\nx,1,2\ny,3,4\n", ["id", "column_2", "column_3"], ["x", 1, 2]),
        ("Title of all,b,c\nx,1,2\ny,3,4\n", ["Title of all", "b", "c"], ["x", 1, 2]),
    ],
)
def test_a_header_like_a_title_is_kept(
    tmp_path: Path, text: str, names: list[str], first: list[object]
) -> None:
    source = opened(tmp_path, text)
    assert (source.names, first_row(source)) == (names, first)
    assert "skipped" not in notes(source)


UNITS = [
    ("a,b,c", "[degC],[MW],[-]"),
    ("a,b,c", "(m/s),(K),"),
    ("a,b,c", "m/s,kg,text"),
    ("a,b,c", "%,-,-"),
    ("a,b,c", "metre,kilogram,"),
    ("a,b,c", ",degree_Celsius,UTC"),
    ("a,b,c", "kWh,,name"),
    ("# 1\n# a,b,c", "s,m,"),
]


@pytest.mark.parametrize(("header", "units"), UNITS)
def test_a_row_of_units_is_not_a_row(tmp_path: Path, header: str, units: str) -> None:
    source = opened(tmp_path, f"{header}\n{units}\n{ROWS}")
    assert (source.names, table(source).num_rows) == (["a", "b", "c"], 6)
    assert [str(kind) for kind in source.schema.types] == ["double", "int64", "string"]
    shown = ", ".join(cell for cell in units.split(",") if cell)
    line = 2 + header.count("\n")
    assert f"line {line} contains units and is not a row: {shown}" in notes(source)


def test_units_in_brackets_are_known_above_few_rows(tmp_path: Path) -> None:
    source = opened(tmp_path, "a,b,c\n[degC],[MW],[-]\n1.5,20,x\n")
    assert first_row(source) == [1.5, 20, "x"]


def test_each_row_of_units_is_skipped(tmp_path: Path) -> None:
    rows = "".join(f'"2024-01-0{i} 00:00",{i},{i}.5\n' for i in range(1, 9))
    text = '"TOA5","x"\n"TIME","A","B"\n"TS","degC","%"\n"","Avg","Avg"\n' + rows
    source = opened(tmp_path, text)
    assert [str(kind) for kind in source.schema.types] == ["timestamp[s]", "int64", "double"]
    assert "line 4 contains units and is not a row: Avg, Avg" in notes(source)


def test_titles_above_years_are_skipped(tmp_path: Path) -> None:
    rows = "".join(f'"C{i}","Pop","{i * 3}","","{i * 5}",\n' for i in range(9))
    text = '"Source","Bank",\n\n"Updated","2024-05-30",\n\n"Country","What","1960","1961","1962",\n'
    source = opened(tmp_path, text + rows)
    assert source.names == ["Country", "What", "1960", "1961", "1962", "column_6"]
    assert "lines 1 to 3 above the header skipped: 'Source Bank'" in notes(source)


def test_units_below_names_of_times_are_not_a_row(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-0{i} 00:00,{i}.5\n" for i in range(1, 8))
    source = opened(tmp_path, "time,v\nUTC,m/s\n" + rows)
    assert [str(kind) for kind in source.schema.types] == ["timestamp[s]", "double"]


@pytest.mark.parametrize(
    "first",
    [
        "NA,20,x",
        "bad,bad,",
        "?,20,x",
        "-,20,x",
        "NA,NA,x",
        ",,",
        "1.5,bad,x",
        "bad,NA,x",
        "NA,?,new",
        "-,-,-",
    ],
)
def test_a_first_row_with_missing_or_wrong_cells_is_a_row(tmp_path: Path, first: str) -> None:
    source = opened(tmp_path, f"a,b,c\n{first}\n{ROWS}")
    assert table(source).num_rows == 7
    assert "units" not in notes(source)


@pytest.mark.parametrize(
    "text",
    [
        f"name,city\n{TEXTS}{TEXTS}",
        "a,b\nx,y\n1,2\n",
        "v\nlow\n1\n2\n",
        "v\nlow\n1\n2\n3\n4\n5\n6\n",
    ],
)
def test_text_above_few_numbers_or_none_is_a_row(tmp_path: Path, text: str) -> None:
    source = opened(tmp_path, text)
    assert table(source).num_rows == text.count("\n") - 1


HEADERLESS = [
    "16.79,185.8,B\n20.97,203.4,A\n13.37,166.3,B\n22.62,211.5,A\n",
    "5.1,3.5,1.4,0.2,setosa\n4.9,3.0,1.4,0.2,setosa\n7.0,3.2,4.7,1.4,versi\n6.3,3.3,6.0,2.5,virgi\n",
    "39, State-gov, 77516, <=50K\n50, Private, 83311, <=50K\n38, Private, 215646, >50K\n",
    "1,14.23,1.71,2.43\n1,13.2,1.78,2.14\n2,12.37,0.94,1.36\n3,12.86,1.35,2.32\n",
    "2024-01-01,5.3\n2024-01-02,5.1\n2024-01-03,5.9\n",
    "2024-01-01 00:00:00;5,3\n2024-01-01 01:00:00;5,1\n2024-01-01 02:00:00;5,9\n",
    "0,0,5,13,9,1\n0,0,0,12,13,5\n0,0,0,4,15,12\n",
    "Alice,34,1.5\nBob,25,2.5\nKim,50,0.5\nLee,31,1.0\n",
    "17.5\n14.25\n19.5\n16.0\n18.25\n",
    '1,"x y",3.5\n2,"u",1.5\n3,"x y",2.5\n4,"u",4.5\n',
    "0.00,True\n3.70,False\n2.40,True\n1.10,False\n4.80,True\n",
    "5.1,3.5,0\n4.9,3.0,0\n4.7,3.8,1\n6.0,3.1,0\n",
    ",185.8,B\n16.79,185.8,B\n20.97,203.4,A\n13.37,166.3,B\n",
    "Alice,$5.00\nBob,$3.50\nKim,$9.25\nLee,$4.10\n",
    "1.0e-3,2.5e2\n4.2e-3,1.1e2\n2.2e-3,3.1e2\n0.2e-3,0.1e2\n",
    "5,NA,x\n7,3,y\n6,4,x\n9,8,y\n",
]


@pytest.mark.parametrize("text", HEADERLESS)
def test_a_first_line_of_data_is_a_row(tmp_path: Path, text: str) -> None:
    source = opened(tmp_path, text)
    columns = len(source.names)
    assert source.names == [f"column_{i}" for i in range(1, columns + 1)]
    assert table(source).num_rows == text.count("\n")
    assert "the first line is data, not names" in notes(source)
    called = "the column is called" if columns == 1 else "columns are called column_1 to"
    assert f"{called} column_{columns}; --header 1 uses it as names" in notes(source)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("0,1,2\n0.5,-1.2,0.3\n0.1,0.7,-0.9\n1.5,0.2,2.3\n", True),
        (",0,1,2\n0,5,7,1\n1,8,2,2\n2,6,4,1\n", False),
        ("0\n0.5\n0.7\n0.1\n", True),
        ("0\n1\n0\n1\n1\n", True),
        ("1990,1991,1992\n5.5,6.5,7.5\n4.5,5.5,8.5\n3.5,6.5,9.5\n", True),
        ("2023,2022,2021\n5.5,6.5,7.5\n4.5,5.5,8.5\n3.5,6.5,9.5\n", True),
        ("Country,1990,1991\nChad,5.5,6.5\nMali,4.5,7.5\nTogo,1.5,2.5\n", False),
        ("name,2020\nBob,25\nAnn,31\nKim,40\nLee,22\n", False),
        ("subject,1,2,3\ns1,4,5,1\ns2,2,1,3\ns3,1,3,5\n", False),
        ("10,20,50\n12,25,40\n8,19,60\n11,22,51\n", True),
        ("name,city\n" + TEXTS, False),
        ("a,b\nx,1\ny,2\n", False),
        ("5,7\n", False),
        ("5.5,x\n", False),
        ("sex,400.5,401.0,401.5,402.0\nm,.1,.2,.3,.4\nf,.2,.3,.1,.5\nm,.4,.2,.1,.6\n", False),
        ('"5.5","7.5"\n6.5,8.5\n4.5,6.5\n5.0,9.5\n', False),
        ("id,2024-01-01,2024-01-02\n1,5,6\n2,7,8\n3,9,1\n", False),
        ("0.25,0.5,0.75\n.1,.4,.8\n.2,.6,.9\n.3,.5,.7\n.2,.4,.6\n", True),
        ("patient,1005,1001\np1,3.2,1.1\np2,2.2,9.9\np3,1.1,8.8\n", False),
        ("0.0,1.0,2.0\n5.5,3.2,1.1\n4.4,2.2,9.9\n3.3,1.1,8.8\n", True),
        ("1005,1001,1003\n5.5,3.2,1.1\n4.4,2.2,9.9\n3.3,1.1,8.8\n", True),
        ("date,0:00,1:00\n2024-01-01,5,6\n2024-01-02,5,6\n", False),
        ("value\n5\n7\n6\n", False),
        ("1.1,1.2,1.3\n4,5,1\n2,1,3\n1,3,5\n2,2,2\n", True),
        ("pupil,1.1,1.2\ns1,4,5\ns2,2,1\ns3,1,3\ns4,.5,.5\n", False),
        ("name,5\nBob,3\nAnn,9\nKim,4\nLee,8\n", False),
        ("year,2020\nx,2019\ny,2021\nz,2030\nw,2010\n", False),
        ("a,b\nNA,\n,NA\n,\n", False),
    ],
)
def test_names_that_are_numbers_or_like_any_other_stay_a_header(
    tmp_path: Path, text: str, note: bool
) -> None:
    source = opened(tmp_path, text)
    first = next(csv.reader(io.StringIO(text)))
    assert source.names == [name or "column_1" for name in first]
    assert ("was read as the header" in notes(source)) == note


@pytest.mark.parametrize(
    ("options", "names", "first"),
    [
        ({"header": "none"}, ["column_1", "column_2"], ["title", None]),
        ({"header": 1}, ["title", "column_2"], ["a", "b"]),
        ({"header": 2}, ["a", "b"], [1, 2]),
        ({"header": 3}, ["1", "2"], [3, 4]),
        ({"header": 1, "skip_rows": 1}, ["a", "b"], [1, 2]),
        ({"header": "none", "skip_rows": 2}, ["column_1", "column_2"], [1, 2]),
        ({"skip_rows": 1}, ["a", "b"], [1, 2]),
        ({"header": 2, "skip_rows": 1}, ["1", "2"], [3, 4]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_options_say_where_the_names_and_rows_are(
    tmp_path: Path, options: dict[str, Any], names: list[str], first: list[object], encoding: str
) -> None:
    (tmp_path / "t.csv").write_bytes("title,\r\na,b\r\n1,2\r\n3,4\r\n".encode(encoding))
    source = open_source(tmp_path / "t.csv", ReadOptions(**options))
    found = [cell if isinstance(cell, str | None) else int(str(cell)) for cell in first_row(source)]
    assert source.names == names
    assert [str(cell) for cell in found] == [str(cell) for cell in first]


@pytest.mark.parametrize("text", ["1.5,x\n", "1.5,x\n2.5,y\n", "1.5,x\n1.5,x\n0.5,z\n"])
def test_few_rows_without_a_header_have_the_names_of_many(tmp_path: Path, text: str) -> None:
    source = opened(tmp_path, text, header="none")
    assert source.names == ["column_1", "column_2"]
    assert table(source).num_rows == text.count("\n")


@pytest.mark.parametrize("option", [{"skip_rows": 2}, {"header": 3}, {"skip_rows": 9}])
def test_an_option_that_leaves_no_line_is_refused(tmp_path: Path, option: dict[str, int]) -> None:
    with pytest.raises(DataError, match="it ends after line 2"):
        opened(tmp_path, "a,b\n1,2\n", **option)


@pytest.mark.parametrize("option", [{"skip_rows": 1}, {"header": 2}, {"header": "none"}])
@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_options_for_lines_are_refused_with_other_formats(
    tmp_path: Path, option: dict[str, Any], name: str
) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    pa.parquet.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=r"^--(header|skip-rows) is for CSV files"):
        open_source(tmp_path / name, ReadOptions(**option))


def test_a_sheet_of_a_csv_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--sheet is for Excel workbooks"):
        opened(tmp_path, "a\n1\n", sheet="1")


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("a,b,c,d\n1,2\n3,4\n5,6\n", "line 1 has 4 fields, the rows below it have 2", "1"),
        ("My title\n1,2\n3,4\n5,6\n", "line 1 has 1 fields, the rows below it have 2", "1"),
        ("t,i,t,l,e\na,b\n1,2\n3,4\n", "line 1 has 5 fields, the rows below it have 2", "header 2"),
        ("# c\n\na,b,c\n1,2\n3,4\n5,6\n", "line 3 has 3 fields", "3"),
        ("a,b\n1,2\n3,4,5\n6,7\n8,9\n", "line 3 has 3 fields, the header has 2", "sed -n 3p"),
        ("# c\na,b\n1,2\n# d\n3,4,5\n6,7\n8,9\n", "line 5 has 3 fields", "sed -n 5p"),
        ("a,b\n[s],[m]\n1,2\n3,4\n5,6\n7,8\n9,1\n1,2,3\n", "line 8 has 3 fields", "sed -n 8p"),
        ("T of x\na,b\n1,2\n3,4\n5,6\n7,8\n9,1,2\n", "line 7 has 3 fields", "sed -n 7p"),
    ],
)
def test_the_error_shows_the_line_at_fault(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        table(opened(tmp_path, text))
    assert what in caught.value.what
    expected = hint if " " in hint else f"--skip-rows {hint}"
    assert expected in str(caught.value.hint)


def test_the_hint_of_an_odd_header_reads_the_table(tmp_path: Path) -> None:
    assert opened(tmp_path, "t,i,t,l,e\na,b\n1,2\n3,4\n", header=2).names == ["a", "b"]
    assert table(opened(tmp_path, "My title\n1.5,2\n0.5,1\n2,6\n1,1\n", skip_rows=1)).num_rows == 4


def test_a_misfit_is_located_below_lines_that_are_not_rows(tmp_path: Path) -> None:
    text = "# c\nReport of x\na,b\n[s],[m]\n1,2\n#\n3,4\n5,6\n7,8\n9,1\n3,5\n"
    [part] = opened(tmp_path, text).partitions
    assert part.reader.row_location(0) == "row 1 (line 5)"
    assert part.reader.row_location(1) == "row 2 (line 7)"


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_are_told_apart_in_any_encoding(tmp_path: Path, pack: bool, encoding: str) -> None:
    text = f"# größe\nReport of 2024\na,b,c\n[°C],[m²],[-]\n{ROWS}# end\n"
    content = text.replace("\n", "\r\n").encode(encoding)
    path = tmp_path / ("t.csv.gz" if pack else "t.csv")
    path.write_bytes(gzip.compress(content) if pack else content)
    assert table(open_source(path)).num_rows == 6


def test_each_file_of_a_folder_has_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(f"Report of May\na,b,c\n{ROWS}")
    (tmp_path / "2.csv").write_text(f"# x\n# y\na,b,c\n[s],[m],[-]\n{ROWS}")
    (tmp_path / "3.csv").write_text(f"a,b,c\n{ROWS}")
    source = open_source(tmp_path)
    assert source.names == ["a", "b", "c"]
    assert table(source).num_rows == 18


def test_a_folder_without_headers_is_one_table(tmp_path: Path) -> None:
    for number, text in enumerate([HEADERLESS[0], "15.5,170.5,C\n", HEADERLESS[0]]):
        (tmp_path / f"{number}.csv").write_text(text)
    source = open_source(tmp_path)
    assert source.names == ["column_1", "column_2", "column_3"]
    assert table(source).num_rows == 9


def test_a_folder_where_one_file_lacks_the_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b,c\n" + HEADERLESS[0])
    (tmp_path / "2.csv").write_text(HEADERLESS[0])
    with pytest.raises(DataError, match="have different columns"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        [" a", "b "],
        ['say "x"', "b"],
        ["two\nlines", "carriage\rreturn"],
        ["a,b", "#c"],
        ["x" * 200_000, "b"],
        ["#c", "1"],
    ],
)
def test_quoted_names_come_back_as_they_are(tmp_path: Path, names: list[str]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows([names, [1, 2], [3, 4]])
    source = opened(tmp_path, text.getvalue())
    assert source.names == names
    assert table(source).num_rows == 2


@pytest.mark.parametrize("width", [3, 100_000])
def test_a_long_header_is_read(tmp_path: Path, width: int) -> None:
    names = [f"{string.ascii_lowercase * (2_000_000 // width // 26)}{i}" for i in range(width)]
    text = ",".join(names) + "\n" + ",".join(["5"] * width) + "\n"
    source = opened(tmp_path, text)
    assert source.names[-1] == names[-1]
    assert first_row(source.select(source.names[:2])) == [5, 5]


def test_a_header_that_does_not_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="longer than 16 MB"):
        opened(tmp_path, "x" * (17 << 20))


def test_a_byte_of_another_encoding_below_a_name_of_two_lines_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'"a\nb",c\n' + b"1,2\n" * 300_000 + b"1,\xe9\n")
    with pytest.raises(DataError, match="is not UTF-8 text: byte 0xe9 in line 300,003"):
        open_source(tmp_path / "t.csv")


def test_a_long_cell_does_not_hide_the_line_of_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3 has 3 fields"):
        table(opened(tmp_path, f"a,b\n{'x' * 200_000},1\n1,2,3\n5,6\n"))
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize(
    ("text", "quotes_all"),
    [
        ('a,b\n"1","x"\n"2",""\n', False),
        ('"a","b"\n"1","x"\n"2",\n', True),
        ('"a","b"\n1,"x"\n2,"y"\n', False),
        ('a,b\n"x","y"\n"z","w"\n', False),
        ('a,b\n"1","x"\n"2",y\n', False),
        ("a,b\n1,2\n", False),
    ],
)
def test_a_writer_that_quotes_everything_is_known(text: str, quotes_all: bool) -> None:
    dialect = read_dialect(text, ReadOptions(), complete=True)
    assert dialect is not None
    assert dialect.quotes_all == quotes_all


@given(st.text('ab,"\n\r ', max_size=30))
def test_cells_are_those_of_the_csv_module(text: str) -> None:
    expected = list(csv.reader(io.StringIO(text, newline="")))
    assert [row.cells for row in read_rows(io.StringIO(text, newline=""), ",")] == expected


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('a,"b",c\n', [{1}]),
        ('"a\nb","c"\n1,"2""x"\n', [{0, 1}, {1}]),
        ('"",,"a,b"\n', [{0, 2}]),
        ('a"b",5" pipe\n', [set()]),
    ],
)
def test_cells_in_quotes_are_known(text: str, quoted: list[set[int]]) -> None:
    assert [row.quoted for row in read_rows(io.StringIO(text, newline=""), ",")] == quoted


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        ("1,5;7,25\n2,5;14,25\n3,5;9,75\n0,5;8,5\n", ["column_1", "column_2"], (1.5, 7.25)),
        ("Temp, innen;Last, max\n8,31;4,92\n7,5;5,1\n", ["Temp, innen", "Last, max"], (8.31, 4.92)),
        ("Temp\n1,23\n2,5\n", ["Temp"], (1.23,)),
        ("1,5\t7,25\n2,5\t14,25\n3,5\t9,75\n0,5\t8,5\n", ["column_1", "column_2"], (1.5, 7.25)),
        ("name,2021,2019,2020\nc1,7,8,9\nc2,6,3,1\n", ["name", "2021", "2019", "2020"], None),
    ],
)
def test_commas_may_be_decimal_marks_and_years_names(
    tmp_path: Path, text: str, names: list[str], first: tuple[float, ...] | None
) -> None:
    (tmp_path / "t.csv").write_text(text)
    source = open_source(tmp_path / "t.csv")
    assert source.names == names
    table = pa.Table.from_batches(source.batches(), source.schema)
    assert first is None or tuple(table.slice(0, 1).to_pylist()[0].values()) == first


@pytest.mark.parametrize(
    "row", ["<0.1,<0.2", ">100,<LOD", "12h,5m", "low,high", "true,false", "TBD,pending", "A1,B2"]
)
def test_a_first_row_of_other_texts_is_not_one_of_units(tmp_path: Path, row: str) -> None:
    text = f"a,b\n{row}\n" + "".join(f"0.{i},{i}.5\n" for i in range(1, 41))
    (tmp_path / "t.csv").write_text(text)
    source = open_source(tmp_path / "t.csv")
    assert sum(batch.num_rows for batch in source.batches()) == 41
