from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import DataError
from aecli.schema.options import ReadOptions
from aecli.table.csv_dialect import unclosed_quote_line
from aecli.table.source import open_source


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
    assert f"{path} line {line} opens a quote that nothing closes" in caught.value.what
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
