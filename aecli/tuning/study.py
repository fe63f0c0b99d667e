"""Study of the trials of a search, in a journal file that several processes may share."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aecli.atomic_files import NO_LOCKS, output_error
from aecli.errors import UsageError
from aecli.tuning.search_space import Chooser, SearchSpace, T
from aecli.tuning.trial import Direction, TrialRecord, TrialStatus

try:
    import optuna
    from optuna.importance import get_param_importances
    from optuna.pruners import MedianPruner
    from optuna.samplers import TPESampler
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
    from optuna.trial import FrozenTrial, TrialState
except ModuleNotFoundError as error:
    raise UsageError(
        "tune needs optuna, which is not installed", hint="pip install 'aecli[tune]'"
    ) from error


_STUDY_BYTE, _APPEND_BYTE, _FIRST_TRIAL_BYTE = range(3)

STUDY_NAME = "aecli tune"

MIN_TRIALS_FOR_IMPORTANCE = 8
"""Complete trials below which no importance is computed."""

TRIALS_BEFORE_PRUNING = 4
"""Complete trials before any is pruned."""

optuna.logging.disable_default_handler()


class JournalLocks(JournalFileOpenLock):
    """Locks on single bytes of `JOURNAL.lock`: the study, appending, and one per running trial.

    The operating system releases them when the process ends. On a file system without locks, every
    trial counts as running in another process. optuna calls `acquire` and `release` for appending.

    Raises:
        OutputError: the lock file cannot be created.
    """

    def __init__(self, journal: Path) -> None:
        path = journal.with_name(f"{journal.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise output_error(path, error) from error

    def close(self) -> None:
        """Release every lock of this process."""
        os.close(self._descriptor)

    @contextmanager
    def study(self) -> Iterator[None]:
        """Lock the study: one process at a time opens it or begins a trial."""
        self._wait(_STUDY_BYTE)
        try:
            yield
        finally:
            self._release(_STUDY_BYTE)

    def acquire(self) -> bool:
        """Wait until no other process writes to the journal."""
        self._wait(_APPEND_BYTE)
        return True

    def release(self) -> None:
        """Let other processes write to the journal."""
        self._release(_APPEND_BYTE)

    def acquire_trial(self, index: int) -> bool:
        """Lock a trial without waiting; False if its process may be running."""
        try:
            byte = _FIRST_TRIAL_BYTE + index
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def release_trial(self, index: int) -> None:
        """Release a trial that ended."""
        self._release(_FIRST_TRIAL_BYTE + index)

    def _wait(self, byte: int) -> None:
        self._lock(fcntl.LOCK_EX, byte)

    def _release(self, byte: int) -> None:
        self._lock(fcntl.LOCK_UN, byte)

    def _lock(self, operation: int, byte: int) -> None:
        try:
            fcntl.lockf(self._descriptor, operation, 1, byte)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise


class Study:
    """Study of a search's trials in its journal.

    A trial's options depend only on the seed, its number and the previous trials, so that a stopped
    search continues as an uninterrupted one. A process runs one trial at a time.

    Args:
        journal: the file; created if it does not exist.
        direction: the direction of the objective.
        seed: the seed of the sampler.
        warm_up: steps of a trial before it may be pruned.
        fingerprint: the common properties of all trials of a journal, by name.

    Raises:
        UsageError: the file is the journal of a different search, or not a journal.
        OutputError: it cannot be written.
    """

    def __init__(
        self,
        journal: Path,
        space: SearchSpace,
        *,
        direction: Direction,
        seed: int,
        warm_up: int,
        fingerprint: Mapping[str, Any],
    ) -> None:
        self._journal = journal
        self._space = space
        self._seed = seed
        self._sign = 1 if direction == "minimize" else -1
        self._locks = JournalLocks(journal)
        self._running: optuna.Trial | None = None
        with self._locks.study():
            self._study = _open_study(journal, self._locks, direction, warm_up)
            self._require_same(fingerprint)
            self._fail_orphans()
            self._enqueue_defaults()

    def close(self) -> None:
        """Release the journal and the running trials of this process."""
        self._locks.close()

    def fail_killed(self) -> None:
        """Mark the trials as failed whose process was killed."""
        with self._locks.study():
            self._fail_orphans()

    def begin(self, max_trials: int | None) -> TrialRecord | None:
        """Begin the next trial; None if `max_trials` have ended or are running."""
        with self._locks.study():
            earlier = self._optuna_trials()
            counted = sum(_counts(trial) for trial in earlier)
            if max_trials is not None and counted >= max_trials:
                return None
            self._study.sampler = TPESampler(seed=_trial_seed(self._seed, len(earlier)))
            self._running = trial = self._study.ask()
            self._locks.acquire_trial(trial.number)
        options = self._space.option_texts(_TrialChooser(trial))
        trial.set_user_attr("options", options)
        return TrialRecord(trial.number + 1, "running", None, options, 0, 0.0, [])

    def report(self, step: int, value: float) -> bool:
        """Record the running trial's objective; return whether the trial should be pruned."""
        assert self._running is not None, "begin was called"
        self._running.report(value, step)
        return self._running.should_prune()

    def end(self, state: TrialStatus, value: float | None, *, epochs: int, seconds: float) -> None:
        """Record the end of the running trial."""
        assert self._running is not None, "begin was called"
        trial = self._running
        trial.set_user_attr("facts", {"epochs": epochs, "seconds": seconds, "state": state})
        if state == "complete":
            self._study.tell(trial, value)
        else:
            if state == "cut" and value is not None and math.isfinite(value):
                trial.set_user_attr("value", value)
            pruned = state in ("pruned", "cut")
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        self._locks.release_trial(trial.number)

    def trials(self) -> list[TrialRecord]:
        """Return every trial that has begun, in order."""
        begun = [trial for trial in self._optuna_trials() if trial.state != TrialState.WAITING]
        return [_record(trial) for trial in begun]

    def best(self) -> TrialRecord | None:
        """Return the best complete trial, else the best one cut by the budget."""
        measured = [trial for trial in self.trials() if trial.value is not None]
        complete = [trial for trial in measured if trial.state == "complete"]
        candidates = complete or [trial for trial in measured if trial.state == "cut"]
        return min(candidates, key=lambda t: self._sign * (t.value or 0.0), default=None)

    def importance(self) -> dict[str, float]:
        """Return each parameter's share of the objective's variance; empty with few trials.

        By PED-ANOVA (Watanabe et al. 2023), from the distributions of good and of all trials.
        """
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < MIN_TRIALS_FOR_IMPORTANCE:
            return {}
        always_chosen = Chooser()  # unlike the noise amount, which some trials do not have
        self._space.option_texts(always_chosen)
        shares = get_param_importances(self._study, params=list(always_chosen.values))
        return {name: float(share) for name, share in shares.items()}

    def _optuna_trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _require_same(self, fingerprint: Mapping[str, Any]) -> None:
        stored = self._study.user_attrs.get("search")
        if stored is None:
            self._study.set_user_attr("search", dict(fingerprint))
            return
        differing = [
            f"{name}: was {_clip(stored.get(name))}, is {_clip(value)}"
            for name, value in fingerprint.items()
            if stored.get(name) != value
        ]
        if differing:
            raise UsageError(
                f"the journal {self._journal} belongs to a different search",
                facts=differing[:3],
                hint=f"--journal with another name, or remove {self._journal}",
            )

    def _fail_orphans(self) -> None:
        """Mark the trials whose process was killed as failed."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if self._locks.acquire_trial(trial.number):
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._locks.release_trial(trial.number)

    def _enqueue_defaults(self) -> None:
        for trial in self._optuna_trials():
            waits = trial.state == TrialState.WAITING
            if trial.user_attrs.get("defaults") and (waits or _counts(trial)):
                return
        defaults = Chooser()
        self._space.option_texts(defaults)
        self._study.enqueue_trial(defaults.values, user_attrs={"defaults": True})


class _TrialChooser(Chooser):
    """Chooser of the values that a trial's sampler suggests."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self._trial = trial

    def category(self, name: str, default: T, values: Sequence[T]) -> T:
        return values[values.index(self._trial.suggest_categorical(name, list(values)))]

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return self._trial.suggest_float(name, low, high, log=True)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        return self._trial.suggest_int(name, low, high)


