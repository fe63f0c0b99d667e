from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from aecli.errors import OutputError, UsageError
from aecli.table.in_memory import in_memory
from aecli.table.source import open_source
from aecli.table.writers import open_writer

NOON = dt.datetime(2024, 1, 31, 12, 0, 0, 500_000)
TABLE = pa.table(
    {
        "n": pa.array([1.5, float("nan"), None], pa.float32()),
        "t": ['a,"b"\nc', None, "é"],
        "w": pa.array([NOON, None, NOON], pa.timestamp("us")),
        "d": pa.array(["x", None, "x"]).dictionary_encode(),
        "b": [True, None, False],
    }
)


def write(table: pa.Table, output: Path | str, **options: Any) -> None:
    with open_writer(str(output), table.schema, **options) as write_batch:
        for batch in table.to_batches():
            write_batch(batch)


def read(path: Path) -> list[dict[str, Any]]:
    return [row for batch in open_source(path).batches() for row in batch.to_pylist()]


@pytest.mark.parametrize(
    "name", ["o.csv", "o.csv.gz", "o.tsv", "o.csv.zst", "o.jsonl", "o.jsonl.gz", "o.arrow"]
)
def test_what_is_written_reads_back(tmp_path: Path, name: str) -> None:
    write(TABLE, tmp_path / name)
    wanted = TABLE.to_pylist()
    found = read(tmp_path / name)
    if name != "o.arrow":
        wanted[1]["n"] = None
    else:
        assert str(found[1].pop("n")) == str(wanted[1].pop("n")) == "nan"
    assert found == wanted


def test_csv_quotes_where_needed_and_times_are_iso(tmp_path: Path) -> None:
    write(TABLE, tmp_path / "o.csv")
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[0] == "n,t,w,d,b"
    assert lines[1] == '1.5,"a,""b""'
    assert lines[2] == 'c","2024-01-31T12:00:00.500000","x",true'
    assert lines[3] == ",,,,"


def test_json_lines_hold_null_and_lists(tmp_path: Path) -> None:
    lists = pa.array([[1.0, float("nan")], None], pa.list_(pa.float32(), 2))
    write(pa.table({"z": lists, 'a"': [float("inf"), 2.0]}), tmp_path / "o.jsonl")
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"z": [1.0, None], 'a"': None},
        {"z": None, 'a"': 2.0},
    ]


def test_parquet_has_large_groups_checksums_and_no_float_dictionaries(tmp_path: Path) -> None:
    table = pa.table({"z": pa.array([0.5] * 5_000, pa.float32()), "k": ["x"] * 5_000})
    with open_writer(str(tmp_path / "o.parquet"), table.schema) as write_batch:
        for batch in table.to_batches(max_chunksize=100):
            write_batch(batch)
    metadata = pq.ParquetFile(tmp_path / "o.parquet").metadata
    assert metadata.num_row_groups == 1
    z, k = (metadata.row_group(0).column(i) for i in (0, 1))
    assert (z.compression, z.has_dictionary_page, k.has_dictionary_page) == ("ZSTD", False, True)


def test_batches_with_dictionaries_of_their_own_are_written(tmp_path: Path) -> None:
    parts = [pa.record_batch({"d": pa.array([v]).dictionary_encode()}) for v in ("x", "y")]
    for name in ("o.arrow", "o.parquet"):
        write(pa.Table.from_batches(parts), tmp_path / name)
        assert read(tmp_path / name) == [{"d": "x"}, {"d": "y"}]


@pytest.mark.parametrize("name", ["o.parquet", "o.csv", "o.jsonl", "o.arrow"])
def test_no_rows_still_make_a_file(tmp_path: Path, name: str) -> None:
    write(TABLE.slice(0, 0), tmp_path / name)
    assert (tmp_path / name).exists()
    if name != "o.jsonl":
        assert open_source(tmp_path / name).names == TABLE.schema.names


