from __future__ import annotations

import gzip
import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import DataError, UsageError
from aecli.schema.read_options import ReadOptions
from aecli.table.cells.reading import Reading
from aecli.table.in_memory import in_memory
from aecli.table.source import Data, Source, open_source


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(source: Source) -> list[dict[str, Any]]:
    return [row for batch in source.batches() for row in batch.to_pylist()]


def types(source: Source) -> dict[str, str]:
    return {field.name: str(field.type) for field in source.schema}


def refusal(data: Data, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        rows(open_source(data, ReadOptions(**options)))
    assert len(caught.value.lines()) <= 6
    return caught.value


TABLE = pa.table({"a": [1, 2, None], "b": ["x", None, "é"], "c": [0.5, 1.5, 2.5]})


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow", "plain"])
def test_binary_formats_give_their_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".feather":
        feather.write_feather(TABLE, path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_stream(path, TABLE.schema) as writer:
            writer.write_table(TABLE)
    else:
        pq.write_table(TABLE, path)
    source = open_source(path)
    assert rows(source) == TABLE.to_pylist() == rows(source)
    assert rows(source.select(["c", "a"])) == TABLE.select(["c", "a"]).to_pylist()


def test_json_lines_give_their_rows_with_keys_from_any_line(tmp_path: Path) -> None:
    text = '{"a": 1}\n\n{"a": 2.5, "b": "x"}\n{"b": null, "v": [1, 2]}'
    source = open_source(put(tmp_path / "t.jsonl.gz", gzip.compress(text.encode())))
    assert types(source) == {"a": "double", "b": "string", "v": "list<item: int64>"}
    assert [row["a"] for row in rows(source)] == [1.0, 2.5, None]


def test_json_values_of_several_kinds_are_text(tmp_path: Path) -> None:
    path = put(tmp_path / "t.jsonl", '{"a": 1, "b": 1}\n{"a": "x", "b": 2}\n')
    assert rows(open_source(path)) == [{"a": "1", "b": 1}, {"a": "x", "b": 2}]


def test_damaged_json_names_its_line(tmp_path: Path) -> None:
    error = refusal(put(tmp_path / "t.jsonl", '{"a": 1}\n{"a": \n'))
    assert "t.jsonl line 2 is not JSON" in error.what


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_is_found_past_quoted_ones(tmp_path: Path, delimiter: str, end: str) -> None:
    other = ";" if delimiter == "," else ","
    lines = [f"a{delimiter}b", f'1{delimiter}"x{other}y{other}{delimiter}z"', f"2{delimiter}w"]
    source = open_source(put(tmp_path / "t.csv", end.join(lines) + end))
    assert rows(source) == [{"a": 1, "b": f"x{other}y{other}{delimiter}z"}, {"a": 2, "b": "w"}]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", ""], "int64"),
        (["1", "2.5", "NaN"], "double"),
        ([" 1", " 2"], "int64"),
        (["007", "012"], "string"),
        (["0x1F", "10"], "string"),
        (["12345678901234567890"], "uint64"),
        (["true", "FALSE", "NA"], "bool"),
        (["0", "true"], "string"),
        (["2024-01-31", "null"], "date32[day]"),
        (["2024-01-31", "2024-01-31 10:00"], "timestamp[s]"),
        (["2024-01-31T10:00:00.5Z"], "timestamp[us, tz=UTC]"),
        (["NA", "null"], "null"),
        (["x", "1"], "string"),
        (["1,5", "2,5"], "double"),
    ],
)
def test_text_gets_the_narrowest_type(tmp_path: Path, cells: list[str], kind: str) -> None:
    text = "k;v\n" + "".join(f"k;{cell}\n" for cell in cells)
    source = open_source(put(tmp_path / "t.csv", text))
    assert types(source)["v"] == kind
    assert len(rows(source)) == len(cells)


