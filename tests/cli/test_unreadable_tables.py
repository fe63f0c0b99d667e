"""Every command refuses a table that it cannot read with one message, and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from aecli.cli.main import main
from tests.cli.conftest import QUICK, run_aecli

COMMANDS = {
    "inspect": ("inspect", "BAD"),
    "train": ("train", "BAD", "--model", "new", *QUICK),
    "validate": (
        "train",
        "data.csv",
        "--label",
        "kind",
        "--valid",
        "BAD",
        "--model",
        "new",
        *QUICK,
    ),
    "tune": ("tune", "BAD", "--trials", "1", "--model", "new", "--device", "cpu"),
    "encode": ("encode", "BAD", "-o", "out.csv"),
    "keep": ("encode", "BAD", "--keep", "*", "-o", "out.jsonl"),
    "reconstruct": ("reconstruct", "BAD", "-o", "out.csv"),
    "fill": ("reconstruct", "BAD", "--fill", "-o", "out.csv"),
    "predict": ("predict", "BAD", "-o", "out.csv"),
    "score": ("score", "BAD", "-o", "out.csv"),
    "calibrate": ("calibrate", "BAD"),
    "evaluate": ("evaluate", "BAD"),
    "by": ("evaluate", "BAD", "--by", "colour"),
    "report": ("report", "BAD", "-o", "out.html"),
    "plot": ("plot", "map", "BAD", "-o", "out.png"),
}


def invalid_text(table: pa.Table) -> bytes:
    cells = pa.array([b"\xff" for _ in range(table.num_rows)], pa.binary()).view(pa.string())
    return parquet(table.set_column(3, "colour", cells))


def invalid_name(table: pa.Table) -> bytes:
    names = [*table.column_names[:-1], "NAME"]
    return parquet(table.rename_columns(names)).replace(b"NAME", b"\xff\xfe\xfd\xfc")


def no_columns(table: pa.Table) -> bytes:
    return parquet(table.select([]))


def joined(table: pa.Table) -> bytes:
    return parquet(table) * 2


def surrogates(table: pa.Table) -> bytes:
    text = table.to_pandas().to_json(orient="records", lines=True)
    return str(text).replace('"red"', '"\\ud800"').encode()


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, store_schema=False)
    return bytes(sink.getvalue())


TABLES: dict[Callable[[pa.Table], bytes], str] = {
    invalid_text: "row 1, column 'colour': the text is not valid UTF-8",
    invalid_name: "the name of a column is not valid UTF-8",
    no_columns: "has no columns",
    joined: "contains 2 Parquet files",
    surrogates: "the value of 'colour' has half of a surrogate pair",
}


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_table_that_cannot_be_read(
    trained: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    make: Callable[[pa.Table], bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").write_bytes(make(pacsv.read_csv(trained)))
    before = set(os.listdir())
    code = main(["bad" if word == "BAD" else word for word in COMMANDS[command]])
    error = capsys.readouterr().err
    assert code == 3, error
    assert TABLES[make] in error
    assert "try: " in error
    assert "Traceback" not in error
    assert set(os.listdir()) == before


def test_a_pipe_is_a_table(trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (tmp_path / trained).read_text()
    done = run_aecli(tmp_path, "encode", "/dev/stdin", "-o", "pipe.csv", "-q", stdin=content)
    assert (done.code, done.err) == (0, "")
    monkeypatch.chdir(tmp_path)
    assert main(["encode", trained, "-o", "file.csv", "-q"]) == 0
    assert (tmp_path / "pipe.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
