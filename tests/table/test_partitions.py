from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.cli.main import main
from aecli.errors import DataError
from aecli.table.cells.reading import Reading
from aecli.table.source import Source, open_source

YEARS, REGIONS = (2020, 2021, 2022), ("east", "a b", "no/rth")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("h") / "hive"
    for year in YEARS:
        for place, region in enumerate(REGIONS):
            xs = [year + place + 0.125 * i for i in range(20)]
            put(folder / f"year={year}" / f"reg={quote(region, safe='')}" / "part.parquet", x=xs)
    return folder


def put(path: Path, **columns: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def rows(source: Source) -> list[dict[str, Any]]:
    return [row for batch in source.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("inside", "path", "years", "regions"),
    [
        ("..", "hive", YEARS, REGIONS),
        ("..", "hive/*/*/*.parquet", YEARS, REGIONS),
        ("..", "hive/**/*.parquet", YEARS, REGIONS),
        ("..", "hive/year=202[12]", YEARS[1:], REGIONS),
        ("..", "hive/year=202[12]/*/part.parquet", YEARS[1:], REGIONS),
        ("..", "hive/year=2022", YEARS[2:], REGIONS),
        ("..", "./hive/year=2022/", YEARS[2:], REGIONS),
        ("..", "hive/year=2022/reg=east", YEARS[2:], REGIONS[:1]),
        ("..", "hive/year=2022/reg=east/part.parquet", YEARS[2:], REGIONS[:1]),
        ("..", "hive/year=2022/reg=no%2Frth/*", YEARS[2:], REGIONS[2:]),
        ("year=2022", ".", YEARS[2:], REGIONS),
        ("year=2022", "*/*.parquet", YEARS[2:], REGIONS),
        ("year=2022", "reg=east", YEARS[2:], REGIONS[:1]),
        ("year=2022", "../year=2021/reg=east", YEARS[1:2], REGIONS[:1]),
        ("year=2022/reg=east", ".", YEARS[2:], REGIONS[:1]),
        ("year=2022/reg=east", "part.parquet", YEARS[2:], REGIONS[:1]),
        ("year=2022/reg=east", "*.parquet", YEARS[2:], REGIONS[:1]),
        ("year=2022/reg=east", "..", YEARS[2:], REGIONS),
    ],
)
def test_partition_values_come_from_the_path(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    inside: str,
    path: str,
    years: tuple[int, ...],
    regions: tuple[str, ...],
) -> None:
    whole = rows(open_source(root))
    monkeypatch.chdir(root / inside)
    wanted = [row for row in whole if row["year"] in years and row["reg"] in regions]
    assert len(wanted) == 20 * len(years) * len(regions)
    assert rows(open_source(path)) == wanted
    absolute = path if path.startswith(".") else os.path.join(os.getcwd(), path)
    assert rows(open_source(absolute)) == wanted


@pytest.mark.parametrize(
    ("path", "named", "wanted"),
    [
        ("k=1/plain/t.parquet", "k=1/plain/t.parquet", {}),
        ("k=1/plain/t.parquet", "k=1/plain", {}),
        ("k=1/plain/j=2/t.parquet", "k=1/plain/j=2/t.parquet", {"j": 2}),
        ("k=1/plain/j=2/t.parquet", "k=1/plain/*/*", {"j": 2}),
        ("k=1/j=2/t.parquet", "k=1/j=2/t.parquet", {"k": 1, "j": 2}),
        ("k=/t.parquet", "k=/t.parquet", {"k": None}),
        ("=1/t.parquet", "=1", {}),
        ("k=a=b/t.parquet", "k=a=b", {"k": "a=b"}),
        ("k=1.5/t.parquet", "k=1.5", {"k": 1.5}),
        ("k=007/t.parquet", "k=007", {"k": "007"}),
        ("k=true/t.parquet", "k=true", {"k": True}),
        ("k=%41%20é/t.parquet", "k=%41%20é/*.parquet", {"k": "A é"}),
        ("k=__HIVE_DEFAULT_PARTITION__/t.parquet", "k=*/t.parquet", {"k": None}),
        ("x=9/t.parquet", "x=9/t.parquet", {}),
    ],
)
def test_each_folder_right_above_gives_a_cell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    named: str,
    wanted: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / path, x=[1])
    assert rows(open_source(named)) == [{"x": 1, **wanted}]


