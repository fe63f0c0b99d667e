"""Training and measurement of one trial, fold by fold, within a time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from aecli.errors import DivergedError, OutputError
from aecli.model.sizes import classifies_images
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
"""Maximum ratio of the final training's time to that of its trial."""

MIN_TRIAL_SECONDS = 0.05


@dataclass(frozen=True)
class TimeBudget:
    """Time budget of a search with `folds` folds, from `began` until `until` (perf_counter).

    Without a budget `until` is None, and so are the limits.
    """

    began: float
    until: float | None
    folds: int

    @property
    def seconds_left(self) -> float | None:
        """Return the remaining seconds."""
        return None if self.until is None else self.until - time.perf_counter()

    @property
    def seconds_used(self) -> float:
        """Return the seconds since the search began."""
        return time.perf_counter() - self.began

    def trial_seconds(
        self, best: TrialRecord | None, *, best_in_memory: bool, build_seconds: float
    ) -> float | None:
        """Return the maximum time of a trial that leaves time to save the best model.

        Args:
            best: the best trial so far.
            best_in_memory: whether its network is in memory and does not have to be trained again.
            build_seconds: the time for building a network before its training.
        """
        left = self.seconds_left
        if left is None:
            return None
        retrain = 0.0 if best is None or best_in_memory else RETRAIN_TIME_FACTOR * best.seconds
        # With several folds, the best trial is trained once more, on the usual split.
        limit = left / (1 + RETRAIN_TIME_FACTOR / self.folds) if self.folds > 1 else left
        build = self.folds * build_seconds
        seconds = min(left - retrain, limit) - self._closing_seconds - build
        return max(seconds, MIN_TRIAL_SECONDS)

    def allows_trial(
        self, trial_seconds: float, complete: Sequence[TrialRecord], *, failed: bool
    ) -> bool:
        """Return whether there is time for a useful trial; the first trial always begins.

        Args:
            trial_seconds: the maximum time of the trial.
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
        """Return an estimate of the time for comparing and saving: that of reading the table."""
        return min(self.seconds_used, 0.3 * (self.seconds_left or 0.0))


@dataclass(frozen=True)
class TrialOutcome:
    """Outcome of one trial; `fitted` is its network if there is one split and no folds.

    `seconds` is the training time of the longest fold. `error` is the reason for a failure.
    """

    number: int
    state: TrialStatus
    value: float | None
    epochs: int
    seconds: float
    fitted: FittedNetwork | None = None
    error: Exception | None = None


class TrialRunner:
    """Runner of trials on prepared tables, one per fold."""

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
            first_step = fold * max_epochs(options, table)
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
        # Without the time limit, since there is no checkpoint to resume.
        return replace(fitted, options=options)

    def _reporter(self, first_step: int, values: Sequence[float]) -> EpochCallback:
        """Return a callback that reports a fold's epochs to the study, and stops a pruned fold.

        `values` are the objectives of the previous folds.
        """
        best = 0.0

        def report(epoch: Epoch) -> str | None:
            nonlocal best
            if epoch.best or epoch.number == 1:
                best = self._objective.of_epoch(epoch)
            pruned = self._study.report(first_step + epoch.number, _mean([*values, best]))
            return PRUNED if pruned else None

        return report


def max_epochs(options: TrainOptions, table: PreparedTable) -> int:
    """Return the number of epochs of a training without early stopping."""
    return options.training.epochs or default_epochs(
        table.train,
        classifies=options.classifies,
        optimizer=options.training.optimizer.name,
        images=classifies_images(options, table.layout),
    )


class _EpochProgress(Progress):
    """Progress of a trial's training, without the notes and stages before it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def debug(self, message: str) -> None:
        self._progress.debug(message)

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        self._progress.training(epochs, rows_per_epoch, unit)

    def rows(self, count: int) -> None:
        self._progress.rows(count)

    def epoch(self, epoch: Epoch) -> None:
        self._progress.epoch(epoch)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