@pytest.mark.parametrize(
    ("last", "kind"), [("1.5", "double"), ("x", "string"), ("007", "string"), ("true", "string")]
)
def test_types_come_from_the_last_row_too(tmp_path: Path, last: str, kind: str) -> None:
    text = "a,b\n" + "1,some text to fill the first block\n" * 200_000 + f"{last},y\n"
    source = open_source(put(tmp_path / "t.csv", text))
    assert types(source)["a"] == kind
    assert source.n_rows == 200_001
    *_, batch = source.batches()
    assert str(batch.column("a")[-1]) == last


def test_only_an_unquoted_empty_cell_of_text_is_missing(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", 'a,b\nNA,1\n"",2\nnull,3\nNone,4\n,5\n')
    assert [row["a"] for row in rows(open_source(path).with_texts(["a"]))] == [None] * 5
    path = put(tmp_path / "u.csv", 'a,b\nNA,1\n"",2\nnull,3\nNone,4\n,5\nx,NA\n')
    found = rows(open_source(path))
    assert [row["a"] for row in found] == ["NA", "", "null", "None", None, "x"]
    assert [row["b"] for row in found] == [1, 2, 3, 4, 5, None]


def test_quoted_newlines_and_one_column(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", '"the\nname"\n"x\ny"\n""\nz, really\n')
    assert rows(open_source(path, ReadOptions(delimiter=";"))) == [
        {"the\nname": "x\ny"},
        {"the\nname": ""},
        {"the\nname": "z, really"},
    ]


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "\n\na,b\r\n"])
def test_header_only_has_no_rows(tmp_path: Path, text: str) -> None:
    source = open_source(put(tmp_path / "t.csv", text))
    assert (source.names, types(source)) == (["a", "b"], {"a": "null", "b": "null"})
    assert rows(source) == []
    assert source.n_rows == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_byte_order_marks_are_understood(tmp_path: Path, encoding: str) -> None:
    path = put(tmp_path / "t.csv", "größe,b\né,2\n".encode(encoding))
    assert rows(open_source(path)) == [{"größe": "é", "b": 2}]


def test_given_encoding_is_used(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", "größe,b\né,2\n".encode("latin-1"))
    assert rows(open_source(path, ReadOptions(encoding="latin-1"))) == [{"größe": "é", "b": 2}]


def test_wrong_encoding_names_byte_and_line(tmp_path: Path) -> None:
    error = refusal(put(tmp_path / "t.csv", b"a,b\nok,1\ncaf\xe9,2\n"))
    assert "is not UTF-8 text: byte 0xe9 in line 3" in error.what
    assert error.facts == ("byte 12 of the file, from 0",)
    assert error.hint == "--encoding cp1252"


def test_unknown_encoding_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown encoding 'latin-x'"):
        open_source(put(tmp_path / "t.csv", "a\n1\n"), ReadOptions(encoding="latin-x"))


@pytest.mark.parametrize(("row", "found"), [("3", 1), ("3,4,5", 3)])
def test_ragged_row_names_line_and_fields(tmp_path: Path, row: str, found: int) -> None:
    path = put(tmp_path / "t.csv", f'a,b\n1,"x\ny"\n\n{row}\n')
    error = refusal(path)
    assert error.what == f"{path} line 5 has {found} fields, the header has 2"
    assert error.exit_code == 3


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "t.csv is empty" in refusal(put(tmp_path / "t.csv", content)).what


def test_missing_file_suggests_a_near_one(tmp_path: Path) -> None:
    near = put(tmp_path / "adult.csv", "a\n1\n")
    error = refusal(tmp_path / "adlt.csv")
    assert "does not exist; did you mean" in error.what
    assert error.hint == str(near)


def test_truncated_and_garbage_parquet_are_told_apart(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "whole.parquet")
    cut = put(tmp_path / "cut.parquet", (tmp_path / "whole.parquet").read_bytes()[:-20])
    assert "cut.parquet is incomplete or damaged" in refusal(cut).what
    garbage = refusal(put(tmp_path / "no.parquet", "a,b\n1,2\n"))
    assert "no.parquet is not a Parquet file" in garbage.what


def test_damage_in_the_middle_of_parquet_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(TABLE, path, write_page_checksum=True, **plain)
    data = bytearray(path.read_bytes())
    data[data.index(b"\xc3\xa9")] ^= 1
    assert "it is damaged or incomplete" in refusal(put(path, bytes(data))).what


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04..", "zip archive"),
        (b"\x93NUMPY\x01", "NumPy"),
        (b"\0\1\2", "not a known"),
    ],
)
def test_foreign_formats_are_named(tmp_path: Path, head: bytes, what: str) -> None:
    assert what in refusal(put(tmp_path / "t.bin", head)).what


