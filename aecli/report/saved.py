"""Read what a model directory shows without a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aecli.errors import ModelError
from aecli.model_directory import TUNING, read_history, read_spec, read_tuning
from aecli.report.curves import training_of
from aecli.report.data import Findings, Search, Trial
from aecli.schema.model_spec import ModelSpec
from aecli.schema.option_docs import written
from aecli.schema.options import TrainOptions, section_of
from aecli.tuning.trial import POST_TRAINING_OBJECTIVES, TrialRecord, ranking


def alone(directory: Path) -> Findings:
    """Return what a model directory shows without a table.

    Raises:
        ModelError: it holds no model, or a damaged one.
    """
    spec = read_spec(directory)
    return Findings(
        model=directory,
        spec=spec,
        training=training_of(read_history(directory)),
        search=searched(directory, spec),
    )


def searched(directory: Path, spec: ModelSpec) -> Search | None:
    """Return the search that a model's options came from, None where there was none.

    Raises:
        ModelError: what is kept of it is damaged.
    """
    found = read_tuning(directory, spec)
    if found is None:
        return None
    try:
        return _search(found)
    except (KeyError, TypeError, ValueError) as error:
        path = directory / TUNING
        hint = f"remove {path}: the model does without"
        raise ModelError(f"{path} is damaged: {error!r}", hint=hint) from error


def _search(found: Mapping[str, Any]) -> Search:
    tried = [TrialRecord(**trial) for trial in found["trials"]]
    defaults = _defaults({name for trial in tried for name in trial.options})
    comparable = found["objective"] not in POST_TRAINING_OBJECTIVES
    ended = [_at_its_end(trial) if comparable else trial for trial in tried]
    return Search(
        objective=found["objective"],
        maximize=found["direction"] == "maximize",
        best=found["best"],
        value=found["value"],
        default=found["default"],
        trials=[_trial(trial, defaults) for trial in ranking(ended, found["direction"])],
        importance=found["importance"],
        notes=found["notes"],
    )


def _at_its_end(trial: TrialRecord) -> TrialRecord:
    """Return a trial that was pruned with the value that it had by then."""
    known = trial.value is not None or not trial.curve
    return trial if known else replace(trial, value=trial.curve[-1])


def _trial(trial: TrialRecord, defaults: Mapping[str, str]) -> Trial:
    assert trial.value is not None, "only trials with a value are ranked"
    return Trial(
        number=trial.number,
        full=trial.state == "complete",
        state=trial.state,
        value=trial.value,
        options={**defaults, **trial.options},
        told=" ".join(f"{name}={text}" for name, text in trial.options.items()) or "the defaults",
        epochs=trial.epochs,
        seconds=trial.seconds,
    )


def _defaults(names: set[str]) -> dict[str, str]:
    """Return the defaults of options as texts, where these do not depend on the table."""
    usual = TrainOptions()
    values = {name: getattr(getattr(usual, section_of(name)), name) for name in sorted(names)}
    return {name: written(value) for name, value in values.items() if value not in (None, "auto")}
