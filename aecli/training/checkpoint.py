"""Keep an unfinished training on disk, so that `--resume` goes on as if it had never stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aecli.atomic_files import atomic_path
from aecli.errors import ModelError, UsageError
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
        differing = [
            f"{name}: was {identity.get(name)!r}, is {self._identity.get(name)!r}"
            for name in sorted(identity.keys() | self._identity.keys())
            if identity.get(name) != self._identity.get(name)
        ]
        if differing:
            raise UsageError(
                "the unfinished training was another one",
                facts=[line[:160] for line in differing[:3]],
                hint="repeat its options, or run without --resume to start over",
            )


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors' present values, untouched by later steps."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same_random_numbers(seed: int, epoch: int) -> None:
    """Seed torch's generators by the seed and the epoch, so that a resumed epoch repeats."""
    torch.manual_seed((seed * 1_000_003 + epoch) % 2**63)
