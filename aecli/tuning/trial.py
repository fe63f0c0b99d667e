"""Results of a search: names of objectives, records of trials, and the result of `tune`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aecli.model_directory.generations import Generation
from aecli.schema.model_spec import ModelSpec

ObjectiveName = Literal["val_loss", "reconstruction", "accuracy", "probe", "auroc"]

OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)

POST_TRAINING_OBJECTIVES = ("probe", "auroc")
"""Objectives that are measured after training only; the curves of their trials are the negative
loss."""

Direction = Literal["minimize", "maximize"]

TrialStatus = Literal["complete", "pruned", "cut", "failed", "stopped", "running"]
"""Cut: by the time budget. Failed: non-finite loss, or out of memory. Stopped: by a signal."""


@dataclass(frozen=True)
class TrialRecord:
    """Record of a trial, counted from 1; the first uses the defaults.

    `options` are those that differ from the defaults, as on a command line; `curve` is the
    objective after each epoch, at the best weights so far; `seconds` is the training time.
    """

    number: int
    state: TrialStatus
    value: float | None
    options: Mapping[str, str]
    epochs: int
    seconds: float
    curve: Sequence[float]


def ranking(trials: Sequence[TrialRecord], direction: str) -> list[TrialRecord]:
    """Return the trials that have a value, best first; incomplete ones come last."""
    sign = -1 if direction == "maximize" else 1
    measured = [trial for trial in trials if trial.value is not None]
    return sorted(measured, key=lambda t: (t.state != "complete", sign * (t.value or 0.0)))


@dataclass(frozen=True)
class TuneResult:
    """Result of one search: the saved model, and every trial of its journal.

    `value` is the objective of the `best` trial, `default` that of the first one, which uses the
    defaults; `command` trains the same model again. `importance` is the share of each parameter of
    the search in the objective, empty with few trials. `signal` ended the search early.
    `replaced` is the previous model, `undo` the command that restores it.
    """

    model: Path
    spec: ModelSpec
    objective: str
    direction: str
    folds: int
    best: int
    value: float
    default: float | None
    trials: Sequence[TrialRecord]
    importance: Mapping[str, float]
    command: str
    journal: Path
    seconds: float
    notes: Sequence[str]
    signal: int | None = None
    replaced: Generation | None = None
    undo: str | None = None

    def record(self) -> dict[str, Any]:
        """Return the content of the search's file in the model directory."""
        return {
            "schema": "aecli.tuning/1",
            "objective": self.objective,
            "direction": self.direction,
            "folds": self.folds,
            "best": self.best,
            "value": self.value,
            "default": self.default,
            "importance": self.importance,
            "command": self.command,
            "notes": self.notes,
            "trials": [asdict(trial) for trial in self.trials],
        }
