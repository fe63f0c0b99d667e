"""Run commands as a shell would."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fork_server import bin_directory


@dataclass(frozen=True)
class CommandOutput:
    """Exit code and output of one command."""

    code: int
    out: str
    err: str


ROWS = 200
QUICK = ("--epochs", "3", "--encoder", "8,2", "--device", "cpu", "--threads", "1")


def run_aecli(
    directory: Path, *args: str, stdin: str | None = None, **environ: str
) -> CommandOutput:
    known = {k: v for k, v in os.environ.items() if not k.startswith("AECLI_")}
    done = subprocess.run(
        [bin_directory() / "aecli", *args], cwd=directory, input=stdin, text=True,
        capture_output=True, env=known | environ, check=False,
    )  # fmt: skip
    return CommandOutput(done.returncode, done.stdout, done.stderr)


def write_table(path: Path, rows: int = ROWS, *, label: bool = True) -> None:
    rng = random.Random(1)
    lines = ["x,y,[/red],colour" + (",kind" if label else "")]
    for _ in range(rows):
        x = rng.gauss(0, 1)
        colour = rng.choice(["red", "blue", ""])
        row = [f"{x:.3f}", f"{2 * x + rng.gauss(0, 0.1):.3f}", f"{rng.random():.3f}", colour]
        lines.append(",".join(row + (["up" if x > 0 else "down"] if label else [])))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def aecli(tmp_path: Path) -> Callable[..., CommandOutput]:
    """Run `aecli` as its own process, which has torch imported, in an empty directory."""

    def run(*args: str, stdin: str | None = None, **environ: str) -> CommandOutput:
        return run_aecli(tmp_path, *args, stdin=stdin, **environ)

    return run


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small table and a model of it."""
    directory = tmp_path_factory.mktemp("trained")
    write_table(directory / "data.csv")
    done = run_aecli(directory, "train", "data.csv", "--label", "kind", *QUICK, "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    return directory


@pytest.fixture
def table(tmp_path: Path) -> str:
    """The name of a small table in the test's directory: numbers, text, holes, a label."""
    write_table(tmp_path / "data.csv")
    return "data.csv"


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> str:
    """The name of a small table in the test's directory, beside a model of it."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    return "data.csv"
