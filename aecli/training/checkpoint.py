"""Keep an unfinished training on disk, so that `--resume` goes on as if it had never stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aecli.atomic_files import atomic_path
from aecli.errors import ModelError, UsageError
from aecli.formatting import name_list
from aecli.progress import Epoch

Tensors = dict[str, Tensor]


@dataclass
class TrainingState:
    """Everything that the next epoch depends on.

    `network`, `best` and `optimizer` are tensors; the rest are plain numbers. `best_loss` is the
    lowest validation loss so far (training loss where there are no validation rows). `start` is how
    good a network that starts as PCA was before its first epoch.
    """

    network: Tensors = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    seconds: float = 0.0
    schedule_factor: float = 1.0
    schedule_waited: int = 0
    history: list[Epoch] = field(default_factory=list)
    start: Epoch | None = None


class Checkpoint:
    """State of one training under `directory/checkpoint/`.

    `identity` is what a resumed training must share with the stopped one: options and data.
    """

    def __init__(self, directory: Path, identity: Mapping[str, object]) -> None:
        self._path = directory / "checkpoint" / "state.safetensors"
        self._identity = json.loads(json.dumps(identity))

    def save(self, state: TrainingState) -> None:
        """Replace the checkpoint on disk, atomically."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{part}.{name}": tensor.detach().cpu().contiguous()
            for part in ("network", "best", "optimizer")
            for name, tensor in getattr(state, part).items()
        }
        plain = asdict(state) | {"network": {}, "best": {}, "optimizer": {}}
        metadata = {"state": json.dumps(plain), "identity": json.dumps(self._identity)}
        with atomic_path(self._path) as temporary:
            save_file(tensors, temporary, metadata=metadata)

    def load(self) -> TrainingState:
        """Return the saved state.

        Raises:
            UsageError: there is nothing to resume, or it was another training.
            ModelError: the file is damaged.
        """
        if not self._path.exists():
            raise UsageError(
                f"{self._path.parent.parent} holds no unfinished training to resume",
                hint="run the same command without --resume",
            )
        try:
            with safe_open(self._path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
            plain, identity = json.loads(metadata["state"]), json.loads(metadata["identity"])
            history = [Epoch(**epoch) for epoch in plain.pop("history")]
            start = Epoch(**plain["start"]) if plain["start"] else None
            state = TrainingState(**plain | {"history": history, "start": start})
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"the checkpoint {self._path} is damaged",
                facts=[str(error).splitlines()[0]],
                hint="run the same command without --resume",
            ) from error
        self._refuse_another(identity)
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            getattr(state, part)[rest] = tensor
        return state

    def remove(self) -> None:
        """Remove the checkpoint: the training is finished."""
        shutil.rmtree(self._path.parent, ignore_errors=True)

    def _refuse_another(self, identity: Mapping[str, object]) -> None:
        if identity == self._identity:
            return
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
            raise UsageError(f"{what}: {differing[0]}", hint=hint)
        more = [f"and {len(differing) - 3} more"] if len(differing) > 4 else []
        shown = differing[:3] if more else differing
        raise UsageError(what, facts=[*shown, *more], hint=hint)


def _flat(options: Any) -> dict[str, Any]:
    """Return the options of all sections by name; those of anything else are none."""
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
    """Return what differs in the data: the numbers of rows, and columns."""
    differing = []
    sides = zip(("training", "validation"), saved["rows"], present["rows"], strict=True)
    differing += [f"{side} rows were {a:,}, are {b:,}" for side, a, b in sides if a != b]
    before, now = ({c["name"]: c for c in part["columns"]} for part in (saved, present))
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if changed:
        differing.append(f"the cells of {name_list(changed, 3)} changed")
    return differing


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors' present values, untouched by later steps."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same_random_numbers(seed: int, epoch: int) -> None:
    """Seed torch's generators by the seed and the epoch, so that a resumed epoch repeats."""
    torch.manual_seed((seed * 1_000_003 + epoch) % 2**63)
