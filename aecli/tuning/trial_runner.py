"""Train what a search tries, fold by fold, and measure it."""

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
from aecli.training.schedule import default_epochs
from aecli.tuning.objective import Aim
from aecli.tuning.study import Asked
from aecli.tuning.trial import State

PRUNED = "pruned"


@dataclass(frozen=True)
class Ran:
    """Hold how a trial went; `fitted` is the network where a single split was trained on.

    `seconds` are those of the longest fold's training. `error` is why it failed.
    """

    state: State
    value: float | None
    epochs: int
    seconds: float
    fitted: FittedNetwork | None = None
    error: Exception | None = None


class Trainer:
    """Train the options of trials on tables that are prepared once, one per fold."""

    def __init__(
        self,
        sides: Sequence[PreparedTable],
        aim: Aim,
        device: torch.device,
        *,
        interrupt: Interrupt,
        progress: Progress,
    ) -> None:
        self._sides = sides
        self._aim = aim
        self._device = device
        self._interrupt = interrupt
        self._heard = _Epochs(progress)

    def run(self, asked: Asked, options: TrainOptions, seconds: float | None) -> Ran:
        """Train on every fold, for `seconds` at most; the value is the mean of the folds'."""
        until = None if seconds is None else time.perf_counter() + seconds
        values: list[float] = []
        longest, epochs = 0.0, 0
        for fold, side in enumerate(self._sides):
            watch = _Watch(asked, self._aim, fold * self.most_epochs(options, side), values)
            try:
                fitted = self._fit(side, options, until, watch)
            except (DivergedError, OutputError, MemoryError, torch.OutOfMemoryError) as error:
                return Ran("failed", None, epochs, longest, error=error)
            longest, epochs = (
                max(longest, fitted.result.seconds),
                epochs + len(fitted.result.history),
            )
            kept = fitted if len(self._sides) == 1 else None
            if watch.pruned:
                return Ran("pruned", None, epochs, longest)
            values.append(self._aim.measure(fitted))
            if not fitted.result.finished:
                state: State = "cut" if self._interrupt.signal is None else "stopped"
                return Ran(state, _mean(values), epochs, longest, kept)
        if not math.isfinite(_mean(values)):
            return Ran("failed", None, epochs, longest)
        return Ran("complete", _mean(values), epochs, longest, kept)

    def _fit(
        self, side: PreparedTable, options: TrainOptions, until: float | None, watch: _Watch
    ) -> FittedNetwork:
        left = None if until is None else max(until - time.perf_counter(), 1e-3)
        training = options.training.model_copy(update={"time_limit": left})
        found = fit(
            prepared_for_noise(side, options),
            options.model_copy(update={"training": training}),
            self._device,
            interrupt=self._interrupt,
            on_epoch=watch,
            progress=self._heard,
        )
        # Nothing can go on from here: there is no checkpoint.
        return replace(found, options=options)

    @staticmethod
    def most_epochs(options: TrainOptions, side: PreparedTable) -> int:
        """Return how many epochs a training has unless something stops it."""
        return options.training.epochs or default_epochs(side.train, classifies=options.classifies)


class _Watch:
    """Report a fold's epochs to the study, and stop it where that gives the trial up."""

    def __init__(self, asked: Asked, aim: Aim, first: int, values: Sequence[float]) -> None:
        self._asked = asked
        self._aim = aim
        self._first = first
        self._values = list(values)
        self._now = 0.0
        self.pruned = False

    def __call__(self, epoch: Epoch) -> str | None:
        if epoch.best or epoch.number == 1:
            self._now = self._aim.at(epoch)
        so_far = _mean([*self._values, self._now])
        self.pruned = self._asked.report(self._first + epoch.number, so_far)
        return PRUNED if self.pruned else None


class _Epochs(Progress):
    """Pass on how a trial's training goes, and not the notes and stages before it."""

    def __init__(self, heard: Progress) -> None:
        self._heard = heard

    def training(self, network: str, epochs: int, rows_per_epoch: int) -> None:
        self._heard.training(network, epochs, rows_per_epoch)

    def rows(self, count: int) -> None:
        self._heard.rows(count)

    def epoch(self, epoch: Epoch) -> None:
        self._heard.epoch(epoch)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
