"""Search: prepare the table once, run the trials, train and save the best model."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from aecli.directory_lock import Lock
from aecli.errors import AecliError, DivergedError, UsageError
from aecli.model_directory.generations import rollback_command
from aecli.model_directory.save import save
from aecli.model_directory.staging import StagedDirectory
from aecli.progress import Progress, SearchState
from aecli.remote_files.path import RemotePath
from aecli.schema.model_spec import ModelSpec
from aecli.schema.option_docs import as_flags, explicit_options, train_command
from aecli.schema.options import TrainOptions
from aecli.table.source import Data
from aecli.training.build import build_training
from aecli.training.checkpoint import Checkpoint
from aecli.training.data import PreparedTable, prepare, prepared_for_noise
from aecli.training.finalize import finalize
from aecli.training.fit import FittedNetwork, configure_process, fit
from aecli.training.interrupt import Interrupt
from aecli.training.rereadable import open_rereadable
from aecli.training.schedule import default_batch_size
from aecli.tuning.objective import SearchObjective, require_measurable
from aecli.tuning.search_space import Chooser, SearchSpace
from aecli.tuning.study import MIN_TRIALS_FOR_IMPORTANCE, Study
from aecli.tuning.trial import ObjectiveName, TrialRecord, TuneResult
from aecli.tuning.trial_runner import TimeBudget, TrialOutcome, TrialRunner, max_epochs

PROCESS_OPTIONS = ("device", "threads", "memory", "cuda_graph")
"""Options that may differ between processes that share a journal."""

PRUNING_WARM_UP = 0.2
"""Share of a trial's epochs before which it is not pruned."""

SAVE_LOCK_PATIENCE = 600.0
"""Seconds to wait while another process of the search saves its best into the same directory."""


