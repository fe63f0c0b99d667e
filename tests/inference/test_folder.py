"""What an output folder promises: the rows of one file, in files that can be resumed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError, OutputError, UsageError
from tests.inference.conftest import COMMANDS, table

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

SIZES = (70, 0, 130, 1, 40)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("models")
    for seed in (0, 1):
        aecli.train(
            table(300),
            model=place / f"m{seed}",
            label="y",
            id=["id"],
            latent=2,
            epochs=2,
            seed=seed,
        )
    return [place / "m0", place / "m1"]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of files of different lengths, one in a folder of its own."""
    rows, start = table(sum(SIZES), seed=1), 0
    for number, size in enumerate(SIZES):
        place = tmp_path / "t" / f"day={number // 2}"
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows.slice(start, size), place / f"p{number}.parquet")
        start += size
    return tmp_path / "t"


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return manifest


def outputs(folder: Path) -> list[Path]:
    return [folder / file["output"] for file in manifest_of(folder)["files"]]


def hashes(folder: Path) -> dict[str, str]:
    files = folder.rglob("p*.parquet")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_files_together_are_the_file_that_one_output_would_be(
    command, models, shards, tmp_path
):
    run = COMMANDS[command]
    one = run(shards, str(tmp_path / "one.parquet"), model=models[0], keep=["day"])
    many = run(shards, f"{tmp_path}/out/", model=models[0], keep=["day"])
    files = outputs(tmp_path / "out")
    rows = pa.concat_tables([pq.ParquetFile(path).read() for path in files])
    assert rows.equals(pq.ParquetFile(tmp_path / "one.parquet").read())
    assert [path.name for path in files] == [f"p{i}.parquet" for i in range(len(SIZES))]
    assert (many.rows, many.columns, many.files) == (one.rows, one.columns, len(SIZES))
    assert (tmp_path / "out" / "_SUCCESS").exists()
    if command == "score":
        assert (many.outliers, many.shares) == (one.outliers, pytest.approx(one.shares))
        assert [s.score for s in many.anomalous] == [s.score for s in one.anomalous]
        assert many.anomalous[0].identifiers["file"].startswith("day=")


def test_csv_files_have_the_types_of_the_whole_table(models, tmp_path):
    (tmp_path / "t").mkdir()
    for number, note in enumerate(("1", "2", "late")):
        part = table(20, seed=number).append_column("note", pa.array([note] * 20))
        pacsv.write_csv(part, tmp_path / "t" / f"p{number}.csv")
    found = aecli.encode(
        tmp_path / "t", f"{tmp_path}/out/", model=models[0], keep=["note"], to="parquet"
    )
    types = {pq.read_schema(path).field("note").type for path in outputs(tmp_path / "out")}
    assert (found.rows, types) == (60, {pa.string()})


def test_killed_parts_resume_to_the_same_bytes(models, tmp_path):
    (tmp_path / "t").mkdir()
    for number in range(20):
        pq.write_table(table(2_000, seed=number), tmp_path / "t" / f"p{number:02}.parquet")
    aecli.score(tmp_path / "t", f"{tmp_path}/whole/", model=models[0], threads=1)
    out = tmp_path / "out"

    def part(number: int, *options: str) -> subprocess.Popen[bytes]:
        # A process of its own: the one that tests fork would survive the signal.
        command = [sys.executable, "-m", "aecli", "score", "t/", "-m", models[0], "-o", "out/"]
        command += ["--threads", "1", "--shard", f"{number}/2", *options]
        environ = os.environ | {"PYTHONPATH": os.getcwd()}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=pipe, stderr=pipe)

    parts = [part(1), part(2)]
    for running, third in zip(parts, ("p04", "p05"), strict=True):
        while not (out / f"{third}.parquet").exists():
            assert running.poll() is None
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    early = {path: path.stat().st_mtime_ns for path in out.glob("p*.parquet")}
    assert 6 <= len(early) < 20
    assert not (out / "_SUCCESS").exists()
    ended = [part(1, "--resume", "--json"), part(2, "--resume", "--json")]
    assert [json.loads(running.communicate()[0])["rows"] for running in ended] == [20_000] * 2
    kept = [path for path, before in early.items() if path.stat().st_mtime_ns == before]
    assert len(kept) >= len(early) - 2  # a file without its record is written again
    assert hashes(out) == hashes(tmp_path / "whole")
    assert len({file["input"] for file in manifest_of(out)["files"]}) == 20
    assert (out / "_SUCCESS").exists()
    assert not list(out.glob(".aecli-*"))