@given(value=st.text(min_size=1, max_size=20))
def test_a_column_of_text_takes_any_partition_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    file = put(tmp_path_factory.mktemp("p") / f"k={quote(value, safe='')}/t.parquet", x=[1])
    source = open_source(file)
    assert rows(source.select(["k"], {"k": Reading(pa.string())})) == [{"k": value}]
    assert len(rows(source)) == 1


@pytest.mark.parametrize(
    ("trained", "later"),
    [
        (["007", "abc"], ["12", "1.50", "True", "2024-01-01", "1e3"]),
        (["1", "2"], ["1.0", "%202", "3"]),
        (["0.5", "1"], ["1", "7e1"]),
        (["2024-01-01", "2024-01-02"], ["2024-01-03"]),
        (["true", "false"], ["true", "1"]),
    ],
)
def test_a_model_reads_partitions_as_the_type_it_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str], later: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in trained:
        put(tmp_path / f"train/k={value}/t.parquet", x=[0.5 * i for i in range(30)])
    assert main(["train", "train", "--epochs", "2", "-m", "m", "-q"]) == 0
    for value in later:
        put(tmp_path / f"later/k={value}/t.parquet", x=[0.5, 1.5])
        assert main(["encode", f"later/k={value}", "-m", "m", "-o", "z.parquet", "-q"]) == 0
        assert pq.read_table("z.parquet").num_rows == 2


def test_a_partition_that_does_not_fit_the_model_is_named(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(root), "--epochs", "2", "-m", "m", "-q"]) == 0
    put(tmp_path / "year=next/reg=east/t.parquet", x=[0.5])
    assert main(["encode", "year=next", "-m", "m", "-o", "z.csv"]) == 3
    err = capsys.readouterr().err
    assert "year=next/reg=east/t.parquet: its folder year=next is not a number" in err
    assert len(err.splitlines()) <= 6


@pytest.mark.parametrize("path", ["year=2022", "*/*/*.parquet", "year=2021/reg=a b/part.parquet"])
def test_a_part_gets_the_latents_it_has_in_the_whole(
    tmp_path: Path, root: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = path.replace("a b", "a%20b")
    assert main(["train", str(root), "--epochs", "2", "-m", "m", "-q"]) == 0
    keep = ["--keep", "year,reg", "-m", "m", "-q"]
    assert main(["encode", str(root), *keep, "-o", "all.parquet"]) == 0
    assert main(["encode", str(root / path), *keep, "-o", "part.parquet"]) == 0
    part, whole = pd.read_parquet("part.parquet"), pd.read_parquet("all.parquet")
    places = set(zip(part["year"], part["reg"], strict=True))
    kept = [place in places for place in zip(whole["year"], whole["reg"], strict=True)]
    pd.testing.assert_frame_equal(part, whole[kept].reset_index(drop=True), atol=1e-4)


def test_one_partition_alone_trains_with_constants(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    part = str(root / "year=2022/reg=east/part.parquet")
    assert main(["inspect", part]) == 0
    assert capsys.readouterr().out.count("constant") == 2
    assert main(["train", part, "--epochs", "2", "-m", "m", "-q"]) == 0
    plain = put(tmp_path / "plain.parquet", x=[2022.5, 2023.5])
    for data in (part, str(plain)):
        assert main(["encode", data, "-m", "m", "-o", "z.parquet", "-q"]) == 0
        assert {name[0] for name in pq.read_table("z.parquet").column_names} == {"z"}
        assert main(["reconstruct", data, "-m", "m", "-o", "r.parquet", "-q"]) == 0
        last = pq.read_table("r.parquet").to_pylist()[-1]
        assert (last["year"], last["reg"]) == (2022, "east")


def test_a_name_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"k=\xff")
    os.mkdir(folder)
    with open(os.path.join(folder, b"t.csv"), "wb") as file:
        file.write(b"x\n1\n")
    with pytest.raises(DataError, match="is not valid UTF-8"):
        open_source(tmp_path)
