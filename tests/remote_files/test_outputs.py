"""What outputs on object stores promise: complete objects or none, and folders that resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import aecli
from aecli.atomic_files import atomic_path
from aecli.errors import OutputError, UsageError
from aecli.remote_files.path import location
from tests.remote_files.conftest import Bucket, rows

PARTS = 21 << 20
"""Size in bytes of an object that is uploaded in several parts."""

FILES = {"day=1/p0.parquet": 30, "day=1/p1.parquet": 0, "day=2/p2.parquet": 50}


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of three files, one of them without rows."""
    for seed, (name, count) in enumerate(FILES.items()):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows(count, seed), tmp_path / "t" / name)
    return tmp_path / "t"


@pytest.mark.parametrize("name", ["z.parquet", "z.csv", "z.csv.gz", "z.jsonl", "z.arrow"])
def test_file_has_the_bytes_of_one_on_disk(
    bucket: Bucket, local_model: Path, tmp_path: Path, name: str
) -> None:
    table = rows(40)
    aecli.encode(table, str(tmp_path / name), model=local_model)
    result = aecli.encode(table, f"{bucket.address}/out/{name}", model=local_model)
    assert result.output == f"{bucket.address}/out/{name}"
    assert bucket.names() == [f"out/{name}"]
    assert bucket.get(f"out/{name}") == (tmp_path / name).read_bytes()


def test_report_and_picture_are_written(bucket: Bucket, local_model: Path) -> None:
    aecli.report(None, f"{bucket.address}/r.html", model=local_model)
    aecli.plot("loss", None, f"{bucket.address}/p.svg", model=local_model)
    assert bucket.get("r.html").startswith(b"<!DOCTYPE html>")
    assert b"<svg" in bucket.get("p.svg")


def test_failed_upload_leaves_no_object(bucket: Bucket) -> None:
    bucket.refuse = lambda method, path: 500 * ("partNumber=2" in path)
    address = location(f"{bucket.address}/z.csv")
    with (
        pytest.raises(OutputError, match=r"cannot write s3://.*/z\.csv") as caught,
        atomic_path(address) as path,
    ):
        path.write_bytes(bytes(PARTS))
    assert len(caught.value.lines()) <= 6
    assert [method for method, _ in bucket.requests].count("PUT") > 1
    bucket.refuse = lambda method, path: 0
    assert bucket.names() == []


def test_failed_upload_leaves_the_object_that_was_there(bucket: Bucket, local_model: Path) -> None:
    bucket.put("z.csv", b"before")
    bucket.refuse = lambda method, path: 500 * (method in ("PUT", "POST"))
    with pytest.raises(OutputError, match=r"cannot write s3://.*/z\.csv"):
        aecli.encode(rows(10), f"{bucket.address}/z.csv", model=local_model)
    bucket.refuse = lambda method, path: 0
    assert bucket.get("z.csv") == b"before"


def test_error_in_the_middle_leaves_no_object(bucket: Bucket, local_model: Path) -> None:
    bucket.put("t/a.csv", b"a,b,colour\n" + b"1,2,red\n" * 100)
    bucket.put("t/b.csv", b"a,b,colour\nx,2,red\n")
    with pytest.raises(aecli.DataError):
        aecli.encode(f"{bucket.address}/t/", f"{bucket.address}/z.csv", model=local_model)
    assert bucket.names() == ["t/a.csv", "t/b.csv"]


def test_output_may_not_be_the_input(bucket: Bucket, local_model: Path) -> None:
    address = bucket.put("t.csv", b"a,b,colour\n1,2,red\n")
    with pytest.raises(UsageError, match="is also the input"):
        aecli.encode(address, address, model=local_model)
    bucket.put("m/spec.json", b"{}")
    with pytest.raises(UsageError, match="is a file of a model"):
        aecli.encode(address, f"{bucket.address}/m/spec.json", to="csv", model=local_model)


@pytest.mark.parametrize("etags", [True, False])
def test_folder_has_the_files_of_one_on_disk_and_resumes(
    bucket: Bucket, local_model: Path, shards: Path, tmp_path: Path, etags: bool
) -> None:
    bucket.etags = etags
    table, out = bucket.put_folder(shards, "t"), f"{bucket.address}/out/"
    aecli.encode(shards, f"{tmp_path}/out/", model=local_model)
    assert aecli.encode(table, out, model=local_model, shard="1/2").files == 2
    assert "out/_SUCCESS" not in bucket.names()
    aecli.encode(table, out, model=local_model, shard="2/2")
    assert "out/_SUCCESS" in bucket.names()
    manifest = json.loads(bucket.get("out/_manifest.json"))
    assert [(file["output"], file["rows"]) for file in manifest["files"]] == [*FILES.items()]
    for name in FILES:
        assert bucket.get(f"out/{name}") == (tmp_path / "out" / name).read_bytes()
    bucket.put("t/day=2/p2.parquet", (shards / "day=1/p0.parquet").read_bytes())
    bucket.requests.clear()
    assert aecli.encode(table, out, model=local_model, resume=True).rows == 60
    assert len([p for method, p in bucket.requests if method in ("PUT", "POST")]) > 0
    assert not [p for method, p in bucket.requests if method == "POST" and "out/day=1" in p]
    manifest = json.loads(bucket.get("out/_manifest.json"))
    assert [file["rows"] for file in manifest["files"]] == [30, 0, 30]


def test_folder_of_another_model_is_refused(
    bucket: Bucket, local_model: Path, shards: Path, tmp_path: Path
) -> None:
    out = f"{bucket.address}/out/"
    aecli.encode(shards, out, model=local_model)
    with pytest.raises(UsageError, match="was written by another command"):
        aecli.reconstruct(shards, out, model=local_model, resume=True)
    with pytest.raises(UsageError, match="is in the folder of the table"):
        aecli.encode(out, f"{out}next/", model=local_model)


def test_output_needs_a_name_below_the_bucket(bucket: Bucket, local_model: Path) -> None:
    with pytest.raises(UsageError, match="its name is that of a directory") as caught:
        aecli.encode(rows(5), bucket.address, model=local_model)
    assert caught.value.hint == f"-o {bucket.address}/latents.parquet"


def test_outputs_stay_in_their_folder(shards: Path, local_model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,colour\n1,2,red\n")
    with pytest.raises(UsageError, match=r"would write outside of it: .*/\.\./\.\./x\.csv is day"):
        aecli.encode(f"{shards}/*1/../../x.csv", f"{tmp_path}/out/", model=local_model)
    assert not (tmp_path / "out").exists()


WRITE = """
import sys
from aecli.atomic_files import atomic_path
from aecli.remote_files.path import location
with atomic_path(location(sys.argv[1])) as path:
    path.write_bytes(bytes(PARTS))
"""


def test_killed_upload_leaves_no_object(bucket: Bucket, tmp_path: Path) -> None:
    held = tmp_path / "held"

    def hold(method: str, path: str) -> int:
        if "partNumber=2" in path:
            held.touch()
            while held.exists():
                time.sleep(0.01)
        return 0

    bucket.refuse = hold
    code = WRITE.replace("PARTS", str(PARTS))
    command = [sys.executable, "-c", code, f"{bucket.address}/z.csv"]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **paths}) as process:
        until = time.monotonic() + 60
        while not held.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert held.exists()
        process.kill()
    held.unlink()
    assert bucket.names() == []
