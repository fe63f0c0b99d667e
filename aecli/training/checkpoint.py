"""Checkpoint of an unfinished training, from which `--resume` continues bit-identically."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aecli.atomic_files import atomic_path, fsync_directory, output_error, warn_after_commit
from aecli.errors import ModelError, OutputError, UsageError
from aecli.formatting import name_list
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    UNNAMED_CHECKPOINT,
    checkpoint_name,
    is_checkpoint,
    is_checkpoint_file,
)
from aecli.progress import Epoch
from aecli.regular_files import require_regular, sha256_of
from aecli.training.validation import NO_CRITERION, Criterion

Tensors = dict[str, Tensor]

ROUNDING = 1e-6
"""Differences of statistics that several processes have summed."""


@dataclass
class TrainingState:
    """Everything that the next epoch depends on.

    `network`, `best` and `optimizer` are tensors; the rest are plain numbers. `best_criterion` is
    that of the best epoch so far (the training loss without validation rows). `start` has the
    losses of a network with PCA initialisation before its first epoch. `precision` is that of the
    network's arithmetic. `done` is the number of steps of an unfinished epoch, and `unfinished`
    their figures and the states of the random generators, of as many `ranks`.
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    network: Tensors = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)
    unfinished: Tensors = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_criterion: Criterion = NO_CRITERION
    seconds: float = 0.0
    schedule_factor: float = 1.0
    schedule_waited: int = 0
    number_weight: float = 1.0
    history: list[Epoch] = field(default_factory=list)
    start: Epoch | None = None
    precision: str = "fp32"
    done: int = 0
    ranks: int = 1


_PARTS = ("network", "best", "optimizer", "unfinished")
_STATE = TypeAdapter(TrainingState)
_DAMAGE = (
    OSError,
    SafetensorError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
"""What reading a damaged checkpoint raises, in safetensors, torch and json."""


class Checkpoint:
    """State of one training under `directory/checkpoint/`.

    `identity` are the options and data that a resumed training must have in common with it;
    `saved` is called when a state was written.
    """

    def __init__(
        self,
        directory: Path,
        identity: Mapping[str, object],
        saved: Callable[[], None] | None = None,
    ) -> None:
        self._saved = saved
        self._directory = directory
        self._folder = directory / CHECKPOINT_DIRECTORY
        self._identity = json.loads(json.dumps(identity))

    def save(self, state: TrainingState) -> None:
        """Replace the checkpoint on disk atomically; its name contains its hash.

        Raises:
            OutputError: it cannot be written; the previous checkpoint is unchanged.
            ModelError: the file to replace is not a regular file.
        """
        tensors = {
            f"{part}.{name}": tensor.detach().cpu().contiguous()
            for part in _PARTS
            for name, tensor in getattr(state, part).items()
        }
        plain = asdict(replace(state, network={}, best={}, optimizer={}, unfinished={}))
        metadata = {"state": json.dumps(plain), "identity": json.dumps(self._identity)}
        written = self._folder / UNNAMED_CHECKPOINT
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            require_regular(written)
            with atomic_path(written) as temporary:
                save_file(tensors, temporary, metadata=metadata)
            target = self._folder / checkpoint_name(sha256_of(written))
            written.rename(target)
        except OSError as error:
            raise output_error(written, error) from error
        except SafetensorError as error:
            raise OutputError(f"cannot write {written}: {error}") from error
        with warn_after_commit(target):
            fsync_directory(self._folder)
            for path in self._files():
                if path != target:
                    path.unlink()
        if self._saved is not None:
            self._saved()

    def exists(self) -> bool:
        """Return whether there is an unfinished training."""
        return bool(self._files())

    def load(self) -> TrainingState:
        """Return the saved state.

        Raises:
            UsageError: there is no checkpoint, or its training had different options or data.
            ModelError: the file is damaged.
        """
        files = sorted(self._files(), key=lambda path: path.lstat().st_mtime_ns)
        if not files:
            raise UsageError(
                f"{self._directory} has no unfinished training to resume",
                hint="run the same command without --resume",
            )
        try:
            identity, text, tensors = _read(files[-1])
            differing = self._differences(identity)
            state = TrainingState() if differing else _state(text, tensors)
        except _DAMAGE as error:
            raise _damaged_error(files[-1], error) from error
        if differing:
            raise differing
        return state

    def remove(self) -> None:
        """Remove the checkpoint: the training is finished, and its model saved."""
        with warn_after_commit(self._directory):
            if self._folder.is_symlink() or not self._folder.is_dir():
                return
            for name in filter(is_checkpoint_file, os.listdir(self._folder)):
                (self._folder / name).unlink()
            if not os.listdir(self._folder):
                self._folder.rmdir()

    def _is_close(self, saved: Mapping[str, Any]) -> bool:
        """Return whether the identity is the same, fitted by another number of processes.

        The sums of their rows are rounded in another order.
        """
        others = saved.get("ranks") != self._identity.get("ranks")
        return others and _are_close({**saved, "ranks": None}, {**self._identity, "ranks": None})

    def _files(self) -> list[Path]:
        """Return the checkpoints on disk: several if a save was killed."""
        if self._folder.is_symlink() or not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if is_checkpoint(path.name)]

    def _differences(self, identity: Mapping[str, Any]) -> UsageError | None:
        """Return an error that names the differences from a saved identity; None if it is equal."""
        if identity == self._identity or self._is_close(identity):
            return None
        if identity.get("version") != self._identity.get("version"):
            return UsageError(
                "the unfinished training was started with another version of aecli",
                facts=[_versions(identity, self._identity)],
                hint="run the same command without --resume",
            )
        saved, present = _flat(identity.get("options")), _flat(self._identity.get("options"))
        differing = [
            f"{name} was {_shown(saved.get(name))}, is {_shown(present.get(name))}"
            for name in dict.fromkeys([*saved, *present])
            if saved.get(name) != present.get(name)
        ]
        kind, hint = "options", "repeat its options, or run without --resume to start over"
        if not differing:
            kind, hint = "data", "the same table, or run without --resume to start over"
            differing = _changed_data(identity, self._identity)
        what = f"the checkpoint has different {kind}"
        if len(differing) == 1:
            return UsageError(f"{what}: {differing[0]}", hint=hint)
        more = [f"and {len(differing) - 3} more"] if len(differing) > 4 else []
        shown = differing[:3] if more else differing
        return UsageError(what, facts=[*shown, *more], hint=hint)