@pytest.mark.parametrize("name", ["o.parquet", "o.csv.gz", "o.jsonl", "o.arrow"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    (tmp_path / name).write_text("old")

    def fail() -> None:
        with open_writer(str(tmp_path / name), TABLE.schema) as write_batch:
            write_batch(TABLE.to_batches()[0])
            raise error

    with pytest.raises(error):
        fail()
    assert (tmp_path / name).read_text() == "old"
    assert os.listdir(tmp_path) == [name]


def test_input_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to(path)
    with pytest.raises(UsageError, match="is also the input"):
        write(TABLE, tmp_path / "link.csv", inputs=[path])
    assert path.read_text() == "a\n1\n"


def test_missing_directory_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write(TABLE, tmp_path / "no" / "o.csv")
    assert caught.value.hint == f"mkdir -p {tmp_path / 'no'}"


@pytest.mark.parametrize("name", ["o.xlsx", "o", "o.parquet.gz"])
def test_unknown_formats_are_usage_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write(TABLE, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_given_format_is_used_whatever_the_name(tmp_path: Path) -> None:
    write(TABLE, tmp_path / "o.dat", format="parquet")
    assert pq.read_table(tmp_path / "o.dat").num_rows == 3


def test_lists_do_not_go_into_csv(tmp_path: Path) -> None:
    table = pa.table({"z": pa.array([[1.0]], pa.list_(pa.float32(), 1))})
    with pytest.raises(UsageError, match="CSV does not support column 'z'"):
        write(table, tmp_path / "o.csv")


@pytest.mark.parametrize("format", [None, "parquet", "arrow", "jsonl"])
def test_standard_output_gets_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, format: str | None
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer))
    write(TABLE.select(["t", "b"]), "-", format=format)
    assert not buffer.closed
    (tmp_path / "o").write_bytes(buffer.getvalue())
    assert read(tmp_path / "o") == TABLE.select(["t", "b"]).to_pylist()


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow", "jsonl"])
def test_closed_pipe_stays_a_broken_pipe(format: str) -> None:
    code = (
        "import sys, pyarrow as pa\nfrom aecli.table.writers import open_writer\n"
        "batch = pa.record_batch({'a': list(range(300_000))})\n"
        "try:\n"
        "    with open_writer('-', batch.schema, format=sys.argv[1]) as write_batch:\n"
        "        for _ in range(20): write_batch(batch)\n"
        "except BrokenPipeError:\n"
        "    import os; os._exit(141)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, format], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr is not None
        told = process.stderr.read()
        assert (process.wait(), told) == (141, b"")


TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\r\0")))


@given(st.lists(st.tuples(TEXTS, st.one_of(st.none(), st.floats(width=32)))))
def test_any_cells_survive_json_lines(
    tmp_path_factory: Any, cells: list[tuple[str | None, float | None]]
) -> None:
    path = tmp_path_factory.mktemp("w") / "o.jsonl"
    texts, numbers = [c[0] for c in cells], [c[1] for c in cells]
    write(pa.table({"s": pa.array(texts, pa.string()), "n": pa.array(numbers, pa.float32())}), path)
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [row["s"] for row in found] == texts
    finite = [n if n is not None and abs(n) < float("inf") else None for n in numbers]
    assert [None if row["n"] is None else float(np.float32(row["n"])) for row in found] == finite


SIGNS = ["\r", "\n", '"', ",", "\t", ";", " ", "#", "a", "1", "\ufeff", "sep=", "\u2028", "\\"]
NAMES_AND_CELLS = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=4).map("".join)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("alone", [True, False])
@settings(deadline=None, max_examples=40)
@given(name=NAMES_AND_CELLS, cells=st.lists(NAMES_AND_CELLS, min_size=3, max_size=3))
@example(name="sep=,\r", cells=[",", "\r", "\r"])
def test_any_names_and_cells_survive_csv(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    alone: bool,
    name: str,
    cells: list[str],
) -> None:
    assume(not (alone and re.fullmatch("sep=.", name)))  # also the line that names a separator
    path = tmp_path_factory.mktemp("signs") / f"table{suffix}"
    columns = {name: [*cells, None, "end"]} | ({} if alone else {"other": [1, 2, 3, 4, 5]})
    write(pa.table(columns), path)
    delimiter = "\t" if suffix == ".tsv" else ","
    expected = [name, *cells, "", "end"]
    with path.open(newline="", encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file, delimiter=delimiter)] == expected
    frame = pd.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8")
    assert [frame.columns[0], *frame.iloc[:, 0]] == expected
    source = open_source(str(path))
    assert source.names == list(columns)
    texts = in_memory(source.with_texts([name]))
    read = [cell for batch in texts.batches() for cell in batch.column(0).to_pylist()]
    assert [cell or "" for cell in read] == expected[1:]


def test_missing_cells_of_one_column_are_quoted_and_texts_too(tmp_path: Path) -> None:
    table = pa.table({"a": ["x\ry", None, "p\tq", '"']})
    for name in ("a.csv", "a.tsv"):
        write(table, tmp_path / name)
        assert (tmp_path / name).read_bytes() == b'a\n"x\ry"\n""\n"p\tq"\n""""\n'


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([3])),
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        pa.array([[(1, 2, 3)]], pa.list_(pa.month_day_nano_interval())),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_a_type_that_only_arrow_has_goes_into_arrow_only(
    tmp_path: Path, column: pa.Array, suffix: str
) -> None:
    table = pa.table({"z": column})
    with pytest.raises(UsageError, match="does not support column 'z'") as caught:
        write(table, tmp_path / f"o.{suffix}")
    assert caught.value.hint == "-o with a name that ends in .arrow"
    assert os.listdir(tmp_path) == []
    write(table, tmp_path / "o.arrow")
    with pa.ipc.open_file(tmp_path / "o.arrow") as reader:
        assert reader.read_all().to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    ("column", "suffix"),
    [
        (pa.array([0], pa.timestamp("s", "Mars/Olympus")), "csv"),
        (pa.array([0], pa.timestamp("s", "Mars/Olympus")), "jsonl"),
        (pa.array([2**62], pa.timestamp("s")), "parquet"),
        (pa.array([{}], pa.struct([])), "parquet"),
        (pa.array([b"\xff\xfe"], pa.binary(2)), "csv"),
        (pa.array([b"\xff"], pa.binary_view()), "csv"),
    ],
    ids=str,
)
def test_a_value_that_a_format_cannot_hold_is_an_error_of_the_output(
    tmp_path: Path, column: pa.Array, suffix: str
) -> None:
    with pytest.raises(UsageError, match=r"cannot (be written as|hold column)"):
        write(pa.table({"z": column}), tmp_path / f"o.{suffix}")
    assert os.listdir(tmp_path) == []