def test_the_last_part_completes_the_folder(models, shards, tmp_path):
    out = tmp_path / "out"
    rows = []
    for part in ("2/3", "3/3", "1/3"):
        assert not (out / "_SUCCESS").exists()
        rows.append(aecli.encode(shards, f"{out}/", model=models[0], shard=part).rows)
    assert rows == [SIZES[1] + SIZES[4], SIZES[2], SIZES[0] + SIZES[3]]
    manifest = json.loads((out / "_manifest.json").read_text())
    assert (manifest["rows"], len(manifest["files"])) == (sum(SIZES), len(SIZES))
    assert {file["sha256"] for file in manifest["files"]} == set(hashes(out).values())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_part_without_files_writes_nothing(command, models, shards, tmp_path):
    found = COMMANDS[command](shards, f"{tmp_path}/out/", model=models[0], shard="7/8")
    assert (found.rows, found.files) == (0, 0)
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_resume_writes_what_changed_and_counts_all_rows(models, shards, tmp_path):
    out = tmp_path / "out"
    aecli.encode(shards, f"{out}/", model=models[0])
    times = {path: path.stat().st_mtime_ns for path in outputs(out)}
    pq.write_table(table(50, seed=9), shards / "day=1" / "p2.parquet")
    outputs(out)[4].unlink()
    found = aecli.encode(shards, f"{out}/", model=models[0], resume=True)
    assert found.rows == sum(SIZES) - 130 + 50
    same = [path for path, before in times.items() if path.stat().st_mtime_ns == before]
    assert [path.name for path in same] == ["p0.parquet", "p1.parquet", "p3.parquet"]


def test_outputs_of_inputs_that_no_longer_exist_are_removed(models, shards, tmp_path):
    out = tmp_path / "out"
    aecli.encode(shards, f"{out}/", model=models[0])
    (out / "notes.txt").write_text("mine")
    (shards / "day=1" / "p3.parquet").unlink()
    aecli.encode(shards, f"{out}/", model=models[0])
    assert sorted(hashes(out)) == ["p0.parquet", "p1.parquet", "p2.parquet", "p4.parquet"]
    assert len(outputs(out)) == 4
    assert (out / "notes.txt").read_text() == "mine"


def test_resume_refuses_files_of_another_model_or_command(models, shards, tmp_path):
    out = f"{tmp_path}/out/"
    aecli.encode(shards, out, model=models[0])
    with pytest.raises(UsageError, match="written by another command") as refused:
        aecli.encode(shards, out, model=models[1], resume=True)
    assert "its model was" in refused.value.facts[0]
    with pytest.raises(UsageError) as refused:
        aecli.encode(shards, out, model=models[0], resume=True, as_list=True)
    assert refused.value.facts == ("as_list was False, now it is True",)
    aecli.encode(shards, out, model=models[1])
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert len({file["model"] for file in manifest["files"]}) == 1


def test_a_damaged_file_does_not_keep_the_others_from_being_written(models, shards, tmp_path):
    damaged = shards / "day=1" / "p2.parquet"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:40] + bytes(400) + content[440:])
    with pytest.raises(DataError, match="1 of 5 files failed") as failed:
        aecli.encode(shards, f"{tmp_path}/out/", model=models[0])
    assert "p2.parquet" in failed.value.facts[0]
    assert len(hashes(tmp_path / "out")) == 4
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    damaged.write_bytes(content)
    aecli.encode(shards, f"{tmp_path}/out/", model=models[0], resume=True)
    assert len(outputs(tmp_path / "out")) == 5


def test_a_csv_file_that_vanished_is_an_error_of_that_file(models, tmp_path, monkeypatch):
    (tmp_path / "t").mkdir()
    for number in range(3):
        pacsv.write_csv(table(20, seed=number), tmp_path / "t" / f"p{number}.csv")
    read = pacsv.open_csv

    def vanish(*args, **options):
        (tmp_path / "t" / "p1.csv").unlink(missing_ok=True)
        return read(*args, **options)

    monkeypatch.setattr(pacsv, "open_csv", vanish)
    with pytest.raises(DataError, match="1 of 3 files failed") as failed:
        aecli.encode(tmp_path / "t", f"{tmp_path}/out/", model=models[0], to="parquet")
    assert "p1.csv" in failed.value.facts[0]
    assert sorted(hashes(tmp_path / "out")) == ["p0.parquet", "p2.parquet"]


def test_a_record_of_another_version_is_not_used(models, shards, tmp_path):
    aecli.encode(shards, f"{tmp_path}/out/", model=models[0])
    for path in (tmp_path / "out" / "_shards").iterdir():
        record = json.loads(path.read_bytes())
        record["result"]["later"] = 1
        path.write_text(json.dumps(record))
    found = aecli.encode(shards, f"{tmp_path}/out/", model=models[0], resume=True)
    assert (found.rows, found.files) == (sum(SIZES), len(SIZES))


