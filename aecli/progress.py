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
        """Hear one plain sentence that a person should read once."""

    def stage(self, name: str, total_rows: int | None = None) -> None:
        """Hear that a pass over rows begins, and how many rows it will see where known."""

    def rows(self, count: int) -> None:
        """Hear that `count` more rows of the current stage are done."""

    def training(self, network: str, epochs: int, rows_per_epoch: int) -> None:
        """Hear that training begins."""

    def resumed(self, history: Sequence[Epoch]) -> None:
        """Hear which epochs an earlier run has done, right after `training`."""

    def epoch(self, epoch: Epoch) -> None:
        """Hear that an epoch ended."""

    def trial(self, standing: Standing) -> None:
        """Hear that a trial of a search begins, or that its best model is trained and saved."""

    def finish(self) -> None:
        """Hear that nothing more will be told."""


SILENT = Progress()
