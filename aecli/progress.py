"""Progress that a running command reports to its caller: epochs, trials, stages, messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """Losses of one epoch by term, on training and validation rows; `total` is the weighted sum.

    `number_weight` is the factor by which training raised the weight of numbers in this epoch; the
    losses are those without it, so that epochs are comparable.
    """

    number: int
    train: Mapping[str, float]
    valid: Mapping[str, float] | None
    seconds: float
    learning_rate: float
    best: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, float] = field(default_factory=dict)
    number_weight: float = 1.0


@dataclass(frozen=True)
class SearchState:
    """State of a search when a trial begins (counted from 1) or the best model is saved.

    `trials` and `seconds_left` are None without such a limit; `best` is the best value of the
    objective so far, reached by `best_trial`.
    """

    trial: int | None
    trials: int | None
    best: float | None
    best_trial: int | None
    seconds_left: float | None


class Progress:
    """Callbacks for the progress of a running command; each does nothing by default."""

    def note(self, message: str) -> None:
        """Called with a message for the user."""

    def debug(self, message: str) -> None:
        """Called with a message that is shown only with `--debug`."""

    def stage(self, name: str, total_rows: int | None = None, unit: str = "row") -> None:
        """Called when a pass over rows or windows begins, with their number if it is known."""

    def rows(self, count: int) -> None:
        """Called when `count` more rows of the current stage are done."""

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        """Called when a training on rows or windows begins."""

    def resumed(self, history: Sequence[Epoch]) -> None:
        """Called with the epochs of an earlier run, right after `training`."""

    def epoch(self, epoch: Epoch) -> None:
        """Called at the end of an epoch."""

    def trial(self, state: SearchState) -> None:
        """Called when a trial of a search begins, or its best model is trained and saved."""

    def finish(self) -> None:
        """Called once, at the end."""


SILENT = Progress()