def test_glob_and_folder_without_tables_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "README.md", "x")
    assert "no file matches" in refusal(str(tmp_path / "*.csv")).what
    assert "contains no table" in refusal(tmp_path).what


def test_folder_skips_what_is_no_table_and_reads_partitions(tmp_path: Path) -> None:
    for year, value in (("2023", 1), ("2024", 2)):
        put(tmp_path / f"year={year}" / "part-0.csv", f"a\n{value}\n")
    for name in ("_SUCCESS", ".hidden.csv", "empty.csv", "year=2023/_tmp.csv"):
        put(tmp_path / name, "a,b\n1,2\n" if name.endswith("_tmp.csv") else "")
    source = open_source(tmp_path)
    assert rows(source) == [{"a": 1, "year": 2023}, {"a": 2, "year": 2024}]
    assert rows(source.select(["year"])) == [{"year": 2023}, {"year": 2024}]


def test_types_of_several_files_come_from_all(tmp_path: Path) -> None:
    put(tmp_path / "1.csv", "a,b,c\n1,2024-01-01,\n")
    put(tmp_path / "2.csv", "b,a,c\n2024-01-01 10:00,2.5,x\n")
    source = open_source(str(tmp_path / "*.csv"))
    assert types(source) == {"a": "double", "b": "timestamp[s]", "c": "string"}
    assert [row["a"] for row in rows(source)] == [1.0, 2.5]


@pytest.mark.parametrize(
    ("one", "two", "both"),
    [
        (pa.int32(), pa.int64(), "int64"),
        (pa.float32(), pa.float64(), "double"),
        (pa.null(), pa.string(), "string"),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), "string"),
        (pa.uint8(), pa.int8(), "int16"),
    ],
)
def test_parquet_files_agree_where_nothing_is_lost(
    tmp_path: Path, one: pa.DataType, two: pa.DataType, both: str
) -> None:
    for name, kind in (("1", one), ("2", two)):
        pq.write_table(pa.table({"a": pa.nulls(1, kind)}), tmp_path / f"{name}.parquet")
    source = open_source(tmp_path)
    assert types(source) == {"a": both}
    assert len(rows(source)) == 2


def test_files_that_disagree_are_named_with_the_difference(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), tmp_path / "2.parquet")
    error = refusal(tmp_path)
    assert "column 'a' has different types: string in" in error.what
    pq.write_table(pa.table({"a": [1], "c": [1]}), tmp_path / "2.parquet")
    assert refusal(tmp_path).facts == ("it lacks: b", "only this file has: c")


def test_repeated_and_missing_names_become_names_of_their_own(tmp_path: Path) -> None:
    source = open_source(put(tmp_path / "t.csv", "a,a_2,a,\n1,2,3,4\n"))
    assert rows(source) == [{"a": 1, "a_2": 2, "a_3": 3, "column_4": 4}]
    assert "'a' → 'a_3'" in source.notes[0]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])
    assert rows(open_source(twice)) == [{"x": 1, "x_2": 2}]
    pq.write_table(twice, tmp_path / "t.parquet")
    assert rows(open_source(tmp_path / "t.parquet").select(["x_2"])) == [{"x_2": 2}]


