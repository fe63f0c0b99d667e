"""`aecli tune` as a shell runs it: reproduced, killed, shared, interrupted, and without optuna."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aecli
from aecli.cli.main import main
from aecli.model_directory.read import read_spec, read_tuning
from tests.fork_server import bin_directory

QUICK: dict[str, Any] = {"latent": 2, "epochs": 2, "device": "cpu", "threads": 1}
FLAGS = [f"--{name}={value}" for name, value in QUICK.items()]
ENTRY_POINT = (sys.executable, "-m", "aecli")
NUMBERS = {**QUICK, "exclude": ["kind"]}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call functions in the directory that commands run in."""
    monkeypatch.chdir(tmp_path)


def begin(*args: str, program: Sequence[str | Path] = ENTRY_POINT) -> subprocess.Popen[str]:
    """Start a search in its own process."""
    line = [*program, "tune", "data.csv", *FLAGS, "--json", "-q", *args]
    return subprocess.Popen(line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_trial(journal: str, number: int) -> None:
    until = time.monotonic() + 120
    while not Path(journal).exists() or Path(journal).read_text().count('"op_code":4') < number:
        assert time.monotonic() < until, "no trial began"
        time.sleep(0.01)


def test_the_first_trial_is_the_defaults_and_the_command_gives_the_best_again(
    capsys: pytest.CaptureFixture[str],
):
    args = ["--columns", "[xy[]*", "-m", "it's", "--trials", "5", "--json", "-q"]
    assert main(["tune", "data.csv", *FLAGS, *args]) == 0
    result = json.loads(capsys.readouterr().out)
    first, best = result["trials"][0], result["trials"][result["best"] - 1]
    assert (first["options"], first["value"]) == ({}, result["default"])
    assert result["value"] == best["value"] <= result["default"]
    plain = aecli.train("data.csv", columns=["[xy[]*"], model="plain", **QUICK)
    assert plain.spec.summary.valid["total"] == result["default"]
    _, *words = shlex.split(result["command"])
    assert main([*words, "-q"]) == 0
    assert read_spec(Path("it's")).summary.valid["total"] == result["value"]


def test_a_killed_search_goes_on_as_it_would_have():
    args = {**QUICK, "label": "kind", "trials": 4}
    uninterrupted = aecli.tune("data.csv", model="uninterrupted", **args)
    with begin("--label", "kind", "--trials", "4", "-m", "killed") as process:
        wait_for_trial("killed.journal", 3)
        process.kill()
    again = aecli.tune("data.csv", model="killed", **args)
    states = [trial.state for trial in again.trials]
    assert states.count("stopped") <= 1
    assert len(states) - states.count("stopped") == 4
    for before, after in zip(uninterrupted.trials[:2], again.trials[:2], strict=True):
        assert (before.options, before.value) == (after.options, after.value)
    assert read_spec(Path("killed")).summary.finished


def test_two_processes_share_a_journal():
    args = ("--exclude", "kind", "--trials", "4", "--journal", "j", "-m", "m")
    program = [bin_directory() / "aecli"]
    with begin(*args, program=program) as one, begin(*args, program=program) as other:
        ended = [process.communicate() for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), ended
    results = [json.loads(out) for out, _ in ended]
    assert [[t["number"] for t in result["trials"]] for result in results] == [[*range(1, 5)]] * 2
    saved = read_tuning(Path("m"), read_spec(Path("m")))
    assert saved is not None
    assert saved["value"] in [result["value"] for result in results]


def test_an_interrupted_search_leaves_its_best_and_goes_on():
    with begin("--exclude", "kind", "-m", "m", "--budget", "10m") as process:
        wait_for_trial("m.journal", 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    result = json.loads(out)
    assert (result["signal"], result["value"] <= result["default"]) == (signal.SIGINT, True)
    assert read_spec(Path("m")).summary.finished
    # What an interrupt cut short does not count.
    wanted = len(result["trials"]) + 1
    again = aecli.tune("data.csv", model="m", trials=wanted, **NUMBERS)
    assert sum(trial.state in ("complete", "pruned") for trial in again.trials) == wanted


def test_without_optuna_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in ("study", "trial_runner", "search"):
        monkeypatch.delitem(sys.modules, f"aecli.tuning.{name}", raising=False)
    assert main(["tune", "data.csv", "--trials", "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "aecli: error: tune needs optuna, which is not installed",
        "  try: pip install 'aecli[tune]'",
    ]
