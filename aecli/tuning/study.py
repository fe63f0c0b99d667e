"""Keep a study of trials in a journal file, which several processes may share."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from aecli.atomic_files import output_error
from aecli.errors import UsageError
from aecli.tuning.journal_locks import Claims
from aecli.tuning.search_space import Defaults, Space, T, Texts
from aecli.tuning.trial import State, Tried

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


NAME = "aecli tune"

FEWEST = 8
"""Complete trials below which nothing is said of what matters."""

STARTUP = 4
"""Complete trials before any is pruned."""

optuna.logging.disable_default_handler()


class _KernelLock(JournalFileOpenLock):
    """Lock the journal in a way that a killed process does not leave behind."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def acquire(self) -> bool:
        self._claims.begin_append()
        return True

    def release(self) -> None:
        self._claims.end_append()


class Asked:
    """Hold a trial that runs: what it tries, and how it goes."""

    def __init__(self, trial: optuna.Trial, texts: Texts) -> None:
        self.number = trial.number + 1
        self.texts = texts
        self.trial = trial

    def report(self, step: int, value: float) -> bool:
        """Record the objective so far; return whether others did better by this step."""
        self.trial.report(value, step)
        return self.trial.should_prune()


class Study:
    """Ask what to try next, and remember how it went.

    A trial's values depend on the seed, its number and the trials before it alone, so that a search
    that was stopped goes on as it would have.

    Args:
        journal: the file; made where it does not exist.
        direction: of the objective.
        seed: of the sampler.
        warm_up: steps of a trial before it may be pruned.
        fingerprint: what all trials of a journal share; by name.

    Raises:
        UsageError: the journal belongs to another search, or is none.
        OutputError: it cannot be written.
    """

    def __init__(
        self,
        journal: Path,
        space: Space,
        *,
        direction: Literal["minimize", "maximize"],
        seed: int,
        warm_up: int,
        fingerprint: Mapping[str, Any],
    ) -> None:
        self._journal = journal
        self._space = space
        self._seed = seed
        self._sign = 1 if direction == "minimize" else -1
        self._claims = Claims(journal)
        with self._claims.turn():
            self._study = _opened(journal, self._claims, direction, warm_up)
            self._require_same(fingerprint)
            self._give_up_orphans()
            self._begin_with_defaults()

    def close(self) -> None:
        """Let other processes have what this one held."""
        self._claims.close()

    def ask(self, most: int | None) -> Asked | None:
        """Begin the next trial; None where `most` are done or running."""
        with self._claims.turn():
            known = self._trials()
            taken = sum(_counts(trial) for trial in known)
            if most is not None and taken >= most:
                return None
            self._study.sampler = TPESampler(seed=_mixed(self._seed, len(known)))
            trial = self._study.ask()
            self._claims.claim(trial.number)
        texts = self._space.texts(_Suggested(trial))
        trial.set_user_attr("options", texts)
        return Asked(trial, texts)

    def tell(self, asked: Asked, state: State, value: float | None, **facts: float) -> None:
        """Record how a trial ended; `facts` are its `epochs` and `seconds`."""
        trial = asked.trial
        trial.set_user_attr("facts", {**facts, "state": state})
        if state == "complete":
            self._study.tell(trial, value)
        else:
            if state == "cut" and value is not None and math.isfinite(value):
                trial.set_user_attr("value", value)
            pruned = state in ("pruned", "cut")
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        self._claims.give_up(trial.number)

    def tried(self) -> list[Tried]:
        """Return every trial that ran or runs, in order."""
        return [_tried(trial) for trial in self._trials() if trial.state != TrialState.WAITING]

    def best(self) -> Tried | None:
        """Return the best complete trial, else the best that was cut; the first of equal ones."""
        found = [trial for trial in self.tried() if trial.value is not None]
        complete = [trial for trial in found if trial.state == "complete"]
        ranked = complete or [trial for trial in found if trial.state == "cut"]
        return min(ranked, key=self.rank, default=None)

    def rank(self, trial: Tried) -> float:
        """Return what sorts trials with a value, best first."""
        return self._sign * (trial.value or 0.0)

    def importance(self) -> dict[str, float]:
        """Return each parameter's share in what makes a trial good; nothing with few trials.

        By PED-ANOVA (Watanabe et al. 2023), which compares where good trials lie with all.
        """
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < FEWEST:
            return {}
        always = Defaults()  # amounts of noise are chosen in some trials alone
        self._space.texts(always)
        found = get_param_importances(self._study, params=list(always.values))
        return {name: float(share) for name, share in found.items()}

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _require_same(self, fingerprint: Mapping[str, Any]) -> None:
        known = self._study.user_attrs.get("search")
        if known is None:
            self._study.set_user_attr("search", dict(fingerprint))
            return
        differing = [
            f"{name}: was {_clip(known.get(name))}, is {_clip(value)}"
            for name, value in fingerprint.items()
            if known.get(name) != value
        ]
        if differing:
            raise UsageError(
                f"the journal {self._journal} is that of another search",
                facts=differing[:3],
                hint=f"--journal with another name, or remove {self._journal}",
            )

    def _give_up_orphans(self) -> None:
        """Mark the trials whose process was killed as failed."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if self._claims.claim(trial.number):
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._claims.give_up(trial.number)

    def _begin_with_defaults(self) -> None:
        if any(trial.user_attrs.get("defaults") and _counts(trial) for trial in self._trials()):
            return
        defaults = Defaults()
        self._space.texts(defaults)
        self._study.enqueue_trial(defaults.values, user_attrs={"defaults": True})


class _Suggested:
    """Choose values as a trial's sampler suggests them."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def pick(self, name: str, default: T, values: Sequence[T]) -> T:
        return values[values.index(self._trial.suggest_categorical(name, list(values)))]

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return self._trial.suggest_float(name, low, high, log=True)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        return self._trial.suggest_int(name, low, high)


