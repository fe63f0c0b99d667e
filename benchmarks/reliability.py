"""Kill commands, let their system calls fail, damage models, read them during trainings; count.

    .venv/bin/python benchmarks/reliability.py [PART …] [--count 1]

The parts are `kills`, `failures`, `power`, `flips`, `files`, `specs`, `readers` and `processes`;
all by default. `tests/reliability/` has the checks, and runs a small share of them. Commands are
children that are forked from this process, and in the last part `aecli` processes of their own.
`--count` multiplies the numbers of random kills, flips, reads and processes. Prints a line of
figures for each part, and every check that failed.
"""

from __future__ import annotations

import argparse
import errno
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.reliability import conftest  # noqa: F401  # imports what children share
from tests.reliability.checks import CHANGING, fail, kill, problem_after_kill, problem_of_power_loss
from tests.reliability.children import Outcome, aecli_process, command, run_child
from tests.reliability.damage import (
    HOSTILE,
    READERS,
    flip,
    hostile_arguments,
    hostile_places,
    parts,
    refused_with,
    undetected,
)
from tests.reliability.hostile_specs import hostile_specs, large_specs
from tests.reliability.models import make_models
from tests.reliability.readers import command_failures, during_training, load_failures
from tests.reliability.scenarios import NAMES, Scenario

RANDOM_KILLS = 10
FLIPS = 300
LOADS = 1_000
FORKED_READS = 200
PROCESSES = 200
IN_A_PROCESS = {
    "spec": "encode", "weights": "encode", "history": "report", "tuning": "report",
    "checkpoint": "train", "earlier weights": "rollback", "earlier history": "verify",
    "earlier spec": "verify",
}  # fmt: skip
"""Command that finds a flipped bit of a part, as a process of its own."""


def report(part: str, problems: list[str], **figures: object) -> None:
    for problem in problems:
        print(f"  {problem}", flush=True)
    numbers = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    print(f"{part}: {numbers}, problems {len(problems)}", flush=True)


def kills(folder: Path, count: int) -> None:
    rng = random.Random(14)
    for name in NAMES:
        scenario, problems, tried = Scenario(name, folder), [], 0
        for at, call in enumerate(scenario.calls):
            if call.name in CHANGING:
                again = call.name in ("replace", "unlink")
                found = (
                    kill(scenario, "kill before", at),
                    kill(scenario, "kill after", at, repeat=again),
                )
                problems += [f"{at} {call}: {problem}" for problem in found if problem]
                tried += 2
        scenario.restore()
        seconds = scenario.run().seconds
        for _ in range(RANDOM_KILLS * count):
            scenario.restore()
            scenario.run(kill_after=rng.uniform(0, seconds))
            problem = problem_after_kill(scenario)
            problems += [f"at random: {problem}"] if problem else []
        report(f"kills in {name}", problems, at_calls=tried, at_random=RANDOM_KILLS * count)


def failures(folder: Path, count: int) -> None:
    for name in NAMES:
        scenario, problems, tried = Scenario(name, folder), [], Counter[str]()
        for at, call in enumerate(scenario.calls):
            error = errno.ENOSPC if call.name == "write" else errno.EIO
            tried[call.name] += 1
            again = call.name in CHANGING
            if problem := fail(scenario, at, error, repeat=again):
                problems.append(f"{at} {call}: {problem}")
        report(f"failures in {name}", problems, calls=sum(tried.values()), **tried)


def power(folder: Path, count: int) -> None:
    problems = []
    for name in NAMES:
        scenario = Scenario(name, folder)
        commit = str(scenario.output or scenario.model / "spec.json")
        if problem := problem_of_power_loss(scenario.calls, [commit]):
            problems.append(f"{name}: {problem}")
    report("power", problems, commands=len(NAMES))


def flips(folder: Path, count: int) -> None:
    rng, problems, tried = random.Random(14), [], Counter[str]()
    model = folder / "full"
    for part, path in parts(model).items():
        content = path.read_bytes()
        for _ in range(FLIPS * count):
            place = flip(path, rng)
            tried[part] += 1
            problems += [f"{part} {place}: {what}" for what in undetected(model, part, path)]
            path.write_bytes(content)
    report("flips", problems, flips=sum(tried.values()), **tried)