def _are_close(one: Any, other: Any) -> bool:
    """Return whether two values from JSON differ in the last digits of numbers only."""
    if isinstance(one, dict) and isinstance(other, dict):
        same = one.keys() == other.keys()
        return same and all(_are_close(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return bool(one == other)


def _versions(saved: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    before = saved.get("version", "an earlier version")
    return f"the checkpoint is from {before}, this is {present['version']}"


def _read(path: Path) -> tuple[dict[str, Any], str, Tensors]:
    """Return the identity of a checkpoint's training, and its state as JSON and tensors."""
    if checkpoint_name(sha256_of(path)) != path.name:
        raise ValueError("the hash in its name does not match its content")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    return dict(json.loads(metadata["identity"])), metadata["state"], tensors


def _state(text: str, tensors: Tensors) -> TrainingState:
    state = _STATE.validate_python(json.loads(text))
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        {part: getattr(state, part) for part in _PARTS}[part][rest] = tensor
    return state


def _damaged_error(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"the checkpoint {path} is damaged",
        facts=[(str(error).splitlines() or [type(error).__name__])[0]],
        hint="run the same command without --resume",
    )


def _flat(options: Any) -> dict[str, Any]:
    """Return the options of all sections by name; an empty dictionary if there are no sections."""
    sections = options.values() if isinstance(options, dict) else []
    return {name: value for section in sections for name, value in section.items()}


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "name" in value:
        args = ",".join(f"{name}={arg}" for name, arg in value.get("args", {}).items())
        value = f"{value['name']}:{args}" if args else value["name"]
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = "not set" if value is None or value == "" else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _changed_data(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Return the differences in the data: numbers of rows, and columns."""
    differing = []
    sides = zip(("training", "validation"), saved["rows"], present["rows"], strict=True)
    differing += [f"{side} rows were {a:,}, are {b:,}" for side, a, b in sides if a != b]
    before, now = ({c["name"]: c for c in part["columns"]} for part in (saved, present))
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if changed:
        differing.append(f"the cells of {name_list(changed, 3)} changed")
    return differing


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return copies of the tensors, which later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same_random_numbers(seed: int, epoch: int, rank: int = 0) -> None:
    """Seed torch's generators by seed, epoch and rank, so that a resumed epoch repeats exactly."""
    torch.manual_seed((seed * 1_000_003 + epoch + (rank << 40)) % 2**63)
