"""Run a search: prepare the table once, try options until the end, train and save the best."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from aecli.atomic_files import Lock
from aecli.errors import DivergedError, UsageError
from aecli.model_directory import save
from aecli.progress import Progress, Standing
from aecli.schema.option_docs import as_flags, explicit_options, train_command
from aecli.schema.options import TrainOptions
from aecli.table.source import Data
from aecli.training.build import build_training
from aecli.training.checkpoint import Checkpoint
from aecli.training.data import Fold, PreparedTable, open_rereadable, prepare, prepared_for_noise
from aecli.training.finalize import finalize
from aecli.training.fit import FittedNetwork, configure_process, fit
from aecli.training.interrupt import Interrupt
from aecli.training.schedule import default_batch_size
from aecli.tuning.objective import Aim, require_measurable
from aecli.tuning.search_space import Defaults, Space
from aecli.tuning.study import FEWEST, Study
from aecli.tuning.trial import Objective, Tried, TuneResult
from aecli.tuning.trial_runner import Ran, Trainer

OWN = ("device", "threads", "memory")
"""Options that processes which share a journal may have each in its own way."""

SPARE = 1.25
"""How much longer than before the best may take to train again."""

WARM_UP = 0.2
"""Share of a training before which it is not pruned."""

PATIENCE = 600.0
"""Seconds to wait while another process of the search saves its best into the same directory."""


@dataclass(frozen=True)
class Wanted:
    """Hold what a search was asked for; `began` and `until` are times of `time.perf_counter`."""

    data: Data
    options: TrainOptions
    directory: Path
    journal: Path
    objective: Objective
    folds: int
    trials: int | None
    began: float
    until: float | None

    @property
    def left(self) -> float | None:
        """Return the seconds left, or None without a budget."""
        return None if self.until is None else self.until - time.perf_counter()


@dataclass(frozen=True)
class Kept:
    """Hold the best network of this process, so that it need not be trained again."""

    number: int
    ran: Ran
    fitted: FittedNetwork


class Tuning:
    """Search, and save the best; a signal ends the search and leaves the best so far."""

    def __init__(self, wanted: Wanted, progress: Progress) -> None:
        self._wanted = wanted
        self._progress = progress
        self._kept: Kept | None = None
        self._error: Exception | None = None
        self._cut = False

    def run(self) -> TuneResult:
        """Return the result, once the model is saved."""
        wanted = self._wanted
        with Lock(wanted.directory, patience=2.0):
            pass  # to know before the work that it may be saved
        self._device = configure_process(wanted.options)
        self._prepare()
        try:
            with Interrupt() as interrupt:
                self._search(interrupt)
            with Interrupt() as late:  # a second signal ends the training of the best
                result = self._finish(late)
        finally:
            self._study.close()
        self._progress.finish()
        return replace(result, signal=interrupt.signal or late.signal)

    def _prepare(self) -> None:
        wanted, options = self._wanted, self._wanted.options
        self._source = open_rereadable(wanted.data, options)
        folds = [Fold(n, wanted.folds) for n in range(wanted.folds)] if wanted.folds > 1 else [None]
        self._sides = [prepare(self._source, options, self._progress, fold=f) for f in folds]
        for side in self._sides:
            require_measurable(wanted.objective, options, side)
        first = self._sides[0]
        began = time.perf_counter()
        made = build_training(first, options, self._progress)
        self._assembling = time.perf_counter() - began
        self._aim = Aim(wanted.objective, made.objective.weights)
        self._space = Space(
            options,
            made.network,
            options.training.batch_size or default_batch_size(len(first.train)),
            made.objective.weights,
            restoring=self._aim.direction == "minimize",
            cells=first.layout.cells * first.train.size,
        )
        self._study = Study(
            wanted.journal,
            self._space,
            direction=self._aim.direction,
            seed=options.training.seed,
            warm_up=round(WARM_UP * Trainer.most_epochs(options, first)),
            fingerprint=self._fingerprint(first),
        )

    def _fingerprint(self, first: PreparedTable) -> dict[str, Any]:
        wanted, defaults = self._wanted, Defaults()
        self._space.texts(defaults)
        shared = {n: v for n, v in explicit_options(wanted.options).items() if n not in OWN}
        found = {
            "objective": wanted.objective,
            "folds": wanted.folds,
            "options": shlex.join(as_flags(shared)),
            "table": _digest(first),
            "space": defaults.ranges,
        }
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain

    def _search(self, interrupt: Interrupt) -> None:
        trainer = Trainer(
            self._sides, self._aim, self._device, interrupt=interrupt, progress=self._progress
        )
        while interrupt.signal is None and not self._cut and self._is_time():
            asked = self._study.ask(self._wanted.trials)
            if asked is None:
                return
            self._tell_standing(asked.number)
            options = self._space.train_options(asked.texts)
            ran = trainer.run(asked, options, self._allowed())
            facts = {"epochs": ran.epochs, "seconds": round(ran.seconds, 3)}
            self._study.tell(asked, ran.state, ran.value, **facts)
            self._error, self._cut = ran.error or self._error, ran.state == "cut"
            self._keep(asked.number, ran)

    def _keep(self, number: int, ran: Ran) -> None:
        if ran.fitted is None or ran.value is None:
            return
        kept = self._kept
        sign = 1 if self._aim.direction == "minimize" else -1
        rank = (ran.state != "complete", sign * ran.value)
        if kept is None or rank < (kept.ran.state != "complete", sign * (kept.ran.value or 0.0)):
            self._kept = Kept(number, ran, ran.fitted)

    def _allowed(self) -> float | None:
        """Return the seconds that a trial may take, so that there is time to save the best."""
        left, folds = self._wanted.left, self._wanted.folds
        if left is None:
            return None
        best = self._study.best()
        held = self._kept is not None and best is not None and best.number == self._kept.number
        again = 0.0 if best is None or held else SPARE * best.seconds
        # What becomes the best of several folds is trained once more on the usual split.
        most = left / (1 + SPARE / folds) if folds > 1 else left
        before = folds * self._assembling
        return max(min(left - again, most) - self._closing - before, 0.05)

    def _is_time(self) -> bool:
        """Return whether a trial can still come to something; the first one always begins."""
        left, allowed = self._wanted.left, self._allowed()
        if left is None or allowed is None:
            return True
        complete = [trial.seconds for trial in self._study.tried() if trial.state == "complete"]
        if not complete:
            return left > 0 or self._error is None
        return left > 0 and allowed > self._wanted.folds * sum(complete) / len(complete) / 4

    @cached_property
    def _closing(self) -> float:
        """Return about how long comparing and saving take: as long as reading did."""
        return min(time.perf_counter() - self._wanted.began, 0.3 * (self._wanted.left or 0.0))

    def _tell_standing(self, number: int | None) -> None:
        best = self._study.best()
        self._progress.trial(
            Standing(
                trial=number,
                trials=self._wanted.trials,
                best=best.value if best else None,
                best_trial=best.number if best else None,
                seconds_left=self._wanted.left,
            )
        )

    def _finish(self, interrupt: Interrupt) -> TuneResult:
        self._tell_standing(None)
        directory = self._wanted.directory
        with Lock(directory, patience=PATIENCE):
            best, fitted = self._best(interrupt)
            trained = finalize(fitted, self._progress)
            found = self._found(best)
            tuning = {"schema": "aecli.tuning/1", **found, "trials": list(map(asdict, self._tried))}
            spec = save(directory, trained.spec, trained.weights, trained.records(), tuning)
            if spec.summary.finished:
                Checkpoint(directory, {}).remove()
        return TuneResult(
            model=directory,
            spec=spec,
            trials=self._tried,
            journal=self._wanted.journal,
            seconds=time.perf_counter() - self._wanted.began,
            **found,
        )

    def _best(self, interrupt: Interrupt) -> tuple[Tried, FittedNetwork]:
        """Return the best trial with its network, which is trained again where it is not held."""
        best, kept = self._study.best(), self._kept
        if kept is None or (best is not None and best.number != kept.number):
            if best is None:
                best = self._unmeasured()
            return best, self._again(best, interrupt)
        for note in kept.fitted.notes:
            self._progress.note(note)
        # Of a trial that was cut there is no checkpoint to go on from.
        ended = replace(kept.fitted.result, finished=True)
        best = replace(self._study.tried()[kept.number - 1], value=kept.ran.value)
        return best, replace(kept.fitted, result=ended)

    def _unmeasured(self) -> Tried:
        """Return a trial to train for what time is left, where none was long enough to measure.

        Raises:
            AecliError: none would come to anything.
        """
        for trial in self._tried:
            if trial.state == "cut":
                return replace(trial, value=self._aim.worst)
        if self._error:
            raise self._error
        if all(trial.state != "running" for trial in self._tried):
            raise DivergedError("no trial came to a finite objective", hint="--lr 1e-4")
        raise UsageError(
            f"other processes run all of the {self._wanted.trials} trials, and none has ended",
            hint="more --trials, or the same command later",
        )

    def _again(self, best: Tried, interrupt: Interrupt) -> FittedNetwork:
        """Train a trial's options in full, as `train` does."""
        options = self._space.train_options(best.options)
        if best.state == "cut":
            most = max(self._wanted.left or best.seconds, 1.0)
            training = options.training.model_copy(update={"time_limit": most})
            options = options.model_copy(update={"training": training})
        if self._wanted.folds == 1:
            prepared = prepared_for_noise(self._sides[0], options)
        else:
            prepared = prepare(self._source, options, self._progress)
        return fit(
            prepared,
            options,
            self._device,
            interrupt=interrupt,
            directory=self._wanted.directory,
            progress=self._progress,
        )

    @cached_property
    def _tried(self) -> list[Tried]:
        return self._study.tried()

    def _found(self, best: Tried) -> dict[str, Any]:
        """Return what the result and `tuning.json` both say."""
        wanted, importance = self._wanted, self._study.importance()
        first = [t.value for t in self._tried if t.state == "complete" and not t.options]
        options = self._space.train_options(best.options)
        return {
            "objective": wanted.objective,
            "direction": self._aim.direction,
            "folds": wanted.folds,
            "best": best.number,
            "value": best.value,
            "default": first[0] if first else None,
            "importance": importance,
            "command": train_command(wanted.data, options, wanted.directory),
            "notes": list(self._notes(best, importance)),
        }

    def _notes(self, best: Tried, importance: Mapping[str, float]) -> Iterator[str]:
        if best.state in ("cut", "stopped"):
            yield "no trial was trained in full: the command trains the best of them so"
        yield from self._aim.remarks(best.options, self._wanted.folds)
        if not importance:
            complete = sum(trial.state == "complete" for trial in self._tried)
            yield f"importance takes {FEWEST} complete trials; there are {complete}"


def _digest(prepared: PreparedTable) -> str:
    """Return a digest of what a table's columns hold and of how its rows are divided."""
    columns = [column.model_dump(mode="json") for column in prepared.plan.columns]
    counts = prepared.plan.label.counts if prepared.plan.label else []
    sizes = [len(prepared.train), len(prepared.valid)]
    return hashlib.sha256(json.dumps([columns, counts, sizes]).encode()).hexdigest()[:12]