def files(folder: Path, count: int) -> None:
    problems, seconds = [], []
    model, victim = folder / "hostile", folder / "victim"
    victim.write_text("years of work")
    for name, read in READERS.items():
        for part in read:
            for kind, put in HOSTILE.items():
                shutil.copytree(folder / "full", model)
                put(dict(hostile_places(model))[part], victim)
                run = command(*hostile_arguments(name, folder, model))
                done = run_child(run, kill_after=20)
                seconds.append(done.cpu)
                if done.code != refused_with(kind, part) or done.cpu > 1:
                    problems.append(f"{name}, {kind} for {part}: {_ending(done)}")
                if victim.read_text() != "years of work":
                    problems.append(f"{name}, {kind} for {part}: the victim changed")
                shutil.rmtree(model)
    report("files", problems, tried=len(seconds), slowest=f"{max(seconds):.2f} CPU seconds")


def specs(folder: Path, count: int) -> None:
    problems, seconds = [], []
    model = folder / "old"
    content = (model / "spec.json").read_bytes()
    for hostile in (hostile_specs, large_specs):
        for name, changed in hostile(content):
            (model / "spec.json").write_bytes(changed)
            for reader in ("encode", "report"):  # the one reads weights, the other the history
                run = command(*hostile_arguments(reader, folder, model))
                done = run_child(run, kill_after=20, memory=2 << 30)
                if done.code == 4:
                    break
            seconds.append(done.cpu)
            if done.code != 4 or done.cpu > 1:
                problems.append(f"{name}: {_ending(done)}")
    (model / "spec.json").write_bytes(content)
    report("specs", problems, tried=len(seconds), slowest=f"{max(seconds):.2f} CPU seconds")


def _ending(done: Outcome) -> str:
    return f"exit {done.code} after {done.cpu:.2f} CPU seconds, {done.err[:300]}"


def readers(folder: Path, count: int) -> None:
    model = folder / "model"
    shutil.copytree(folder / "old", model)
    with during_training(folder, model, savers=2, trainers=2):
        models, problems = load_failures(model, LOADS * count)
        problems += command_failures(folder, model, FORKED_READS * count)
    report(
        "readers", problems, loads=LOADS * count, models_read=models,
        commands=FORKED_READS * count,
    )  # fmt: skip


def processes(folder: Path, count: int) -> None:
    rng = random.Random(14)
    _killed_processes(folder, rng, PROCESSES * count)
    _flips_and_processes(folder, rng, PROCESSES * count)
    model = folder / "model"
    shutil.copytree(folder / "old", model)
    with during_training(folder, model, savers=2, trainers=2):
        problems = command_failures(folder, model, PROCESSES * count, real=True)
    report("processes that read during trainings", problems, tried=PROCESSES * count)


def _killed_processes(folder: Path, rng: random.Random, tries: int) -> None:
    problems, names = [], [name for name in NAMES if name != "save"]
    scenarios = [Scenario(name, folder) for name in names]
    lasted = []
    for scenario in scenarios:
        scenario.restore()
        lasted.append(scenario.run_process().seconds)
    for number in range(tries):
        scenario = scenarios[number % len(names)]
        scenario.restore()
        after = rng.uniform(0.3, 1.0) * lasted[number % len(names)]
        scenario.run_process(kill_after=after)
        if problem := problem_after_kill(scenario):
            problems.append(f"{scenario.name} after {after:.2f} s: {problem}")
    report("killed processes", problems, tried=tries)


def _flips_and_processes(folder: Path, rng: random.Random, tries: int) -> None:
    problems, model = [], folder / "full"
    found = parts(model)
    for number in range(tries):
        part = list(IN_A_PROCESS)[number % len(IN_A_PROCESS)]
        content = found[part].read_bytes()
        place = flip(found[part], rng)
        done = aecli_process(*hostile_arguments(IN_A_PROCESS[part], folder, model), folder=folder)
        if done.code != 4:
            problems.append(f"{part} {place}: exit {done.code}, {done.err}")
        found[part].write_bytes(content)
    report("flips and processes", problems, tried=tries)


PARTS: dict[str, Callable[[Path, int], None]] = {
    "kills": kills, "failures": failures, "power": power, "flips": flips, "files": files,
    "specs": specs, "readers": readers, "processes": processes,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--count", type=int, default=1)
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as name:
            PARTS[part](make_models(Path(name)), arguments.count)
        print(f"  {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
