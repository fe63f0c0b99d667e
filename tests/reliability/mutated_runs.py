"""Run commands on mutated files in forked children, and collect what must not happen."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

import aecli
from aecli.cli.main import main
from aecli.errors import AecliError
from tests.reliability.children import Outcome, run_child
from tests.reliability.mutations import Mutated, mutated_file
from tests.reliability.valid_files import FEATURES, KEPT, valid_files

MAX_BYTES = 10**9
SECONDS = 30.0
REAL_SHARE = 0.03
"""Share of the runs in a Python of their own."""

_MODULES = (
    "aecli.inspection.inspect",
    "aecli.training.train",
    "aecli.inference.encode",
    "aecli.inference.reconstruct",
    "aecli.scoring.score",
    "aecli.api.model",
    "aecli.cli.display.inspection",
    "aecli.cli.display.history",
    "pyarrow.dataset",
    "rich.progress",
    "rich.table",
)
_UNREAD = (
    "is empty",
    "a known table format",
    "an HTML page",
    "a Git LFS pointer",
    "has no columns",
)
_TRAIN = ("--epochs", "1", "--encoder", "4,2", "--exclude", KEPT, "-q")
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("inspect",),
    ("inspect", "--label", "word"),
    ("train", *_TRAIN),
    ("train", *_TRAIN, "--label", "word"),
    ("encode", "--keep", KEPT, "-q"),
    ("encode", "--keep", "word", "-q"),
    ("score", "--explain", "1", "-q"),
    ("reconstruct", "-q"),
)


@dataclass(frozen=True)
class Trial:
    """One mutated file, the command that read it and how that ended."""

    file: Mutated
    command: str
    run: Outcome
    reached: bool

    @property
    def failures(self) -> list[str]:
        """Return what must not happen."""
        return failures(self.run, MAX_BYTES)


def failures(run: Outcome, most_bytes: int) -> list[str]:
    """Return what must not happen, whatever the input is."""
    found = ["time-out"] if run.timed_out else []
    if run.peak > most_bytes:
        found.append("memory")
    if run.code < 0 and not found:
        found.append(f"signal {-run.code}")
    if run.code == 1 or (run.code == 6 and "out of memory" in run.err):
        found.append(f"exit {run.code}")
    return found


def trials(
    count: int, seed: int, folder: Path, only: Sequence[str] = (), real: float = REAL_SHARE
) -> Iterator[Trial]:
    """Yield mutated runs until `count` of them reached a reader.

    Args:
        count: of the runs.
        seed: of the mutations.
        folder: an empty one for files and models.
        only: parts of the names of files to mutate; none for all.
        real: the share of runs in a Python of their own.
    """
    files = valid_files()
    names = [n for n in files if not only or any(part in n for part in only)]
    _prepare(folder, files)
    reached, number = 0, 0
    while reached < count:
        rng = random.Random(seed * 1_000_003 + number)
        file = mutated_file(files, names[number % len(names)], rng)
        number += 1
        if file.content == files[file.name]:
            continue
        trial = _tried(file, folder, rng, real)
        reached += trial.reached
        yield trial


def _prepare(folder: Path, files: dict[str, bytes]) -> None:
    """Write the table that configurations are tried with, and train the model for the others."""
    (folder / "plain.csv").write_bytes(files["table.csv"])
    table, model = str(folder / "plain.csv"), str(folder / "model")
    arguments = ["train", table, *_TRAIN, "--columns", ",".join(FEATURES), "-m", model]
    arguments = [a for a in arguments if a not in ("--exclude", KEPT)]
    run = run_child(partial(main, arguments))
    assert run.code == 0, run.err


def _tried(file: Mutated, folder: Path, rng: random.Random, real: float) -> Trial:
    path = folder / file.name
    path.write_bytes(file.content)
    command = rng.choice(_COMMANDS)
    if file.name == "memory":
        arguments = [command[0]]
        action: Callable[[], int] = partial(_apply_in_memory, command[0], path, folder)
    else:
        arguments = _arguments(command, path, folder)
        action = partial(_apply, arguments, rng.random() < real)
    run = run_child(action, cpu_seconds=SECONDS, most_resident=2 * MAX_BYTES)
    reached = run.code != 77 and not any(sign in run.err for sign in _UNREAD)
    return Trial(file, " ".join(arguments), run, reached)


def _arguments(command: Sequence[str], path: Path, folder: Path) -> list[str]:
    if path.name.startswith("options"):
        own = ["--config", str(path), "-m", str(folder / "own"), "-q"]
        return ["train", str(folder / "plain.csv"), *own]
    name, *options = command
    if name == "inspect":
        return [name, str(path), *options]
    if name == "train":
        return [name, str(path), *options, "-m", str(folder / "own")]
    output = ["-o", str(folder / "output.parquet")]
    return [name, str(path), *options, "-m", str(folder / "model"), *output]


def _apply(arguments: list[str], real: bool) -> int:
    if real:
        os.environ["PYTHONPATH"] = str(Path(aecli.__file__).parent.parent)
        os.execv(sys.executable, [sys.executable, "-m", "aecli", *arguments])
    return main(arguments)


def _apply_in_memory(command: str, path: Path, folder: Path) -> int:
    """Apply a command to a table that pyarrow read without checks; 77 where it could not."""
    try:
        with pa.ipc.open_stream(pa.BufferReader(path.read_bytes())) as reader:
            table = reader.read_all()
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return 77
    try:
        _function(command, table, folder)
    except AecliError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _function(command: str, table: Any, folder: Path) -> None:
    match command:
        case "inspect":
            aecli.inspect(table)
        case "train":
            own = folder / "own"
            aecli.train(table, epochs=1, encoder=[4, 2], exclude=[KEPT], model=own)
        case "encode":
            aecli.encode(table, str(folder / "z.parquet"), model=folder / "model", keep=[KEPT])
        case _:
            aecli.load(folder / "model").score(table)


def import_everything() -> None:
    """Import what commands import when they run, so that the children need not."""
    for module in _MODULES:
        import_module(module)


def print_failures(count: int, seed: int) -> None:
    """Print what must not happen in `count` runs, then how many reached a reader."""
    import_everything()
    with tempfile.TemporaryDirectory() as folder:
        ended = list(trials(count, seed, Path(folder), real=0.0))
    for trial in ended:
        if trial.failures:
            print(trial.failures, trial.file.kind, trial.command, trial.run.err)
    print(sum(trial.reached for trial in ended))


if __name__ == "__main__":
    print_failures(int(sys.argv[1]), int(sys.argv[2]))
