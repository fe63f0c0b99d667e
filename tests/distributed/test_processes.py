"""Several processes train one model: what a user of torchrun sees, also if one of them ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fork_server import bin_directory

ROWS = 3_000
OPTIONS = ("--label", "y", "--epochs", "2", "--batch-size", "64", "--threads", "1")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two files, sorted by their first column, with categories and missing cells."""
    generator = np.random.default_rng(0)
    latent = generator.normal(size=(ROWS, 2))
    latent = latent[latent[:, 0].argsort()]
    values = latent @ generator.normal(size=(2, 5)) + 0.1 * generator.normal(size=(ROWS, 5))
    values[generator.random(values.shape) < 0.02] = np.nan
    columns: dict[str, object] = {f"x{i}": column for i, column in enumerate(values.T)}
    columns["c"] = np.array(["low", "middle", "high"])[np.searchsorted([-0.5, 0.5], latent[:, 1])]
    columns["y"] = np.where(latent.sum(1) > 0, "yes", "no")
    folder = tmp_path_factory.mktemp("table")
    whole = pa.table(columns)
    pq.write_table(whole.slice(0, 1_000), folder / "a.parquet", row_group_size=300)
    pq.write_table(whole.slice(1_000), folder / "b.parquet", row_group_size=300)
    return folder


def start(folder: Path, *arguments: str, size: int = 2) -> list[subprocess.Popen[str]]:
    """Start `aecli` in as many processes as torchrun would, with its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    return [
        subprocess.Popen(
            [bin_directory() / "aecli", *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | place | {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_PORT": str(port),
            },
        )
        for rank in range(size)
    ]  # fmt: skip


def ends(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Return the exit code, stdout and stderr of each process."""
    outputs = [process.communicate(timeout=90) for process in processes]
    return [(p.returncode, *o) for p, o in zip(processes, outputs, strict=True)]


def train(folder: Path, *arguments: str, size: int = 2) -> list[tuple[int, str, str]]:
    return ends(start(folder, "train", *arguments, size=size))


def test_two_processes_train_as_one_and_only_the_first_one_speaks(tmp_path: Path, table: Path):
    (alone,) = train(tmp_path, str(table), *OPTIONS, "--json", "-m", "one", size=1)
    first, second = train(tmp_path, str(table), *OPTIONS, "--json", "-m", "two")
    assert (alone[0], first[0], second[0]) == (0, 0, 0), first[2] + second[2]
    assert (second[1], second[2]) == ("", "")
    assert "epoch 2/2" in first[2]
    one, two = (json.loads(output)["spec"]["summary"] for output in (alone[1], first[1]))
    assert (two["train_rows"], two["valid_rows"]) == (one["train_rows"], one["valid_rows"])
    assert two["valid"]["total"] == pytest.approx(one["valid"]["total"], rel=0.1)
    assert two["metrics"]["accuracy"] == pytest.approx(one["metrics"]["accuracy"], abs=0.05)
    assert two["baselines"][1]["r2"] == pytest.approx(one["baselines"][1]["r2"], abs=0.01)


