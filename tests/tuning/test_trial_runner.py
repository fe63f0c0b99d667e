from __future__ import annotations

import time

import pytest

from aecli.tuning.trial import TrialRecord
from aecli.tuning.trial_runner import TimeBudget


def budget(seconds: float | None, *, folds: int = 1) -> TimeBudget:
    now = time.perf_counter()
    return TimeBudget(now, None if seconds is None else now + seconds, folds)


def record(seconds: float) -> TrialRecord:
    return TrialRecord(1, "complete", 0.5, {}, 10, seconds, [])


def test_without_a_budget_nothing_is_limited():
    assert budget(None).seconds_left is None
    assert budget(None).trial_seconds(record(9), best_in_memory=False, build_seconds=1) is None
    assert budget(None).allows_trial(1.0, [], failed=True)


def test_time_to_train_the_best_again_is_set_aside():
    in_memory = budget(100).trial_seconds(record(8), best_in_memory=True, build_seconds=1)
    not_in_memory = budget(100).trial_seconds(record(8), best_in_memory=False, build_seconds=1)
    assert in_memory == pytest.approx(99, abs=0.1)
    assert not_in_memory == pytest.approx(89, abs=0.1)
    folds = budget(100, folds=5).trial_seconds(None, best_in_memory=False, build_seconds=1)
    assert folds == pytest.approx(75, abs=0.1)


def test_a_trial_begins_where_it_has_a_quarter_of_the_usual_time():
    assert budget(100).allows_trial(2.1, [record(8), record(8)], failed=False)
    assert not budget(100).allows_trial(1.9, [record(8), record(8)], failed=False)


def test_the_first_trial_begins_without_time_unless_one_failed():
    assert budget(-1).allows_trial(0.05, [], failed=False)
    assert not budget(-1).allows_trial(0.05, [], failed=True)
