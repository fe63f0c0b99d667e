"""What `--engine ray` promises: the folder that the command writes without it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError, UsageError
from aecli.progress import Progress
from tests.inference.conftest import COMMANDS, table

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'aecli[ray]'")
pytestmark = pytest.mark.usefixtures("no_cross_fitting")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model") / "m"
    aecli.train(table(300, 0), model=place, label="y", id=["id"], latent=2, epochs=2)
    return place


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster that the calls of these tests share; a command starts one of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def files(folder: Path, count: int, rows: int) -> Path:
    folder.mkdir()
    for number in range(count):
        pq.write_table(table(rows, number + 1), folder / f"p{number:02}.parquet")
    return folder


def content(folder: Path) -> dict[str, Any]:
    """Return the manifest, digests of the outputs, and the records without their times."""
    found: dict[str, Any] = {"manifest": json.loads((folder / "_manifest.json").read_text())}
    for path in folder.glob("p*"):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in (folder / "_shards").iterdir():
        found[path.name] = json.loads(path.read_text())
        del found[path.name]["result"]["seconds"]
    return found


class FilesDone(Progress):
    """Number of files that were reported as done."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.notes: list[str] = []

    def stage(self, name: str, total_rows: int | None = None, unit: str = "row") -> None:
        assert unit == "file"
        self.total = total_rows

    def rows(self, count: int) -> None:
        self.done += count

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_folder_is_the_one_written_without_ray(command, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # relative paths hold in the processes of the cluster, too
    files(tmp_path / "t", 5, 200)
    run, progress = COMMANDS[command], FilesDone()
    plain = run("t", "plain/", model=model, threads=1)
    found = run("t", "out/", model=model, engine="ray", progress=progress)
    assert content(tmp_path / "out") == content(tmp_path / "plain")
    assert (tmp_path / "out" / "_SUCCESS").exists()
    same = ("rows", "files", "columns", "out_of_range", "notes")
    assert [getattr(found, name) for name in same] == [getattr(plain, name) for name in same]
    assert (progress.done, progress.total) == (5, 5)
    (tmp_path / "out" / "p03.parquet").unlink()
    progress = FilesDone()
    run("t", "out/", model=model, engine="ray", resume=True, progress=progress)
    assert (progress.done, content(tmp_path / "out")) == (1, content(tmp_path / "plain"))


def test_a_cluster_that_does_not_answer_changes_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"RAY_ADDRESS=.* cannot be used"):
        aecli.encode(files(tmp_path / "t", 1, 9), f"{tmp_path}/o/", model=model, engine="ray")
    assert not (tmp_path / "o").exists()


def test_a_server_that_is_not_a_cluster_is_an_error_after_seconds(model, tmp_path):
    files(tmp_path / "t", 1, 9)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        running = start(
            tmp_path, "encode", "t/", "-m", model, "-o", "out/", "--engine", "ray",
            RAY_ADDRESS=f"127.0.0.1:{silent.getsockname()[1]}",
            RAY_gcs_rpc_server_connect_timeout_s="1", RAY_py_gcs_connect_timeout_s="1",
        )  # fmt: skip
        messages = running.communicate(timeout=60)[1]
    assert running.returncode == 2
    assert "RAY_ADDRESS=127.0.0.1:" in messages
    assert "Timed out while waiting for GCS" in messages
    assert len(messages.splitlines()) == 4


@contextmanager
def cluster_with_token(token: str) -> Iterator[str]:
    """Start a cluster that refuses other tokens; yield its address."""
    program = Path(sys.executable).with_name("ray")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--head", "--block", "--num-cpus", "1", "--include-dashboard", "false"]
    # Ray's sockets have short paths only.
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:
        running = subprocess.Popen(
            [program, "start", *options, "--port", str(port), "--temp-dir", folder],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
        )  # fmt: skip
        try:
            assert running.stdout is not None
            while "Ray runtime started" not in (line := running.stdout.readline()):
                assert line, "the cluster did not start"
            yield f"127.0.0.1:{port}"
        finally:
            running.terminate()
            running.communicate()


