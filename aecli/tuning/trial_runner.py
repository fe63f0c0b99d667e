"""Training and measuring of one trial, fold by fold, and the time that it may take."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from aecli.errors import DivergedError, OutputError
from aecli.progress import Epoch, Progress
from aecli.schema.options import TrainOptions
from aecli.training.data import PreparedTable, prepared_for_noise
from aecli.training.fit import EpochCallback, FittedNetwork, fit
from aecli.training.interrupt import Interrupt
from aecli.training.schedule import default_epochs
from aecli.tuning.objective import SearchObjective
from aecli.tuning.study import Study
from aecli.tuning.trial import TrialRecord, TrialStatus

PRUNED = "pruned"

RETRAIN_TIME_FACTOR = 1.25
"""How much longer than its trial the training of the best model may take."""

SHORTEST_TRIAL_SECONDS = 0.05


@dataclass(frozen=True)
class TimeBudget:
    """Time of a search of `folds` folds; `began` and `until` are times of `time.perf_counter`.

    Without a budget `until` is None, and so are the limits.
    """

    began: float
    until: float | None
    folds: int

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds left."""
        return None if self.until is None else self.until - time.perf_counter()

    @property
    def seconds_used(self) -> float:
        """Return the seconds since the search began."""
        return time.perf_counter() - self.began

    def trial_seconds(
        self, best: TrialRecord | None, *, best_in_memory: bool, build_seconds: float
    ) -> float | None:
        """Return how long a trial may take so that there is time to save the best model.

        Args:
            best: the best trial so far.
            best_in_memory: whether its network is at hand and need not be trained again.
            build_seconds: how long building a network takes before its training.
        """
        left = self.seconds_left
        if left is None:
            return None
        retrain = 0.0 if best is None or best_in_memory else RETRAIN_TIME_FACTOR * best.seconds
        # The best of several folds is trained once more, on the usual split.
        most = left / (1 + RETRAIN_TIME_FACTOR / self.folds) if self.folds > 1 else left
        build = self.folds * build_seconds
        seconds = min(left - retrain, most) - self._closing_seconds - build
        return max(seconds, SHORTEST_TRIAL_SECONDS)

    def allows_trial(
        self, trial_seconds: float, complete: Sequence[TrialRecord], *, failed: bool
    ) -> bool:
        """Return whether there is time for a useful trial; the first one always begins.

        Args:
            trial_seconds: how long the trial may take.
            complete: the complete trials so far.
            failed: whether a trial failed.
        """
        left = self.seconds_left
        if left is None:
            return True
        if not complete:
            return left > 0 or not failed
        mean = sum(trial.seconds for trial in complete) / len(complete)
        return left > 0 and trial_seconds > self.folds * mean / 4

    @cached_property
    def _closing_seconds(self) -> float:
        """Return about how long comparing and saving take: as long as reading the table did."""
        return min(self.seconds_used, 0.3 * (self.seconds_left or 0.0))


@dataclass(frozen=True)
class TrialOutcome:
    """Outcome of one trial; `fitted` is its network where there is one split and no folds.

    `seconds` is the training time of the longest fold. `error` is why it failed.
    """

    number: int
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
        study: Study,
        device: torch.device,
        *,
        interrupt: Interrupt,
        progress: Progress,
    ) -> None:
        self._tables = tables
        self._objective = objective
        self._study = study
        self._device = device
        self._interrupt = interrupt
        self._progress = _EpochProgress(progress)

    def run(self, number: int, options: TrainOptions, seconds: float | None) -> TrialOutcome:
        """Train on every fold, for at most `seconds`; the value is the mean over the folds."""
        until = None if seconds is None else time.perf_counter() + seconds
        values: list[float] = []
        longest, epochs = 0.0, 0
        for fold, table in enumerate(self._tables):
            first_step = fold * most_epochs(options, table)
            try:
                fitted = self._fit(table, options, until, self._reporter(first_step, values))
            except (DivergedError, OutputError, MemoryError, torch.OutOfMemoryError) as error:
                return TrialOutcome(number, "failed", None, epochs, longest, error=error)
            longest = max(longest, fitted.result.seconds)
            epochs += len(fitted.result.history)
            network = fitted if len(self._tables) == 1 else None
            if fitted.result.stopped == PRUNED:
                return TrialOutcome(number, "pruned", None, epochs, longest)
            values.append(self._objective.of_network(fitted))
            if not fitted.result.finished:
                state: TrialStatus = "cut" if self._interrupt.signal is None else "stopped"
                return TrialOutcome(number, state, _mean(values), epochs, longest, network)
        if not math.isfinite(_mean(values)):
            return TrialOutcome(number, "failed", None, epochs, longest)
        return TrialOutcome(number, "complete", _mean(values), epochs, longest, network)

    def _fit(
        self,
        table: PreparedTable,
        options: TrainOptions,
        until: float | None,
        on_epoch: EpochCallback,
    ) -> FittedNetwork:
        left = None if until is None else max(until - time.perf_counter(), 1e-3)
        training = options.training.model_copy(update={"time_limit": left})
        fitted = fit(
            prepared_for_noise(table, options),
            options.model_copy(update={"training": training}),
            self._device,
            interrupt=self._interrupt,
            on_epoch=on_epoch,
            progress=self._progress,
        )
        # Without the time limit: there is no checkpoint that could be resumed.
        return replace(fitted, options=options)

    def _reporter(self, first_step: int, values: Sequence[float]) -> EpochCallback:
        """Return what reports a fold's epochs to the study, and stops a fold that is pruned.

        `values` are those of the folds before it.
        """
        best = 0.0

        def report(epoch: Epoch) -> str | None:
            nonlocal best
            if epoch.best or epoch.number == 1:
                best = self._objective.of_epoch(epoch)
            pruned = self._study.report(first_step + epoch.number, _mean([*values, best]))
            return PRUNED if pruned else None

        return report


def most_epochs(options: TrainOptions, table: PreparedTable) -> int:
    """Return the number of epochs of a training that nothing stops early."""
    return options.training.epochs or default_epochs(table.train, classifies=options.classifies)


class _EpochProgress(Progress):
    """Progress of a trial's training, without the notes and stages before it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        self._progress.training(epochs, rows_per_epoch, unit)

    def rows(self, count: int) -> None:
        self._progress.rows(count)

    def epoch(self, epoch: Epoch) -> None:
        self._progress.epoch(epoch)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
