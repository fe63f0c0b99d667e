"""Models to damage and to replace: how they are trained, and which one a directory holds."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecli.directory_lock import Lock
from aecli.inference.loaded_model import load_with
from aecli.model_directory.generations import generations
from aecli.model_directory.location import hashed_name
from aecli.model_directory.read import read_history, read_spec, read_weights
from aecli.model_directory.save import save
from aecli.schema.model_spec import ModelSpec
from tests.reliability.children import Outcome, command, run_child

QUICK = ("--encoder", "4,2", "--threads", "1", "--device", "cpu", "-q")
EPOCHS = {"a": 2, "b": 3}
"""Epochs of the training on each table: its history has as many lines."""


@dataclass(frozen=True)
class Held:
    """What a directory holds: the training, its calibration, and the trainings that it keeps."""

    table: str
    calibration: str
    finished: bool
    earlier: Sequence[str] = ()


def write_tables(folder: Path, rows: int = 60) -> None:
    """Write the tables a.csv and b.csv, on which the models of this harness are trained."""
    for name in EPOCHS:
        rng = random.Random(name)
        lines = [
            f"{rng.gauss(0, 1):.3f},{rng.gauss(0, 1):.3f},{rng.choice('ab')}" for _ in range(rows)
        ]
        (folder / f"{name}.csv").write_text("\n".join(["x,y,c", *lines]) + "\n")


def train_arguments(folder: Path, table: str, model: Path) -> list[str]:
    """Return the command line that trains on a table."""
    return ["train", str(folder / f"{table}.csv"), "-m", str(model), *QUICK,
            "--epochs", str(EPOCHS[table])]  # fmt: skip


def stopped_arguments(folder: Path, model: Path) -> list[str]:
    """Return the command line of a training that its time limit stops in its first epoch."""
    return [*train_arguments(folder, "b", model), "--time-limit", "0.000001s"]


def run_checked(*arguments: object) -> Outcome:
    """Run a command in a child, which must succeed without a warning."""
    done = run_child(command(*arguments))
    assert (done.code, done.warnings) == (0, []), (arguments, done.err)
    return done


def make_models(folder: Path) -> Path:
    """Make a model of a.csv, one with an earlier one, and one with an unfinished training.

    They are `old`, `two` (of b.csv, with that of a.csv before it) and `stopped`; `full` is like
    `stopped`, and has the record of a search, too.
    """
    write_tables(folder)
    run_checked(*train_arguments(folder, "a", folder / "old"))
    shutil.copytree(folder / "old", folder / "two")
    run_checked(*train_arguments(folder, "b", folder / "two"))
    shutil.copytree(folder / "old", folder / "stopped")
    run_checked(*stopped_arguments(folder, folder / "stopped"))
    shutil.copytree(folder / "stopped", folder / "full")
    spec, weights, history = read_whole(folder / "full")
    with Lock(folder / "full"):
        save(folder / "full", spec, weights, history, {"trials": []})
    return folder


def held(directory: Path, weights: Mapping[str, str] | None = None) -> Held:
    """Load the model of a directory with all its parts, and return which it is.

    `weights` are the hashes of the weights of each training, where they are known.

    Raises:
        ModelError: it cannot be loaded.
        AssertionError: its parts belong to different trainings.
    """
    loaded, history = load_with(directory, lambda spec: read_history(directory, spec))
    _require_one_training(loaded.spec, len(history), weights)
    earlier = generations(directory)
    for spec in earlier:
        _require_one_training(spec, len(read_history(directory, spec)), weights)
    calibration = loaded.spec.calibration
    return Held(
        table=loaded.spec.table,
        calibration="" if calibration is None else calibration.source,
        finished=loaded.spec.summary.finished,
        earlier=[spec.table for spec in earlier],
    )


def _require_one_training(spec: ModelSpec, lines: int, weights: Mapping[str, str] | None) -> None:
    assert lines == spec.summary.epochs, "history and spec are of different trainings"
    if weights and spec.summary.finished:
        assert weights[spec.table] == spec.weights.sha256, "weights of another training"


def weights_of(*directories: Path) -> dict[str, str]:
    """Return the hash of the weights of each training by its table."""
    specs = [load_with(directory, lambda spec: None)[0].spec for directory in directories]
    return {spec.table: spec.weights.sha256 for spec in specs}


def leftovers(directory: Path) -> set[str]:
    """Return the names in a directory that its model and its earlier ones do not need."""
    spec = load_with(directory, lambda spec: None)[0].spec
    specs = [spec, *generations(directory)]
    needed = {"spec.json", *(part.file for each in specs for part in each.parts)}
    needed |= {hashed_name("spec", each.digest) for each in specs[1:]}
    if not spec.summary.finished:
        needed.add("checkpoint")
    return {path.name for path in directory.iterdir()} - needed


def save_again(source: Path, target: Path) -> None:
    """Save a model in another directory, as the training that made it did."""
    spec, weights, history = read_whole(source)
    with Lock(target):
        save(target, spec, weights, history)


def read_whole(directory: Path) -> tuple[ModelSpec, bytes, list[dict[str, Any]]]:
    """Return the spec, the weights and the history of a model."""
    spec = read_spec(directory)
    return spec, read_weights(directory, spec), read_history(directory, spec)
