from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.cli.main import main
from aecli.errors import DataError
from aecli.table.source import open_source

LOGS = {
    "Delta": "_delta_log/00000000000000000000.json",
    "Hudi": ".hoodie/hoodie.properties",
    "Iceberg": "metadata/00002-5f.metadata.json",
}
KINDS = {kind: f"t is {'an' if kind == 'Iceberg' else 'a'} {kind} table" for kind in LOGS}
PLACES = ["t", "t/", "./t", "t/data", "t/data/a.parquet", "t/data/*.parquet", "t/**", "t/*", "*"]


def put_rows(path: Path, rows: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": [0.5 * i for i in range(rows)]}), path)


def put_log(folder: Path, kind: str) -> None:
    log = folder / LOGS[kind]
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("{}")


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put_rows(tmp_path / "t/data/a.parquet")


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("place", [*PLACES, ".", "./*/data/a.parquet"])
def test_a_table_that_keeps_deleted_rows_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, place: str
) -> None:
    put_log(tmp_path / "t", kind)
    put_rows(tmp_path / "t/data/b.parquet")
    assert main(["inspect", place]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert KINDS[kind] in err
    assert "read rows" in err.splitlines()[-1]
    assert "try: " in err
    assert len(err.splitlines()) <= 6


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("place", ["lake", "lake/*", "lake/*/*/*.parquet", "lake/plain.csv,lake/t"])
def test_a_folder_of_tables_that_holds_one_is_refused(
    tmp_path: Path, kind: str, place: str
) -> None:
    put_log(tmp_path / "lake/t", kind)
    put_rows(tmp_path / "lake/t/data/a.parquet")
    (tmp_path / "lake/plain.csv").write_text("x\n1\n")
    if place == "lake/*":
        (tmp_path / "lake/plain.csv").unlink()
    with pytest.raises(DataError, match=f"^lake/t is an? {kind} table"):
        open_source(place.split(","))


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("place", [".", "a.parquet", "*", "../data"])
def test_from_inside_the_table_the_way_out_leads_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    put_log(tmp_path / "t", kind)
    monkeypatch.chdir(tmp_path / "t/data")
    with pytest.raises(DataError) as caught:
        open_source(place)
    assert caught.value.what.startswith(f"{tmp_path}/t is a")
    assert f"'{tmp_path}/rows" in str(caught.value.hint)
    put_rows(tmp_path / "rows.parquet")
    assert open_source("../../rows.parquet").n_rows == 4


def test_a_link_to_a_file_of_such_a_table_is_refused(tmp_path: Path) -> None:
    put_log(tmp_path / "t", "Delta")
    (tmp_path / "link.parquet").symlink_to("t/data/a.parquet")
    with pytest.raises(DataError) as caught:
        open_source("link.parquet")
    assert caught.value.facts[0] == "link.parquet belongs to it"


@pytest.mark.parametrize(
    ("files", "scanned"),
    [
        (["v9.metadata.json", "v10.metadata.json"], "t/metadata/v10.metadata.json"),
        (["00001-a.metadata.json", "00000-b.metadata.json"], "t/metadata/00001-a.metadata.json"),
        (["v1.gz.metadata.json"], "t/metadata/v1.gz.metadata.json"),
        (["v1.metadata.json", "version-hint.text"], "t"),
    ],
)
def test_the_way_out_reads_the_newest_state_of_an_iceberg_table(
    tmp_path: Path, files: list[str], scanned: str
) -> None:
    (tmp_path / "t/metadata").mkdir()
    for name in files:
        (tmp_path / "t/metadata" / name).write_text("{}")
    with pytest.raises(DataError) as caught:
        open_source("t")
    query = f"copy (select * from iceberg_scan('{scanned}')) to 'rows.parquet'"
    assert caught.value.hint == f'duckdb -c "{query}", and read rows.parquet'


def test_names_in_the_command_are_quoted(tmp_path: Path) -> None:
    put_log(tmp_path / "it's $5", "Delta")
    with pytest.raises(DataError, match="is a Delta table") as caught:
        open_source("it's $5")
    assert r"delta_scan('it''s \$5')" in str(caught.value.hint)


@pytest.mark.parametrize(
    "other",
    ["metadata/notes.json", "metadata/v1.json", "metadata", "t.metadata.json", "delta_log/0.json"],
)
@pytest.mark.parametrize("place", ["t", "t/data", "t/data/a.parquet", "t/data/*.parquet"])
def test_a_folder_that_only_resembles_one_is_read(tmp_path: Path, other: str, place: str) -> None:
    path = tmp_path / "t" / other
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    assert open_source(place).n_rows == 4
    assert open_source(os.path.join(tmp_path, place)).n_rows == 4
