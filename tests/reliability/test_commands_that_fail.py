"""A command that is killed, or whose system call fails, leaves the old model or the new one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.reliability.checks import CHANGING, fail, kill, problem_of_power_loss
from tests.reliability.scenarios import Scenario

COMMANDS = ("retrain", "stop", "resume", "calibrate", "rollback", "encode")
"""Commands that a child runs in little time; benchmarks/reliability.py has all, and every call."""


def test_a_save_may_be_killed_at_every_step(folder: Path) -> None:
    scenario = Scenario("save", folder)
    problems = [
        (at, call, kill(scenario, "kill after", at, repeat=call.name in ("replace", "unlink")))
        for at, call in enumerate(scenario.calls)
        if call.name in CHANGING
    ]
    assert [each for each in problems if each[-1]] == []


def test_every_system_call_of_a_save_may_fail(folder: Path) -> None:
    scenario = Scenario("save", folder)
    problems = [
        (at, call, fail(scenario, at, errno.ENOSPC if call.name == "write" else errno.EIO))
        for at, call in enumerate(scenario.calls)
        if call.name != "read"
    ]
    assert [each for each in problems if each[-1]] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_around_their_commit(folder: Path, name: str) -> None:
    scenario = Scenario(name, folder)
    problems = [
        kill(scenario, "kill before", scenario.commit),
        fail(scenario, scenario.commit, errno.EIO),
        fail(scenario, scenario.commit + 2, errno.EIO),
    ]
    assert problems == [None] * len(problems)
    output = scenario.output or scenario.model / "spec.json"
    assert problem_of_power_loss(scenario.calls, [str(output)]) is None