def _opened(
    journal: Path, claims: Claims, direction: Literal["minimize", "maximize"], warm_up: int
) -> optuna.Study:
    try:
        _require_journal(journal)
        storage = JournalStorage(JournalFileBackend(str(journal), _KernelLock(claims)))
        return optuna.create_study(
            study_name=NAME,
            storage=storage,
            load_if_exists=True,
            direction=direction,
            pruner=MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=warm_up),
        )
    except OSError as error:
        raise output_error(journal, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _no_journal(journal) from error


def _require_journal(journal: Path) -> None:
    """Refuse another file; cut half a line of a killed process, or others would write on in it."""
    if not journal.exists():
        return
    with open(journal, "r+b") as file:
        content = file.read()
        if content and not content.startswith(b'{"op_code"'):
            raise _no_journal(journal)
        if not content.endswith(b"\n"):
            os.ftruncate(file.fileno(), content.rfind(b"\n") + 1)


def _no_journal(journal: Path) -> UsageError:
    return UsageError(f"{journal} is no journal of a search", hint="--journal with another name")


def _mixed(seed: int, number: int) -> int:
    """Return a seed of numpy's legacy generator, another one for each trial."""
    return (seed * 1_000_003 + number) % 2**32


def _state(trial: FrozenTrial) -> State:
    known: State | None = trial.user_attrs.get("facts", {}).get("state")
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return "running"
    return known or "stopped"


def _counts(trial: FrozenTrial) -> bool:
    """Return whether a trial is one of those that were asked for: it ran to an end, or runs."""
    return trial.state != TrialState.WAITING and _state(trial) != "stopped"


def _tried(trial: FrozenTrial) -> Tried:
    facts = trial.user_attrs.get("facts", {})
    curve = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    value = trial.value if trial.state == TrialState.COMPLETE else trial.user_attrs.get("value")
    return Tried(
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
