"""Progress of a running command, as its caller sees it: epochs, trials, stages and messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch: every loss term of both sides, weighted sums under `total`."""

    number: int
    train: Mapping[str, float]
    valid: Mapping[str, float] | None
    seconds: float
    learning_rate: float
    best: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """State of a search as a trial begins, counted from 1, or as its best model is saved.

    `trials` and `seconds_left` are None where there is no such limit; `best` is the objective's
    best value so far, of `best_trial`.
    """

    trial: int | None
    trials: int | None
    best: float | None
    best_trial: int | None
    seconds_left: float | None


class Progress:
    """Receiver of a running command's progress; every method does nothing by default."""

    def note(self, message: str) -> None:
        """Called with a message for the user."""

    def stage(self, name: str, total_rows: int | None = None, unit: str = "row") -> None:
        """Called as a pass over rows or windows begins, with their number where it is known."""

    def rows(self, count: int) -> None:
        """Called when `count` more rows of the current stage are done."""

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        """Called as a training begins, on rows or windows."""

    def resumed(self, history: Sequence[Epoch]) -> None:
        """Called with the epochs of an earlier run, right after `training`."""

    def epoch(self, epoch: Epoch) -> None:
        """Called at the end of an epoch."""

    def trial(self, standing: Standing) -> None:
        """Called as a trial of a search begins, or as its best model is trained and saved."""

    def finish(self) -> None:
        """Called once, after everything else."""


SILENT = Progress()
