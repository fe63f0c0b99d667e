"""Missing values are the user's to define, and what aecli writes it reads back."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aecli
from aecli.schema.read_options import ReadOptions
from aecli.table.cells.reading import Reading
from aecli.table.labels import read_labels
from aecli.table.source import Source, open_source
from aecli.table.writers import open_writer


def opened(folder: Path, text: str, **options: Any) -> Source:
    """Return a CSV table of this text."""
    (folder / "t.csv").write_text(text, newline="")
    return open_source(folder / "t.csv", ReadOptions(**options))


def columns(source: Source) -> dict[str, list[Any]]:
    """Return the cells of a table by column."""
    found: dict[str, list[Any]] = pa.Table.from_batches(source.batches(), source.schema).to_pydict()
    return found


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("x,t\n1,a\n,\n3,NA\n", {"x": [1, None, 3], "t": ["a", None, "NA"]}),
        ('x,t\n1,a\n"",""\n', {"x": [1, None], "t": ["a", ""]}),
        ("x,t\nNA,NA\n?,?\n-,-\n1,b\n", {"x": [None] * 3 + [1], "t": ["NA", "?", "-", "b"]}),
        ("x\nN/A\nnull\nNone\nNULL\nnan\n2.5\n", {"x": [None] * 5 + [2.5]}),
        ("b,k\nTrue,1\nNA,2\n?,3\nFalse,4\n", {"b": [True, None, None, False], "k": [1, 2, 3, 4]}),
        ("b,k\nyes,1\nNA,2\n-,3\nno,4\n", {"b": [True, None, None, False], "k": [1, 2, 3, 4]}),
        ("x,t\n NA ,null\n 2 ,b\n", {"x": [None, 2], "t": ["null", "b"]}),
        ("t,k\n nan,1\nb,2\n", {"t": [" nan", "b"], "k": [1, 2]}),
    ],
)
def test_what_means_missing_by_default(
    tmp_path: Path, text: str, cells: dict[str, list[Any]]
) -> None:
    assert columns(opened(tmp_path, text)) == cells


@pytest.mark.parametrize(
    ("text", "nulls", "cells"),
    [
        ("x,t\n1,a\n-999,-999\n", "-999", {"x": [1, None], "t": ["a", None]}),
        ("x,t\n1.5,a\n-999.0,b\n", "-999", {"x": [1.5, None], "t": ["a", "b"]}),
        ("x,t\n1,NA\nNA,b\n", "NA", {"x": [1, None], "t": [None, "b"]}),
        ("x,t\nunknown,unknown\n2,b\n", "unknown,TBD", {"x": [None, 2], "t": [None, "b"]}),
        ('x,t\n1,"NA"\nNA, NA \n2,b\n', "NA", {"x": [1, None, 2], "t": [None, None, "b"]}),
        ("d,k\n1900-01-01,1\n2024-01-31,2\n", "1900-01-01", {"k": [1, 2]}),
    ],
)
def test_the_user_says_what_means_missing(
    tmp_path: Path, text: str, nulls: str, cells: dict[str, list[Any]]
) -> None:
    found = columns(opened(tmp_path, text, null_values=nulls))
    assert {name: found[name] for name in cells} == cells
    assert found.get("d", [None])[0] is None


def test_numbers_of_parquet_mean_missing_too(tmp_path: Path) -> None:
    table = pa.table({"x": [1, -999, 3], "y": [-999.0, 2.5, None], "t": ["a", "-999", "b"]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert columns(open_source(tmp_path / "t.parquet", ReadOptions(null_values=["-999"]))) == {
        "x": [1, None, 3],
        "y": [None, 2.5, None],
        "t": ["a", None, "b"],
    }


def test_a_file_that_quotes_everything_quotes_missing_cells_too(tmp_path: Path) -> None:
    text = '"x","t"\n"1","a"\n"","b"\n"3",""\n'
    assert columns(opened(tmp_path, text)) == {"x": [1, None, 3], "t": ["a", "b", None]}


def test_marks_of_missing_labels_are_no_classes(tmp_path: Path) -> None:
    text = "y,x\n" + "yes,1\nno,2\nNA,3\n?,4\n" * 5
    label = read_labels(opened(tmp_path, text), "y")[0]
    assert (label.classes, label.counts) == (["no", "yes"], [5, 5])
    text = "y,x\n" + "EU,1\nAS,2\nNA,3\n" * 5
    assert read_labels(opened(tmp_path, text), "y")[0].classes == ["AS", "EU", "NA"]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_category_that_a_model_knows_is_never_missing(tmp_path: Path, quote: str) -> None:
    regions = ["NA", "EU", "SA"] * 20
    numbers = [float(i % 7 + 10 * (i % 3)) for i in range(60)]
    table = pa.table({"x": numbers, "r": regions, "y": regions})
    aecli.train(table, label="y", model=tmp_path / "m", epochs=1, null_values="SA")
    rows = "".join(
        f"{x},{quote}{r}{quote},{quote}{r}{quote}\n" for x, r in zip(numbers, regions, strict=True)
    )
    (tmp_path / "later.csv").write_text("x,r,y\n" + rows)
    found = aecli.evaluate(str(tmp_path / "later.csv"), model=tmp_path / "m")
    assert (found.rows, found.classification.rows) == (60, 40)


WORDS = st.sampled_from(
    [
        *("NA", "null", "None", "nan", "", " a", "b ", 'q"q', '"', "\r", "\r\n", "a\nb"),
        *("-", "?", ",", "\t", ";", "#x", "ä"),
    ]
)
TEXTS = st.one_of(WORDS, st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8))
NAMES = st.lists(TEXTS.filter(bool), min_size=1, max_size=3, unique=True)


@given(names=NAMES, data=st.data(), format=st.sampled_from(["csv", "tsv", "jsonl"]))
def test_text_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject, format: str
) -> None:
    rows = data.draw(st.integers(1, 4))
    cells = st.lists(st.one_of(st.none(), TEXTS), min_size=rows, max_size=rows)
    table = pa.table({name: pa.array(data.draw(cells), pa.string()) for name in names})
    table = table.append_column("anchor", pa.array([*string.ascii_letters[:rows]]))
    folder = tmp_path_factory.mktemp("r")
    pq.write_table(table, folder / "t.parquet")
    assert (
        columns(open_source(folder / "t.parquet").with_texts(table.column_names))
        == table.to_pydict()
    )
    path = folder / f"t.{format}"
    with open_writer(str(path), table.schema) as write:
        for batch in table.to_batches():
            write(batch)
    source = open_source(path).with_texts(table.column_names)
    assert source.names == table.column_names
    texts = source.select(source.names, {name: Reading(pa.string()) for name in source.names})
    assert columns(texts) == table.to_pydict()
