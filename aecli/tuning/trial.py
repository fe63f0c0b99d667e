"""Say what a search may optimise, and hold what became of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aecli.schema.model_spec import ModelSpec

Objective = Literal["val_loss", "reconstruction", "accuracy", "probe", "auroc"]

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

LAST = ("probe", "auroc")
"""Objectives that only a trained network has: curves of their trials are of the loss, negative."""

State = Literal["complete", "pruned", "cut", "failed", "stopped", "running"]
"""Cut: the time was up. Failed: no finite loss, or too large. Stopped: by a signal or a kill."""


@dataclass(frozen=True)
class Tried:
    """Hold a trial, counted from 1; the first takes the defaults.

    `options` are those that differ from the defaults, as on a command line; `curve` is the
    objective after each epoch, at the weights that were best by then; `seconds` those of training.
    """

    number: int
    state: State
    value: float | None
    options: Mapping[str, str]
    epochs: int
    seconds: float
    curve: Sequence[float]


def ranking(trials: Sequence[Tried], direction: str) -> list[Tried]:
    """Return the trials that have a value, best first; those not trained in full stand last."""
    sign = -1 if direction == "maximize" else 1
    found = [trial for trial in trials if trial.value is not None]
    return sorted(found, key=lambda t: (t.state != "complete", sign * (t.value or 0.0)))


@dataclass(frozen=True)
class TuneResult:
    """Hold what `tune` found: the saved model, and every trial of its journal.

    `value` is the objective's of the `best` trial, `default` that of the first one, which takes the
    defaults; `command` trains the same model again. `importance` is the share of each parameter of
    the search in what made trials good, nothing with few trials. `signal` ended the search early.
    """

    model: Path
    spec: ModelSpec
    objective: str
    direction: str
    folds: int
    best: int
    value: float
    default: float | None
    trials: Sequence[Tried]
    importance: Mapping[str, float]
    command: str
    journal: Path
    seconds: float
    notes: Sequence[str]
    signal: int | None = None