def test_a_damaged_file_of_one_process_ends_all_with_one_message(tmp_path: Path, table: Path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "a.parquet").write_bytes((table / "a.parquet").read_bytes())
    content = bytearray((table / "b.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = bytes(4_000)
    (folder / "b.parquet").write_bytes(content)
    results = train(tmp_path, str(folder), *OPTIONS, "-m", "model")
    assert 3 in [code for code, _, _ in results]
    assert all(code for code, _, _ in results)
    errors = [err for _, _, err in results if "error:" in err]
    assert len(errors) == 1
    assert "b.parquet" in errors[0]
    assert not (tmp_path / "model").exists()


def test_a_signal_to_one_process_ends_all_with_a_model_that_can_be_resumed(
    tmp_path: Path, table: Path
):
    arguments = [str(table), "--label", "y", "--threads", "1", "-m", "model", "--epochs"]
    processes = start(tmp_path, "train", *arguments, "100000", "--patience", "0")
    assert processes[0].stderr is not None
    while not (line := processes[0].stderr.readline()).startswith("epoch"):
        assert line, "the training ended before its first epoch"
    processes[1].send_signal(signal.SIGTERM)
    assert [code for code, _, _ in ends(processes)] == [143, 143]
    spec = json.loads((tmp_path / "model" / "spec.json").read_text())
    assert spec["summary"]["stopped"].startswith("SIGTERM in epoch")
    resumed = [*arguments, "100000", "--patience", "0", "--resume", "--time-limit", "1"]
    results = train(tmp_path, *resumed, size=3)
    assert [code for code, _, _ in results] == [0, 0, 0], results
    assert "continues with 3 instead of 2 processes" in results[0][2]


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("train", ["--window", "4"], "--window"),
        ("train", ["--device", "cuda:1"], "--device cuda:1"),
    ],
)
def test_what_several_processes_cannot_do_is_refused_once(
    tmp_path: Path, table: Path, command: str, options: list[str], message: str
):
    results = ends(start(tmp_path, command, str(table), *options, "-m", "model"))
    assert [code for code, _, _ in results] == [2, 2]
    errors = [err for _, _, err in results if err]
    assert len(errors) == 1
    assert message in errors[0]


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("train", ["--latent", "none"], "--latent"),
        ("train", ["--no-such-option"], "has no option --no-such-option"),
        ("train", ["--config", "c.toml"], "latemt"),
        ("train", ["--tag", "a/b"], "--tag 'a/b' is not a plain name"),
        ("tune", ["--trials", "1"], "aecli tune runs in one process, and a launcher started 2"),
    ],
)
def test_a_usage_error_is_printed_by_the_first_process_of_a_machine(
    tmp_path: Path, table: Path, command: str, options: list[str], message: str
):
    (tmp_path / "c.toml").write_text("latemt = 4\n")
    first, second = start(tmp_path, command, str(table), *options)
    output = first.communicate(timeout=90)
    assert (first.returncode, output[0], output[1].count("error:")) == (2, "", 1)
    assert message in output[1]
    assert second.poll() is None  # a launcher that ends all processes would lose the message
    second.terminate()
    assert second.communicate(timeout=90) in [("", ""), ("", "aecli: terminated\n")]
    assert second.returncode in (2, 143)  # 143: before it has read its options


def test_a_launcher_without_an_address_is_refused(tmp_path: Path, table: Path):
    done = subprocess.run(
        [bin_directory() / "aecli", "train", str(table)], cwd=tmp_path, text=True,
        capture_output=True, env=os.environ | {"RANK": "0", "WORLD_SIZE": "2"}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "LOCAL_RANK is not set" in done.stderr


KILLED = """
import os, signal, sys
from aecli.cli.main import run
from aecli.training import requests
from aecli.training.rank_steps import RankSteps

requests.UNFINISHED_SECONDS = 0.05
step, steps = RankSteps._step, 0

def killed_once(*arguments, **named):
    global steps
    steps += 1
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first and os.environ["RANK"] == "1" and steps == 64:  # in epoch 2
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments, **named)

RankSteps._step = killed_once
sys.argv = ["aecli", *{arguments!r}]
run()
"""


def test_a_killed_process_is_restarted_to_the_same_weights(tmp_path: Path, table: Path):
    arguments = ["train", str(table), *OPTIONS, "--dropout", "0.1", "-m"]
    uninterrupted = start(tmp_path, *arguments, "one")
    python = [str(bin_directory() / "python"), "-c"]
    code = KILLED.format(arguments=[*arguments, "two", "--resume"])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "--max-restarts", "1", *python, code],
        cwd=tmp_path, text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # torchrun may terminate the other process before it prints this.
    lost = "the exchange with the other processes of this training failed"
    assert lost in done.stderr or "aecli: terminated" in done.stderr
    assert [code for code, _, _ in ends(uninterrupted)] == [0, 0]
    assert weights_name(tmp_path / "one") == weights_name(tmp_path / "two")


def weights_name(model: Path) -> str:
    """Return the name of the file of weights, which has a digest of them."""
    (path,) = model.glob("weights-*")
    return path.name


OTHER_MEMORY = """
import os, sys
from pathlib import Path
from aecli.cli.main import run
from aecli.distributed import shared_memory
from aecli.ranks import Ranks

shared_memory.MEMORY = Path({memory!r})
if os.path.exists({memory!r}):
    Ranks.summands = None  # exchanges by messages would fail
sys.argv = ["aecli", *{arguments!r}]
run()
"""


def test_gradients_have_the_same_sums_in_shared_memory_and_by_messages(tmp_path: Path, table: Path):
    arguments = ["train", str(table), *OPTIONS, "-q", "-m"]
    # The path of a socket has at most 107 bytes.
    memory = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    for model, folder in (("shared", memory), ("sent", tmp_path / "missing")):
        code = OTHER_MEMORY.format(memory=str(folder), arguments=[*arguments, model])
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python",
             "--nproc-per-node", "2", str(bin_directory() / "python"), "-c", code],
            cwd=tmp_path, text=True, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert weights_name(tmp_path / "shared") == weights_name(tmp_path / "sent")
    memory.rmdir()  # it is empty
