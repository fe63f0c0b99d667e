"""Training and measuring of one trial, fold by fold."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from aecli.errors import DivergedError, OutputError
from aecli.progress import Epoch, Progress
from aecli.schema.options import TrainOptions
from aecli.training.data import PreparedTable, prepared_for_noise
from aecli.training.fit import FittedNetwork, fit
from aecli.training.interrupt import Interrupt
from aecli.training.optimizers import default_epochs
from aecli.tuning.objective import SearchObjective
from aecli.tuning.study import RunningTrial
from aecli.tuning.trial import TrialStatus

PRUNED = "pruned"


@dataclass(frozen=True)
class TrialOutcome:
    """Outcome of one trial; `fitted` is its network where there is one split and no folds.

    `seconds` is the training time of the longest fold. `error` is why it failed.
    """

    state: TrialStatus
    value: float | None
    epochs: int
    seconds: float
    fitted: FittedNetwork | None = None
    error: Exception | None = None


class TrialRunner:
    """Runner of trials on tables that are prepared once, one per fold."""

    def __init__(
        self,
        tables: Sequence[PreparedTable],
        objective: SearchObjective,
        device: torch.device,
        *,
        interrupt: Interrupt,
        progress: Progress,
    ) -> None:
        self._tables = tables
        self._objective = objective
        self._device = device
        self._interrupt = interrupt
        self._progress = _EpochProgress(progress)

    def run(
        self, trial: RunningTrial, options: TrainOptions, seconds: float | None
    ) -> TrialOutcome:
        """Train on every fold, for at most `seconds`; the value is the mean over the folds."""
        until = None if seconds is None else time.perf_counter() + seconds
        values: list[float] = []
        longest, epochs = 0.0, 0
        for fold, table in enumerate(self._tables):
            first_step = fold * most_epochs(options, table)
            watch = _PruningWatch(trial, self._objective, first_step, values)
            try:
                fitted = self._fit(table, options, until, watch)
            except (DivergedError, OutputError, MemoryError, torch.OutOfMemoryError) as error:
                return TrialOutcome("failed", None, epochs, longest, error=error)
            longest, epochs = (
                max(longest, fitted.result.seconds),
                epochs + len(fitted.result.history),
            )
            network = fitted if len(self._tables) == 1 else None
            if watch.pruned:
                return TrialOutcome("pruned", None, epochs, longest)
            values.append(self._objective.of_network(fitted))
            if not fitted.result.finished:
                state: TrialStatus = "cut" if self._interrupt.signal is None else "stopped"
                return TrialOutcome(state, _mean(values), epochs, longest, network)
        if not math.isfinite(_mean(values)):
            return TrialOutcome("failed", None, epochs, longest)
        return TrialOutcome("complete", _mean(values), epochs, longest, network)

    def _fit(
        self, table: PreparedTable, options: TrainOptions, until: float | None, watch: _PruningWatch
    ) -> FittedNetwork:
        left = None if until is None else max(until - time.perf_counter(), 1e-3)
        training = options.training.model_copy(update={"time_limit": left})
        fitted = fit(
            prepared_for_noise(table, options),
            options.model_copy(update={"training": training}),
            self._device,
            interrupt=self._interrupt,
            on_epoch=watch,
            progress=self._progress,
        )
        # Without the time limit: there is no checkpoint that could be resumed.
        return replace(fitted, options=options)


def most_epochs(options: TrainOptions, table: PreparedTable) -> int:
    """Return the number of epochs of a training that nothing stops early."""
    return options.training.epochs or default_epochs(table.train, classifies=options.classifies)


class _PruningWatch:
    """Callback that reports a fold's epochs to the study, and stops a fold that is pruned."""

    def __init__(
        self,
        trial: RunningTrial,
        objective: SearchObjective,
        first_step: int,
        values: Sequence[float],
    ) -> None:
        self._trial = trial
        self._objective = objective
        self._first_step = first_step
        self._values = list(values)
        self._best = 0.0
        self.pruned = False

    def __call__(self, epoch: Epoch) -> str | None:
        if epoch.best or epoch.number == 1:
            self._best = self._objective.of_epoch(epoch)
        mean = _mean([*self._values, self._best])
        self.pruned = self._trial.report(self._first_step + epoch.number, mean)
        return PRUNED if self.pruned else None


class _EpochProgress(Progress):
    """Progress of a trial's training, without the notes and stages before it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def training(self, network: str, epochs: int, rows_per_epoch: int) -> None:
        self._progress.training(network, epochs, rows_per_epoch)

    def rows(self, count: int) -> None:
        self._progress.rows(count)

    def epoch(self, epoch: Epoch) -> None:
        self._progress.epoch(epoch)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