def test_a_cluster_that_refuses_the_token_is_an_error_with_its_reason(model, tmp_path):
    files(tmp_path / "t", 1, 9)
    arguments = ("encode", "t/", "-m", model, "-o", "out/", "--engine", "ray")
    with cluster_with_token("a" * 64) as address:
        access = {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token"}
        running = start(tmp_path, *arguments, **access, RAY_AUTH_TOKEN="b" * 64)
        messages = running.communicate(timeout=60)[1]
        assert running.returncode == 2
        assert "Authentication token is missing or incorrect" in messages
        assert "try: RAY_AUTH_MODE=token RAY_AUTH_TOKEN=" in messages
        running = start(tmp_path, *arguments, **access, RAY_AUTH_TOKEN="a" * 64)
        assert running.communicate(timeout=60)[1].count("error:") == 0
    assert (running.returncode, (tmp_path / "out" / "_SUCCESS").exists()) == (0, True)


@pytest.mark.usefixtures("cluster")
def test_a_damaged_file_does_not_keep_the_others_from_being_written(model, tmp_path):
    damaged = files(tmp_path / "t", 5, 200) / "p02.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:40] + bytes(400) + whole[440:])
    progress, out = FilesDone(), tmp_path / "out"
    with pytest.raises(DataError, match="1 of 5 files failed") as failed:
        aecli.encode(tmp_path / "t", f"{out}/", model=model, engine="ray", progress=progress)
    assert "p02.parquet" in failed.value.facts[0]
    assert ["p02.parquet failed" in note for note in progress.notes] == [True]
    assert len(list(out.glob("p*.parquet"))) == 4
    assert not (out / "_SUCCESS").exists()
    damaged.write_bytes(whole)
    found = aecli.encode(tmp_path / "t", f"{out}/", model=model, engine="ray", resume=True)
    assert (found.rows, (out / "_SUCCESS").exists()) == (1_000, True)


@pytest.mark.usefixtures("cluster")
def test_a_search_has_exactly_its_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(table(300, 0), "t.parquet")
    options = {"label": "y", "latent": 2, "epochs": 1, "seed": 3}
    found = aecli.tune("t.parquet", trials=5, engine="ray", model="m", **options)
    states = [trial.state for trial in found.trials]
    assert len(states) == 5
    assert set(states) <= {"complete", "pruned"}
    assert [trial.number for trial in found.trials if not trial.options] == [1]
    assert found.value == min(t.value for t in found.trials if t.value is not None)
    more = aecli.tune("t.parquet", trials=6, engine="ray", model="m", **options)
    assert len(more.trials) == 6


def start(folder: Path, *arguments: object, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "aecli", *map(str, arguments)]
    environ = os.environ | {"PYTHONPATH": os.getcwd()} | variables
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=pipe, stderr=pipe, text=True)


def wait_for(found: Callable[[], object], running: subprocess.Popen[str]) -> None:
    while not found():
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)


def tasks_of(process: int) -> list[int]:
    """Return the processes below a process that run a task."""
    parents, tasks = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if (path / "cmdline").read_bytes().startswith(b"ray::_call"):
                tasks.append(int(path.name))
        except OSError:
            continue
    return [task for task in tasks if process in ancestors(task, parents)]


def ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    while process in parents:
        process = parents[process]
        yield process


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of tasks in /proc")
def test_a_killed_process_of_the_cluster_changes_nothing(model, tmp_path):
    files(tmp_path / "t", 20, 20_000)
    aecli.score(tmp_path / "t", f"{tmp_path}/plain/", model=model, threads=1)
    out = tmp_path / "out"
    running = start(tmp_path, "score", "t/", "-m", model, "-o", "out/", "--engine", "ray", "--json")
    wait_for(lambda: len(list(out.glob("p*.parquet"))) > 3, running)
    wait_for(lambda: tasks_of(running.pid), running)
    os.kill(tasks_of(running.pid)[0], signal.SIGKILL)
    assert not (out / "_SUCCESS").exists()
    printed, messages = running.communicate()
    assert running.returncode == 0, messages
    assert json.loads(printed)["rows"] == 400_000
    assert "raylet" not in messages
    assert content(out) == content(tmp_path / "plain")
    assert not list(out.glob(".aecli-*"))


def test_a_terminated_command_leaves_whole_files(model, tmp_path):
    files(tmp_path / "t", 20, 20_000)
    aecli.score(tmp_path / "t", f"{tmp_path}/plain/", model=model, threads=1)
    out = tmp_path / "out"
    arguments = ("score", "t/", "-m", model, "-o", "out/", "--engine", "ray")
    running = start(tmp_path, *arguments)
    wait_for(lambda: len(list(out.glob("p*.parquet"))) > 3, running)
    running.send_signal(signal.SIGTERM)
    assert running.communicate()[1].endswith("aecli: terminated\n")
    assert running.returncode == 143
    whole = content(tmp_path / "plain")
    written = list(out.glob("p*.parquet"))
    assert 3 < len(written) < 20
    assert not (out / "_SUCCESS").exists()
    assert not list(out.glob(".aecli-*"))
    for path in written:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == whole[path.name]
    running = start(tmp_path, *arguments, "--resume")
    running.communicate()
    assert (running.returncode, content(out)) == (0, whole)
