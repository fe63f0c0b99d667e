"""Damage parts of a model: flip bits of them, put links, pipes and devices in their place."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aecli.errors import ModelError
from aecli.inference.loaded_model import load_with
from aecli.model_directory.location import is_checkpoint, is_earlier_spec
from aecli.model_directory.read import read_history, read_spec, read_tuning
from aecli.model_directory.rollback import roll_back
from aecli.model_directory.spec_file import digest_of
from aecli.model_directory.verify import verify
from aecli.schema.model_spec import NO_DIGEST
from aecli.training.checkpoint import Checkpoint
from tests.reliability.models import train_arguments
from tests.reliability.scenarios import APPLIED


def parts(model: Path) -> dict[str, Path]:
    """Return every file of a model by what it is."""
    spec = read_spec(model)
    assert spec.tuning is not None
    (earlier,) = (path for path in model.iterdir() if is_earlier_spec(path.name))
    before = json.loads(earlier.read_text())
    (state,) = (path for path in (model / "checkpoint").iterdir() if is_checkpoint(path.name))
    return {
        "spec": model / "spec.json",
        "weights": model / spec.weights.file,
        "history": model / spec.history.file,
        "tuning": model / spec.tuning.file,
        "earlier spec": earlier,
        "earlier weights": model / before["weights"]["file"],
        "earlier history": model / before["history"]["file"],
        "checkpoint": state,
    }


def flip(path: Path, rng: random.Random) -> tuple[int, int]:
    """Flip one bit of a file; return its byte and the bit."""
    content = bytearray(path.read_bytes())
    byte, bit = rng.randrange(len(content)), rng.randrange(8)
    content[byte] ^= 1 << bit
    path.write_bytes(content)
    return byte, bit


def undetected(model: Path, part: str, path: Path) -> list[str]:
    """Return which readers of a damaged part do not refuse it: its command, and `--verify`."""
    missed = []
    try:
        _read(model, part)
    except ModelError:
        pass
    else:
        missed.append("its command")
    try:
        name = str(path.relative_to(model))
        if all(file.problem is None for file in verify(model) if file.file == name):
            missed.append("verify")
    except ModelError:
        pass
    return missed


def _read(model: Path, part: str) -> None:
    """Read a part as the command does that needs it."""
    if part == "checkpoint":
        Checkpoint(model, {}).load()
    elif part.startswith("earlier"):
        raise_if_rolled_back(model)
    else:
        load_with(model, lambda s: (read_history(model, s), read_tuning(model, s)))


def raise_if_rolled_back(model: Path) -> None:
    """Roll back, and put a model that could not be rolled back into the words of a ModelError."""
    try:
        roll_back(model)
    except ValueError as error:
        raise ModelError(str(error)) from error


def sealed(value: Any) -> bytes:
    """Return the content of a `spec.json` with the right digest, whatever else is in it."""
    text = json.dumps({**value, "digest": NO_DIGEST}, indent=2)
    return sealed_text(text)


def sealed_text(text: str) -> bytes:
    """Return a text with 64 zeros for its digest as the content of a `spec.json`."""
    content = text.encode()
    return content.replace(NO_DIGEST.encode(), digest_of(content).encode(), 1)


def _replace(path: Path, make: Callable[[], object]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make()


def put_link(path: Path, victim: Path) -> None:
    """Put a symbolic link to a victim in the place of a file or a directory."""
    _replace(path, lambda: path.symlink_to(victim))


def put_pipe(path: Path, victim: Path) -> None:
    """Put a named pipe there, which nobody writes to."""
    _replace(path, lambda: os.mkfifo(path))


def put_zeros(path: Path, victim: Path) -> None:
    """Put a link to a device there, which never ends."""
    _replace(path, lambda: path.symlink_to("/dev/zero"))


def put_directory(path: Path, victim: Path) -> None:
    """Put a directory there."""
    _replace(path, path.mkdir)


HOSTILE = {
    "link": put_link, "pipe": put_pipe, "zeros": put_zeros, "directory": put_directory,
}  # fmt: skip


def hostile_places(model: Path) -> Iterator[tuple[str, Path]]:
    """Yield every place in a model where a hostile file may be: its parts, lock and checkpoint."""
    yield from parts(model).items()
    yield "lock", model / ".lock"
    yield "checkpoint directory", model / "checkpoint"


READERS = {
    "train": (
        "spec", "weights", "history", "tuning", "earlier spec", "earlier weights",
        "earlier history", "checkpoint", "lock", "checkpoint directory",
    ),
    "calibrate": ("spec", "weights", "lock"),
    "encode": ("spec", "weights"),
    "evaluate": ("spec", "weights"),
    "inspect": ("spec",),
    "plot": ("spec", "history", "tuning"),
    "report": ("spec", "history", "tuning"),
    "rollback": ("earlier weights", "earlier history", "lock"),
    "verify": (
        "spec", "weights", "history", "tuning", "earlier spec", "earlier weights",
        "earlier history", "checkpoint",
    ),
}  # fmt: skip
"""Parts of a model that a command reads, or that lie where it writes."""


def hostile_arguments(name: str, folder: Path, model: Path) -> list[str]:
    """Return the command line of a command of `READERS` on a model."""
    table, applied = str(folder / "b.csv"), ["-m", str(model), *APPLIED]
    return {
        "train": [*train_arguments(folder, "b", model), "--resume"],
        "calibrate": ["calibrate", table, *applied],
        "encode": ["encode", table, *applied, "-o", str(folder / "out.csv")],
        "evaluate": ["evaluate", table, *applied],
        "inspect": ["inspect", str(model)],
        "plot": ["plot", "search", *applied, "-o", str(folder / "out.png")],
        "rollback": ["rollback", "-m", str(model), "-q"],
        "verify": ["inspect", str(model), "--verify"],
        "report": ["report", *applied, "-o", str(folder / "out.html")],
    }[name]


def refused_with(kind: str, part: str) -> int:
    """Return the exit code of a command that finds a hostile file in the place of a part."""
    # A checkpoint directory that is empty has nothing to resume.
    return 2 if (kind, part) == ("directory", "checkpoint directory") else 4