def _open_study(
    journal: Path, locks: JournalLocks, direction: Direction, warm_up: int
) -> optuna.Study:
    try:
        _repair(journal)
        storage = JournalStorage(JournalFileBackend(str(journal), locks))
        return optuna.create_study(
            study_name=STUDY_NAME,
            storage=storage,
            load_if_exists=True,
            direction=direction,
            pruner=MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING, n_warmup_steps=warm_up),
        )
    except OSError as error:
        raise output_error(journal, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _not_a_journal(journal) from error


def _repair(journal: Path) -> None:
    """Remove an incomplete last line of a killed process, to which others would append.

    Raises:
        UsageError: the file is not a journal.
    """
    if not journal.exists():
        return
    with open(journal, "r+b") as file:
        content = file.read()
        if content and not content.startswith(b'{"op_code"'):
            raise _not_a_journal(journal)
        if not content.endswith(b"\n"):
            os.ftruncate(file.fileno(), content.rfind(b"\n") + 1)


def _not_a_journal(journal: Path) -> UsageError:
    return UsageError(
        f"{journal} is not the journal of a search", hint="--journal with another name"
    )


def _trial_seed(seed: int, number: int) -> int:
    """Return a different seed for each trial, for numpy's legacy generator."""
    return (seed * 1_000_003 + number) % 2**32


def _state(trial: FrozenTrial) -> TrialStatus:
    recorded: TrialStatus | None = trial.user_attrs.get("facts", {}).get("state")
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return "running"
    return recorded or "stopped"


def _counts(trial: FrozenTrial) -> bool:
    """Return whether a trial counts toward `max_trials`: it is running or was not stopped."""
    return trial.state != TrialState.WAITING and _state(trial) != "stopped"


def _record(trial: FrozenTrial) -> TrialRecord:
    facts = trial.user_attrs.get("facts", {})
    curve = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    value = trial.value if trial.state == TrialState.COMPLETE else trial.user_attrs.get("value")
    return TrialRecord(
        number=trial.number + 1,
        state=_state(trial),
        value=value,
        options=trial.user_attrs.get("options", {}),
        epochs=int(facts.get("epochs", len(curve))),
        seconds=float(facts.get("seconds", 0.0)),
        curve=curve,
    )


def _clip(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