def test_a_file_that_vanished_is_an_error_of_that_file(models, shards, tmp_path, monkeypatch):
    write = pq.ParquetFile.iter_batches

    def vanish(file, *args, **options):
        shutil.rmtree(shards / "day=2", ignore_errors=True)
        return write(file, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", vanish)
    with pytest.raises(DataError, match="1 of 5 files failed"):
        aecli.encode(shards, f"{tmp_path}/out/", model=models[0])


@pytest.mark.parametrize(
    ("data", "output", "options", "message"),
    [
        ("t", "t/out/", {}, "is in the folder of the table"),
        ("t", "t/", {}, "is in the folder of the table"),
        ("t", "m0/", {}, "is a model directory"),
        ("t", "x.parquet", {"resume": True}, "--resume is for a folder"),
        ("t", "x.parquet", {"shard": "1/2"}, "--shard 1/2 is for a folder"),
        ("t", "x.parquet", {"engine": "ray"}, "--engine ray is for a folder"),
        ("t", "out/", {"engine": "spark"}, "--engine spark: must be local or ray"),
        ("t", "out/", {"shard": "0/2"}, "is not a part K/N"),
        ("t", "out/", {"shard": "3/2"}, "is not a part K/N"),
        ("t", "out/", {"shard": "half"}, "is not a part K/N"),
        (["t/day=0/p0.parquet", "copy/p0.parquet"], "out/", {}, "would both be written"),
        ("copy/p0.parquet", "copy/", {}, "is also the input"),
    ],
)
def test_folders_that_cannot_be_written(
    data, output, options, message, models, shards, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models[0], "m0")
    shutil.copytree(shards / "day=0", "copy")
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=message):
        aecli.encode(data, output, model="m0", **options)
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_a_finished_folder_stays(models, shards, tmp_path):
    aecli.encode(shards, f"{tmp_path}/out/", model=models[0])
    with pytest.raises(UsageError, match="--engine ray needs Ray") as missing:
        aecli.encode(shards, f"{tmp_path}/out/", model=models[0], engine="ray")
    assert missing.value.hint == "pip install 'aecli[ray]'"
    assert (tmp_path / "out" / "_SUCCESS").exists()


def test_tables_without_files_have_no_folder(models, tmp_path):
    with pytest.raises(UsageError, match="one file per input file"):
        aecli.encode(table(5), f"{tmp_path}/out/", model=models[0])


def test_windows_are_never_lost_between_files(tmp_path):
    values = pa.array(np.sin(np.arange(60) / 4), mask=np.arange(60) % 40 > 30)
    rows = pa.table({"g": np.repeat(["u", "v"], 30), "x": values})
    place = tmp_path / "t"
    place.mkdir()
    options = {"window": 5, "latent": 2, "epochs": 1}
    aecli.train(rows, model=tmp_path / "grouped", group=["g"], **options)
    aecli.train(rows, model=tmp_path / "one", exclude=["g"], **options)
    for number, start in enumerate((0, 30)):
        pq.write_table(rows.slice(start, 30), place / f"p{number}.parquet")
    with pytest.raises(DataError, match="would cross the 2 files"):
        aecli.encode(place, f"{tmp_path}/out/", model=tmp_path / "one")
    found = aecli.encode(place, f"{tmp_path}/out/", model=tmp_path / "grouped")
    shares = [
        aecli.score(place, output, model=tmp_path / "grouped").shares
        for output in (f"{tmp_path}/scores/", str(tmp_path / "scores.parquet"))
    ]
    assert shares[0] == pytest.approx(shares[1])
    whole = aecli.encode(place, str(tmp_path / "w.parquet"), model=tmp_path / "grouped")
    assert (found.rows, found.unit) == (whole.rows, "window")
    pq.write_table(rows.slice(0, 40), place / "p0.parquet")
    with pytest.raises(DataError, match=r"the series of g v is in p0.parquet and in p1.parquet"):
        aecli.encode(place, f"{tmp_path}/out/", model=tmp_path / "grouped")


def test_a_folder_that_cannot_be_created_is_an_output_error(models, shards, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        aecli.encode(shards, f"{tmp_path}/file/out/", model=models[0])


def test_a_file_where_a_folder_of_outputs_belongs_is_an_output_error(models, shards, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "day=0").write_text("")
    with pytest.raises(OutputError, match="day=0 is a file"):
        aecli.encode(shards, f"{tmp_path}/out/", model=models[0])
