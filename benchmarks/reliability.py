"""Commands that are killed, whose system calls fail, and that read damaged files: problems.

`tests/reliability/` has the checks, and runs a small share of them. Commands are children that are
forked from this process, and in the case `processes` processes of their own. Each problem is
printed when it is found. `mutated_inputs` runs commands on mutated files of all formats: flipped
bits, overwritten, cut and duplicated blocks, huge lengths, halves of two files. An input counts
where its changed bytes reached a reader; one that ends as none should is stored in the folder
`mutated_inputs`.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a thread pool does not survive a fork

from harness import Row, Run

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
from tests.reliability.mutated_runs import Trial, import_everything, trials
from tests.reliability.readers import command_failures, during_training, load_failures
from tests.reliability.scenarios import NAMES, Scenario

Item = TypeVar("Item")

RANDOM_KILLS = 10
FLIPS = 300
LOADS = 1_000
FORKED_READS = 200
PROCESSES = 200
MUTATIONS = 2_500
QUICK_SHARE = 0.01
STORED = Path("mutated_inputs")
IN_A_PROCESS = {
    "spec": "encode", "weights": "encode", "history": "report", "tuning": "report",
    "checkpoint": "train", "earlier weights": "rollback", "earlier history": "verify",
    "earlier spec": "verify",
}  # fmt: skip
"""Command that finds a flipped bit of a part, as a process of its own."""


def row(check: str, tried: int, problems: list[str], slowest: float | None = None) -> Row:
    """Return the figures of a check, and print its problems."""
    for problem in problems:
        print(f"  {check}: {problem}", flush=True)
    figures = {"tried": tried, "problems": len(problems)}
    return {"check": check, **figures, "slowest, CPU s": slowest}


def kills(folder: Path, share: float) -> Iterator[Row]:
    rng = random.Random(14)
    for name in NAMES:
        scenario, problems, tried = Scenario(name, folder), [], 0
        for at, call in _some(enumerate(scenario.calls), share):
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
        for _ in range(_few(RANDOM_KILLS, share)):
            scenario.restore()
            scenario.run(kill_after=rng.uniform(0, seconds))
            problem = problem_after_kill(scenario)
            problems += [f"at random: {problem}"] if problem else []
        yield row(
            f"`{name}`, killed at calls and at random", tried + _few(RANDOM_KILLS, share), problems
        )


def failures(folder: Path, share: float) -> Iterator[Row]:
    for name in NAMES:
        scenario, problems = Scenario(name, folder), []
        tried = list(_some(enumerate(scenario.calls), share))
        for at, call in tried:
            error = errno.ENOSPC if call.name == "write" else errno.EIO
            again = call.name in CHANGING
            if problem := fail(scenario, at, error, repeat=again):
                problems.append(f"{at} {call}: {problem}")
        yield row(f"`{name}`, failing calls", len(tried), problems)


def power(folder: Path, share: float) -> Iterator[Row]:
    problems = []
    for name in NAMES:
        scenario = Scenario(name, folder)
        commit = str(scenario.output or scenario.model / "spec.json")
        if problem := problem_of_power_loss(scenario.calls, [commit]):
            problems.append(f"{name}: {problem}")
    yield row("what a power loss could lose, by the order of calls", len(NAMES), problems)


def flips(folder: Path, share: float) -> Iterator[Row]:
    rng, problems, tried = random.Random(14), [], Counter[str]()
    model = folder / "full"
    for part, path in parts(model).items():
        content = path.read_bytes()
        for _ in range(_few(FLIPS, share)):
            place = flip(path, rng)
            tried[part] += 1
            problems += [f"{part} {place}: {what}" for what in undetected(model, part, path)]
            path.write_bytes(content)
    yield row("flipped bits", sum(tried.values()), problems)


def files(folder: Path, share: float) -> Iterator[Row]:
    problems, seconds = [], []
    model, victim = folder / "hostile", folder / "victim"
    victim.write_text("years of work")
    tried = [(name, part, kind) for name in READERS for part in READERS[name] for kind in HOSTILE]
    for name, part, kind in _some(tried, share):
        shutil.copytree(folder / "full", model)
        HOSTILE[kind](dict(hostile_places(model))[part], victim)
        done = run_child(command(*hostile_arguments(name, folder, model)), kill_after=20)
        seconds.append(done.cpu)
        if done.code != refused_with(kind, part) or done.cpu > 1:
            problems.append(f"{name}, {kind} for {part}: {_ending(done)}")
        if victim.read_text() != "years of work":
            problems.append(f"{name}, {kind} for {part}: the victim changed")
        shutil.rmtree(model)
    what = "links, pipes, `/dev/zero` and directories for parts of a model"
    yield row(what, len(seconds), problems, max(seconds))


def specs(folder: Path, share: float) -> Iterator[Row]:
    problems, seconds = [], []
    model = folder / "old"
    content = (model / "spec.json").read_bytes()
    tried = itertools.chain(hostile_specs(content), large_specs(content))
    for name, changed in _some(tried, share):
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
    what = "hostile `spec.json` with the right digest"
    yield row(what, len(seconds), problems, max(seconds))


def _ending(done: Outcome) -> str:
    return f"exit {done.code} after {done.cpu:.2f} CPU seconds, {done.err[:300]}"


def readers(folder: Path, share: float) -> Iterator[Row]:
    model = folder / "model"
    shutil.copytree(folder / "old", model)
    with during_training(folder, model, savers=2, trainers=2):
        _, problems = load_failures(model, _few(LOADS, share))
        yield row("loads during 4 trainings of one directory", _few(LOADS, share), problems)
        failed = command_failures(folder, model, _few(FORKED_READS, share))
    yield row("commands during them", _few(FORKED_READS, share), failed)


def processes(folder: Path, share: float) -> Iterator[Row]:
    rng = random.Random(14)
    yield _killed_processes(folder, rng, _few(PROCESSES, share))
    yield _flips_and_processes(folder, rng, _few(PROCESSES, share))
    model = folder / "model"
    shutil.copytree(folder / "old", model)
    with during_training(folder, model, savers=2, trainers=2):
        problems = command_failures(folder, model, _few(PROCESSES, share), real=True)
    yield row("processes that read during trainings", _few(PROCESSES, share), problems)


def _killed_processes(folder: Path, rng: random.Random, tries: int) -> Row:
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
    return row("processes killed at a random moment", tries, problems)


def _flips_and_processes(folder: Path, rng: random.Random, tries: int) -> Row:
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
    return row("flipped bits, each read by a process", tries, problems)


CHECKS: dict[str, Callable[[Path, float], Iterator[Row]]] = {
    "kills": kills, "failures": failures, "power": power, "flips": flips, "files": files,
    "specs": specs, "readers": readers, "processes": processes,
}  # fmt: skip


def measure(run: Run) -> Iterator[Row]:
    """Yield the problems of a check."""
    with tempfile.TemporaryDirectory() as name:
        yield from CHECKS[run.case](make_models(Path(name)), QUICK_SHARE if run.quick else 1.0)


def _some(items: Iterable[Item], share: float) -> Iterator[Item]:
    return itertools.islice(items, 0, None, round(1 / share))


def _few(count: int, share: float) -> int:
    return max(1, round(count * share))


def mutated_inputs(run: Run) -> Iterator[Row]:
    """Yield the exit codes and the peak memory of commands on mutated files."""
    import_everything()
    codes, failures, peak = Counter[str](), 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials(20 if run.quick else MUTATIONS, run.seed, Path(folder), []):
            if not trial.reached:
                codes["not read"] += 1
                continue
            codes[f"exit {trial.run.code}" if trial.run.code >= 0 else "killed"] += 1
            peak = max(peak, trial.run.peak)
            if trial.failures:
                failures += len(trial.failures)
                store(trial, failures)
    figures = {title: codes[title] for title in ("exit 0", "exit 2", "exit 3", "exit 1", "killed")}
    total = {"mutations": codes.total(), "not read": codes["not read"]}
    peaks = {"failures": failures, "peak memory, MB": peak / 1e6}
    yield {"inputs": f"seed {run.seed}", **total, **figures, **peaks}


def store(trial: Trial, number: int) -> None:
    """Store a mutated file whose run failed, and print the command."""
    STORED.mkdir(exist_ok=True)
    path = STORED / f"{number:04}-{trial.file.name}"
    path.write_bytes(trial.file.content)
    run = trial.run
    print(f"{path}: {', '.join(trial.failures)} ({trial.file.kind})", flush=True)
    print(f"  {trial.command}: {run.peak / 1e6:,.0f} MB, {run.seconds:.1f} s", flush=True)
    print("  " + run.err.strip().replace("\n", "\n  ")[:600], flush=True)
