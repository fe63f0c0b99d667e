"""Check what a command leaves that was killed, whose system call failed, or whose power failed."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from aecli.errors import AecliError
from tests.reliability.children import Outcome
from tests.reliability.scenarios import TRAININGS, Scenario
from tests.reliability.system_calls import Action, Call

CHANGING = ("open", "write", "rename", "replace", "unlink", "mkdir")
"""System calls after which a directory may differ from before."""


def problem_after_kill(scenario: Scenario) -> str | None:
    """Return what is wrong with what a killed command left: it must be the old or the new."""
    try:
        state = scenario.state()
    except (AecliError, AssertionError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    if not (state == scenario.before or scenario.is_new(state)):
        return f"neither the old nor the new: {state!r:.300}"
    return None


def kill(scenario: Scenario, action: Action, at: int, *, repeat: bool = False) -> str | None:
    """Kill a command before or after a system call; return what is wrong then."""
    scenario.restore()
    done = scenario.run(action, at)
    if done.code != -signal.SIGKILL:
        return f"it was not killed but ended with {done.code}: {done.err[:300]}"
    return problem_after_kill(scenario) or (_problem_of_repeating(scenario) if repeat else None)


def fail(scenario: Scenario, at: int, error: int, *, repeat: bool = False) -> str | None:
    """Let a system call of a command fail; return what is wrong with how the command ended."""
    scenario.restore()
    done = scenario.run("fail", at, error=error)
    return (
        _problem_of_message(done)
        or problem_after_kill(scenario)
        or _problem_of_code(scenario, at, done)
        or (_problem_of_repeating(scenario) if repeat else None)
    )


def _problem_of_message(done: Outcome) -> str | None:
    lines = done.err.splitlines()
    if "Traceback" in done.err or "a bug in aecli" in done.err or done.code not in (0, 4, 6):
        return f"exit {done.code}: {done.err[-600:]}"
    errors = [line for line in lines if line.startswith("aecli: error: ")]
    if len(errors) != (done.code != 0) or len(lines) > 6:
        return f"exit {done.code} with {len(lines)} lines: {done.err[-600:]}"
    return None


def _problem_of_code(scenario: Scenario, at: int, done: Outcome) -> str | None:
    """Return how exit code and warnings contradict what is there, None where they fit."""
    is_new = scenario.is_new(scenario.state())
    said = f"exit {done.code}, {'the new' if is_new else 'the old'} is there: {done.err[:300]}"
    if is_new != (done.code == 0):
        return said
    committed = at > scenario.commit
    if committed != is_new and not _may_go_on(scenario, scenario.calls[at]):
        return f"call {'after' if committed else 'before'} the commit, {said}"
    fewest = 0 if not is_new or _is_harmless(scenario, at) else 1
    if not fewest <= len(done.warnings) <= is_new:
        return f"{len(done.warnings)} warnings; {said}"
    return None


def _may_go_on(scenario: Scenario, call: Call) -> bool:
    """Return whether a command may succeed without a call.

    A model is worth more than the checkpoint of its training, and than a note on the one before.
    """
    checkpoint = "/checkpoint" in call.path and scenario.name != "resume"
    note = scenario.name in TRAININGS and call.path.endswith("/spec.json")
    return checkpoint or note or call.failed


def _is_harmless(scenario: Scenario, at: int) -> bool:
    """Return whether a call may fail unnoticed: it is tried, and fails without a fault, too."""
    call = scenario.calls[at]
    return call.failed or (at < scenario.commit and _may_go_on(scenario, call))


def _problem_of_repeating(scenario: Scenario) -> str | None:
    try:
        scenario.repeat()
    except (AecliError, AssertionError) as error:
        return f"repeated: {type(error).__name__}: {error}"
    return None


def problem_of_power_loss(calls: Sequence[Call], commits: Sequence[str]) -> str | None:
    """Return what a power loss could lose of a result that was committed, None where nothing.

    Args:
        calls: the system calls of a run, in order.
        commits: the paths whose renames are commits.
    """
    unsynced: dict[str, str] = {}
    for number, call in enumerate(calls):
        if call.failed:
            continue
        match call.name:
            case "write" | "ftruncate" | "fchmod":
                unsynced[call.path] = "its content"
            case "fsync":
                unsynced.pop(call.path, None)
                for path in [p for p in unsynced if os.path.dirname(p) == call.path]:
                    if unsynced[path] == "its name":
                        del unsynced[path]
            case "mkdir":
                unsynced[call.path] = "its name"
            case "unlink":
                unsynced.pop(call.path, None)
            case "rename" | "replace":
                if call.path in unsynced:
                    return f"call {number}: {call.path} is renamed before it is on disk"
                lost = {p: why for p, why in unsynced.items() if not p.endswith(".lock")}
                if call.target in commits and lost:
                    return f"call {number}: {call.target} is committed before {lost}"
                unsynced[call.target] = "its name"
    lost = {p: why for p, why in unsynced.items() if p in commits}
    return f"in the end: {lost}" if lost else None