def test_column_names_with_dots_are_no_paths(tmp_path: Path) -> None:
    table = pa.table({"a": [1], "a.b": [2], "s": [{"t": 3}]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert rows(open_source(tmp_path / "t.parquet").select(["a.b", "a"])) == [{"a.b": 2, "a": 1}]


def test_dictated_numbers_take_whole_and_padded_cells(tmp_path: Path) -> None:
    source = open_source(put(tmp_path / "t.csv", "a,i\n3,3.0\n3.5, 4 \n 1e3,\nNA,5\n"))
    found = rows(source.select(["i", "a"], {"a": Reading(pa.float64()), "i": Reading(pa.int64())}))
    assert [row["a"] for row in found] == [3.0, 3.5, 1000.0, None]
    assert [row["i"] for row in found] == [3, 4, None, 5]


def test_cell_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", 'n,a\n"x\ny",1\nz,2\nw,n a\n')
    source = open_source(path).select(["a"], {"a": Reading(pa.float64())})
    with pytest.raises(DataError) as caught:
        rows(source)
    assert caught.value.what == f"{path}, row 3 (line 5), column 'a': 'n a' is not a number"


def test_select_remembers_types_and_keeps_rows_without_columns() -> None:
    source = open_source(TABLE).select(["a", "b"], {"a": Reading(pa.float64())})
    assert types(source.select(["a"])) == {"a": "double"}
    assert sum(batch.num_rows for batch in source.select([]).batches()) == 3


def test_batches_have_at_most_so_many_rows(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", "a\n" + "1\n" * 10)
    for source in (open_source(path), in_memory(open_source(path))):
        assert [batch.num_rows for batch in source.batches(4)] == [4, 4, 2]


def test_memory_is_read_from_any_arrow_producer() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None]}).iloc[[0, 2]]
    assert rows(open_source(frame)) == [{"a": 1, "b": "x"}, {"a": 3, "b": None}]
    assert rows(open_source(TABLE.to_batches()[0])) == TABLE.to_pylist()
    views = pa.table({"s": pa.array(["x"], pa.string_view())})
    assert types(open_source(views)) == {"s": "large_string"}


@pytest.mark.parametrize("data", [1, b"t.csv", [], [1], {"a": 1}])
def test_what_is_no_table_is_a_usage_error(data: Any) -> None:
    with pytest.raises(UsageError):
        open_source(data)


@pytest.mark.parametrize("data", [pd.Series([1, 2]), pd.Series([1, "a"]), pa.array([1])])
def test_one_column_is_no_table(data: Any) -> None:
    with pytest.raises(UsageError, match="is one column, not a table"):
        open_source(data)


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"a\n1\n2\n", gzip.compress(b"a\n1\n2\n", mtime=0), b'{"a":1}\n{"a":2}\n', as_parquet()],
)
def test_standard_input_is_sniffed_and_read_twice(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    source = open_source("-").select(["a"])
    assert rows(source) == [{"a": 1}, {"a": 2}] == rows(source)
    assert source.paths == ()
    assert source.name == "standard input"


@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**53), 2**53), st.text(max_size=5)), min_size=1)
)
def test_json_lines_keep_what_they_hold(tmp_path_factory: Any, values: list[Any]) -> None:
    path = tmp_path_factory.mktemp("j") / "t.jsonl"
    path.write_text("".join(json.dumps({"a": v, "k": 1}) + "\n" for v in values), encoding="utf-8")
    mixed = any(isinstance(v, str) for v in values)
    wanted = [str(v) if mixed and v is not None else v for v in values]
    assert [row["a"] for row in rows(open_source(path).with_texts(["a"]))] == wanted


@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_an_error_that_explains(tmp_path_factory: Any, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("b")
    for name in ("t.csv", "t.jsonl", "t.parquet", "t.arrow", "t"):
        path = put(folder / name, data)
        with suppress(DataError):
            rows(open_source(path))