@dataclass
class SearchRun:
    """Run of a search that saves the best model; a signal ends it, and saves the best so far.

    Its arguments have been checked.
    """

    data: Data
    options: TrainOptions
    directory: Path
    journal: Path
    objective_name: ObjectiveName
    folds: int
    max_trials: int | None
    budget: TimeBudget
    keep_generations: int
    progress: Progress

    def __post_init__(self) -> None:
        # The best trial of this process, whose network does not have to be trained again.
        self._best_outcome: TrialOutcome | None = None
        self._error: Exception | None = None
        self._cut = False
        self._keeps_best = True

    def run(self) -> TuneResult:
        """Return the result, once the model is saved."""
        if not isinstance(self.directory, RemotePath):
            with Lock(self.directory, patience=2.0):
                pass  # fail before the search if the model cannot be saved
        self._device = configure_process(self.options)
        self._prepare()
        try:
            with Interrupt() as interrupt:
                self._run_trials(interrupt)
            with Interrupt() as late:  # a second signal ends the training of the best trial
                result = self._finish(late)
        finally:
            self._study.close()
        self.progress.finish()
        return replace(result, signal=interrupt.signal or late.signal)

    def run_share(self) -> AecliError | None:
        """Run trials until none is left, and save no model; return the error of one, if any."""
        self._keeps_best = False
        self._device = configure_process(self.options)
        self._prepare()
        try:
            with Interrupt() as interrupt:
                self._run_trials(interrupt)
        finally:
            self._study.close()
        return self._error if isinstance(self._error, AecliError) else None

    def _prepare(self) -> None:
        options = self.options
        self._source = open_rereadable(self.data, options)
        cross_validated = self.folds > 1
        folds = [(n, self.folds) for n in range(self.folds)] if cross_validated else [None]
        self._tables = [prepare(self._source, options, self.progress, fold=f) for f in folds]
        for table in self._tables:
            require_measurable(self.objective_name, options, table)
        first = self._tables[0]
        began = time.perf_counter()
        setup = build_training(first, options, self.progress)
        self._build_seconds = time.perf_counter() - began
        self._objective = SearchObjective(self.objective_name, setup.objective.weights)
        self._space = SearchSpace(
            options,
            setup.network,
            options.training.batch_size
            or default_batch_size(
                len(first.train), options.training.optimizer.name, images=setup.images
            ),
            setup.objective.weights,
            minimizes_loss=self._objective.direction == "minimize",
            cells=first.layout.cells * first.train.size,
        )
        self._study = Study(
            self.journal,
            self._space,
            direction=self._objective.direction,
            seed=options.training.seed,
            warm_up=round(PRUNING_WARM_UP * max_epochs(options, first)),
            fingerprint=self._fingerprint(first),
        )

    def _fingerprint(self, first: PreparedTable) -> dict[str, Any]:
        """Return the common properties of all trials of a journal, as JSON values."""
        defaults = Chooser()
        self._space.option_texts(defaults)
        given = explicit_options(self.options)
        shared = {name: value for name, value in given.items() if name not in PROCESS_OPTIONS}
        fingerprint = {
            "objective": self.objective_name,
            "folds": self.folds,
            "options": shlex.join(as_flags(shared)),
            "table": _digest(first),
            "space": defaults.ranges,
        }
        normalized: dict[str, Any] = json.loads(json.dumps(fingerprint))
        return normalized

    def _run_trials(self, interrupt: Interrupt) -> None:
        runner = TrialRunner(
            self._tables, self._objective, self._study, self._device,
            interrupt=interrupt, progress=self.progress,
        )  # fmt: skip
        while interrupt.signal is None and not self._cut and self._has_time():
            trial = self._study.begin(self.max_trials)
            if trial is None:
                return
            self._report_standing(trial.number)
            options = self._space.train_options(trial.options)
            outcome = runner.run(trial.number, options, self._trial_seconds())
            self._study.end(
                outcome.state, outcome.value,
                epochs=outcome.epochs, seconds=round(outcome.seconds, 3),
            )  # fmt: skip
            self._error = outcome.error or self._error
            self._cut = outcome.state == "cut"
            self._keep_best(outcome)

    def _keep_best(self, outcome: TrialOutcome) -> None:
        if not self._keeps_best or outcome.fitted is None or outcome.value is None:
            return
        if self._best_outcome is None or self._rank(outcome) < self._rank(self._best_outcome):
            self._best_outcome = outcome

    def _rank(self, outcome: TrialOutcome) -> tuple[bool, float]:
        sign = 1 if self._objective.direction == "minimize" else -1
        return outcome.state != "complete", sign * (outcome.value or 0.0)

    def _trial_seconds(self) -> float | None:
        if self.budget.until is None:
            return None
        best, network = self._study.best(), self._best_outcome
        in_memory = best is not None and network is not None and best.number == network.number
        build = self._build_seconds
        return self.budget.trial_seconds(best, best_in_memory=in_memory, build_seconds=build)

    def _has_time(self) -> bool:
        seconds = self._trial_seconds()
        if seconds is None:
            return True
        complete = [trial for trial in self._study.trials() if trial.state == "complete"]
        failed = self._error is not None
        return self.budget.allows_trial(seconds, complete, failed=failed)

    def _report_standing(self, number: int | None) -> None:
        best = self._study.best()
        self.progress.trial(
            SearchState(
                trial=number,
                trials=self.max_trials,
                best=best.value if best else None,
                best_trial=best.number if best else None,
                seconds_left=self.budget.seconds_left,
            )
        )

    def _finish(self, interrupt: Interrupt) -> TuneResult:
        """Train the best model if it is not in memory, save it, and return the result."""
        self._report_standing(None)
        with (
            StagedDirectory(self.directory) as staged,
            Lock(staged.local, patience=SAVE_LOCK_PATIENCE),
        ):
            best, fitted = self._best(interrupt, staged.local)
            trained = finalize(
                fitted,
                interrupt=interrupt,
                seconds=self.budget.seconds_left,
                progress=self.progress,
            )
            result = self._result(best, trained.spec)
            history = trained.records()
            spec, replaced = save(
                staged.local, trained.spec, trained.weights, history, result.record(),
                keep_generations=self.keep_generations,
            )  # fmt: skip
            if spec.summary.finished:
                Checkpoint(staged.local, {}).remove()
        seconds, kept = self.budget.seconds_used, self.keep_generations
        undo = rollback_command(self.directory, replaced.id) if replaced and kept else None
        return replace(result, spec=spec, seconds=seconds, replaced=replaced, undo=undo)

    def _best(self, interrupt: Interrupt, local: Path) -> tuple[TrialRecord, FittedNetwork]:
        """Return the best trial with its network, which is trained again if not in memory."""
        best, in_memory = self._study.best(), self._best_outcome
        if in_memory is None or (best is not None and best.number != in_memory.number):
            if best is None:
                best = self._unmeasured_trial()
            return best, self._train_again(best, interrupt, local)
        fitted = in_memory.fitted
        assert fitted is not None, "the best outcome has a network"
        for note in fitted.notes:
            self.progress.note(note)
        # A trial cut by the budget has no checkpoint to resume.
        finished = replace(fitted.result, finished=True)
        record = self._study.trials()[in_memory.number - 1]
        best = replace(record, value=in_memory.value)
        return best, replace(fitted, result=finished)

    def _unmeasured_trial(self) -> TrialRecord:
        """Return a trial to train in the remaining time, if no trial was long enough to measure.

        Raises:
            AecliError: every trial failed or is running in another process.
        """
        for trial in self._trials:
            if trial.state == "cut":
                return replace(trial, value=self._objective.worst)
        if self._error:
            raise self._error
        if all(trial.state != "running" for trial in self._trials):
            raise DivergedError("no trial had a finite objective", hint="--lr 1e-4")
        raise UsageError(
            f"other processes run all {self.max_trials} trials, and none has ended",
            hint="more --trials, or the same command later",
        )

    def _train_again(self, best: TrialRecord, interrupt: Interrupt, local: Path) -> FittedNetwork:
        """Train with a trial's options without pruning, as `train` does."""
        options = self._space.train_options(best.options)
        if best.state == "cut":
            seconds = max(self.budget.seconds_left or best.seconds, 1.0)
            training = options.training.model_copy(update={"time_limit": seconds})
            options = options.model_copy(update={"training": training})
        if self.folds == 1:
            prepared = prepared_for_noise(self._tables[0], options)
        else:
            self._tables.clear()  # each fold holds a share of the memory
            prepared = prepare(self._source, options, self.progress)
        return fit(
            prepared,
            options,
            self._device,
            interrupt=interrupt,
            directory=local,
            progress=self.progress,
        )

    @cached_property
    def _trials(self) -> list[TrialRecord]:
        return self._study.trials()

    def _result(self, best: TrialRecord, spec: ModelSpec) -> TuneResult:
        """Return the result before saving, without the final time and the weights file."""
        importance = self._study.importance()
        assert best.value is not None, "the best trial has a value"
        defaults = [t.value for t in self._trials if t.state == "complete" and not t.options]
        options = self._space.train_options(best.options)
        return TuneResult(
            model=self.directory,
            spec=spec,
            objective=self.objective_name,
            direction=self._objective.direction,
            folds=self.folds,
            best=best.number,
            value=best.value,
            default=defaults[0] if defaults else None,
            trials=self._trials,
            importance=importance,
            command=train_command(self.data, options, self.directory),
            journal=self.journal,
            seconds=self.budget.seconds_used,
            notes=list(self._notes(best, importance)),
        )

    def _notes(self, best: TrialRecord, importance: Mapping[str, float]) -> Iterator[str]:
        if best.state in ("cut", "stopped"):
            yield "no trial was trained completely; the command trains the best one so"
        yield from self._objective.notes(best.options, self.folds)
        if not importance:
            complete = sum(trial.state == "complete" for trial in self._trials)
            required = MIN_TRIALS_FOR_IMPORTANCE
            yield f"importance needs {required} complete trials; there are {complete}"


def _digest(prepared: PreparedTable) -> str:
    """Return a digest of a table's columns and of how its rows are split."""
    columns = [column.model_dump(mode="json") for column in prepared.plan.columns]
    counts = prepared.plan.label.counts if prepared.plan.label else []
    sizes = [len(prepared.train), len(prepared.valid)]
    return hashlib.sha256(json.dumps([columns, counts, sizes]).encode()).hexdigest()[:12]
