"""Time limits of a search: what is left of its budget, and how much of it a trial may take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from aecli.tuning.trial import TrialRecord

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
