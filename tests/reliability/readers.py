"""Read a model again and again during trainings that replace it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aecli.directory_lock import Lock
from aecli.inference.loaded_model import load_with
from aecli.inspection.inspect import inspect
from aecli.model_directory.read import read_history, read_spec, read_tuning
from aecli.model_directory.save import save
from tests.reliability.children import aecli_process, command, fork, run_child
from tests.reliability.damage import hostile_arguments
from tests.reliability.models import read_whole, train_arguments

READS = ("encode", "evaluate", "inspect", "report")


def replace_for_ever(folder: Path, model: Path) -> int:
    """Save the models `old` and `two` in turns, while the parent lives."""
    models, parent = [read_whole(folder / name) for name in ("old", "two")], os.getppid()
    while os.getppid() == parent:
        for spec, weights, history in models:
            with Lock(model, patience=60):
                save(model, spec, weights, history)
    return 0


def train_for_ever(folder: Path, model: Path) -> int:
    """Run `aecli train` over the model, again and again, as long as the parent lives."""
    parent = os.getppid()
    while os.getppid() == parent:
        for table in "ab":
            run_child(command(*train_arguments(folder, table, model)))
    return 0


@contextmanager
def during_training(folder: Path, model: Path, savers: int, trainers: int) -> Iterator[None]:
    """Let children replace a model as long as the block lasts."""
    runs = [replace_for_ever] * savers + [train_for_ever] * trainers
    processes = [fork(partial(run, folder, model)) for run in runs]
    for process in processes:
        os.setpgid(process, process)  # a group of its own, with the children of a trainer
    try:
        yield
    finally:
        for process in processes:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)


def load_failures(model: Path, reads: int) -> tuple[int, list[str]]:
    """Load and inspect a model; return the different digests that were read, and what failed."""
    loads: list[Callable[[], object]] = [
        lambda: load_with(model, lambda s: (read_history(model, s), read_tuning(model, s))),
        lambda: inspect(str(model)),
    ]
    digests, failures = set(), []
    for number in range(reads):
        try:
            loads[number % len(loads)]()
            digests.add(read_spec(model).digest)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
    return len(digests), failures


def command_failures(folder: Path, model: Path, reads: int, *, real: bool = False) -> list[str]:
    """Run commands that read a model, forked or as processes; return what failed."""
    failures = []
    for number in range(reads):
        arguments = hostile_arguments(READS[number % len(READS)], folder, model)
        run = aecli_process(*arguments, folder=folder) if real else run_child(command(*arguments))
        if run.code != 0:
            failures.append(f"{arguments[0]} {run.code}: {run.err[:300]}")
    return failures
