"""The code on docs/recipes.md runs, and writes the rows that one command writes."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import aecli

PAGE = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROWS = 100


def code(section: str) -> str:
    (found,) = re.findall(r"^```\w+\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of two files, a model with an identifier and two latents, and aecli."""
    place = tmp_path_factory.mktemp("recipes")
    (place / "table").mkdir()
    generator = np.random.default_rng(0)
    for number in range(2):
        a = generator.normal(size=ROWS)
        rows = pa.table({"id": [f"{number}-{i}" for i in range(ROWS)], "a": a, "b": a * 2, "c": -a})
        pq.write_table(rows, place / "table" / f"p{number}.parquet")
    aecli.train(place / "table", model=place / "aecli_model", id=["id"], latent=2, epochs=1)
    aecli.encode(place / "table", str(place / "one.parquet"), model=place / "aecli_model")
    command = place / "bin" / "aecli"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aecli "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return place


def run(place: Path, command: list[str], **variables: str) -> None:
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PYTHONPATH": os.getcwd(), "PATH": path, **variables}
    done = subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def latents(place: Path) -> pa.Table:
    files = sorted((place / "latents").glob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(path).read() for path in files])


def require_the_rows_of_one_command(place: Path) -> None:
    assert (place / "latents" / "_SUCCESS").exists()
    assert latents(place).equals(pq.ParquetFile(place / "one.parquet").read())
    shutil.rmtree(place / "latents")


def test_xargs_writes_the_folder(place: Path) -> None:
    run(place, ["sh", "-c", code("xargs")])
    require_the_rows_of_one_command(place)


def test_parts_of_slurm_and_kubernetes_complete_a_folder(place: Path) -> None:
    """Only the first two of twenty parts have a file."""
    run(place, ["sh", "-c", code("Slurm")], SLURM_ARRAY_TASK_ID="2")
    assert not (place / "latents" / "_SUCCESS").exists()
    job = yaml.safe_load(code("Kubernetes"))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert f"/{job['completions']}" in container["args"][0]
    run(place, [*container["command"], *container["args"]], JOB_COMPLETION_INDEX="0")
    require_the_rows_of_one_command(place)


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs Dask")
def test_dask_writes_the_folder(place: Path) -> None:
    (place / "encode.py").write_text(code("Dask"))
    run(place, [sys.executable, "encode.py"])
    require_the_rows_of_one_command(place)


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="needs PySpark")
@pytest.mark.skipif(shutil.which("java") is None, reason="needs a Java runtime")
def test_spark_writes_the_rows(place: Path) -> None:
    (place / "encode.py").write_text(code("Spark"))
    run(place, [sys.executable, "encode.py"], PYSPARK_PYTHON=sys.executable)
    found = latents(place).sort_by("id")
    expected = pq.ParquetFile(place / "one.parquet").read().sort_by("id")
    assert found["id"].equals(expected["id"])
    for name in ("z0", "z1"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
    shutil.rmtree(place / "latents")
