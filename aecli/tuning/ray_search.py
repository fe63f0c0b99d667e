"""Search whose trials run in processes of a Ray cluster."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from functools import partial

from aecli.device import usable_cores
from aecli.engine import run_on_ray
from aecli.errors import AecliError, UsageError
from aecli.progress import SILENT
from aecli.table.paths import STDIN
from aecli.training.interrupt import Interrupt
from aecli.tuning.search import SearchRun


class RaySearchRun(SearchRun):
    """Search with one task per `--threads` processors of a Ray cluster.

    Each task is a search of its own that shares the journal, reads the table once, and runs trials
    until none is left. The best one is trained again by this process, which saves it.
    """

    def _run_trials(self, interrupt: Interrupt) -> None:
        for path in self._source.paths:
            if str(path) == STDIN or path.is_fifo():
                raise UsageError(
                    f"--engine ray: each process reads the table, and {path} can be read once",
                    hint="aecli tune FILE --engine ray",
                )
        training = self.options.training
        threads = training.threads or 1
        training = training.model_copy(update={"threads": threads})
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {
            "options": self.options.model_copy(update={"training": training}),
            "journal": self.journal.absolute(),
            "progress": SILENT,
        }
        left = self.budget.seconds_left
        until = None if left is None else time.time() + left
        outcomes = run_on_ray(
            partial(_run_share, SearchRun(**values), until), self._process_names,
            cores=usable_cores(), cpus=threads, gpus=int(self._device.type == "cuda"),
            may_continue=self._reporter(interrupt),
        )  # fmt: skip
        with closing(outcomes):
            for name, outcome in outcomes:
                if isinstance(outcome, AecliError):
                    self.progress.note(f"{name}: {outcome}")
                self._error = outcome or self._error
        self._study.fail_killed()
        if interrupt.signal is not None and self._study.best() is None:
            signal.raise_signal(interrupt.signal)  # there is nothing to save

    def _process_names(self, at_once: int) -> list[str]:
        """Return a name for each task, at most as many as there are trials to run."""
        ended = sum(trial.state != "stopped" for trial in self._study.trials())
        left = at_once if self.max_trials is None else self.max_trials - ended
        return [f"process {number + 1} of the search" for number in range(min(at_once, left))]

    def _reporter(self, interrupt: Interrupt) -> Callable[[], bool]:
        """Return a function that reports new trials, and returns whether no signal came."""
        begun = 0

        def report() -> bool:
            nonlocal begun
            trials = len(self._study.trials())
            if trials > begun:
                begun = trials
                self._report_standing(begun)
            return interrupt.signal is None

        return report


def _run_share(search: SearchRun, until: float | None, name: str) -> AecliError | None:
    """Run trials in a process of the cluster; `until` is in seconds since 1970."""
    now = time.perf_counter()
    end = None if until is None else now + until - time.time()
    return replace(search, budget=replace(search.budget, began=now, until=end)).run_share()
