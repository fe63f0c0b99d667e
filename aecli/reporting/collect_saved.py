"""Collect what a model directory shows without a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aecli.model_directory.errors import damaged_error
from aecli.model_directory.read import read_history, read_tuning
from aecli.progress import Epoch
from aecli.reporting.data import ReportData, SearchHistory
from aecli.schema.model_spec import ModelSpec
from aecli.schema.option_docs import format_value
from aecli.schema.options import TrainOptions, section_of
from aecli.tuning.trial import POST_TRAINING_OBJECTIVES, TrialRecord, ranking


def collect_saved(directory: Path, spec: ModelSpec) -> ReportData:
    """Return what a model directory shows of the model `spec` without a table.

    Raises:
        FileNotFoundError: a file that the spec names is missing.
        ModelError: one is damaged.
    """
    return ReportData(
        model=directory,
        spec=spec,
        history=[_epoch(record) for record in read_history(directory, spec)],
        search=read_search(directory, spec),
    )


def _epoch(record: Mapping[str, Any]) -> Epoch:
    """Return an epoch from its record in the history."""
    return Epoch(
        number=record["epoch"],
        train=record["train"],
        valid=record.get("valid"),
        seconds=record["seconds"],
        learning_rate=record["learning_rate"],
        best=bool(record.get("best")),
        metrics=record.get("metrics") or {},
        gradients=record.get("gradients") or {},
    )


def read_search(directory: Path, spec: ModelSpec) -> SearchHistory | None:
    """Return the search that chose a model's options; None for a model that was not tuned.

    Raises:
        FileNotFoundError: its record is missing.
        ModelError: its record is damaged.
    """
    record = read_tuning(directory, spec)
    if record is None:
        return None
    try:
        return _search_history(record)
    except (KeyError, TypeError, ValueError) as error:
        path = directory / (spec.tuning or spec.history).file
        raise damaged_error(path, repr(error)) from error


def _search_history(record: Mapping[str, Any]) -> SearchHistory:
    trials = [TrialRecord(**trial) for trial in record["trials"]]
    comparable = record["objective"] not in POST_TRAINING_OBJECTIVES
    ended = [_with_last_value(trial) if comparable else trial for trial in trials]
    return SearchHistory(
        objective=record["objective"],
        maximize=record["direction"] == "maximize",
        best=record["best"],
        value=record["value"],
        default=record["default"],
        trials=ranking(ended, record["direction"]),
        default_options=_default_options(
            {name for trial in trials for name in dict(trial.options)}
        ),
        importance=record["importance"],
        notes=record["notes"],
    )


def _with_last_value(trial: TrialRecord) -> TrialRecord:
    """Return a pruned trial with the last value of its curve."""
    known = trial.value is not None or not trial.curve
    return trial if known else replace(trial, value=trial.curve[-1])


def _default_options(names: set[str]) -> dict[str, str]:
    """Return the defaults of options as texts, where these do not depend on the table."""
    defaults = TrainOptions()
    values = {name: getattr(getattr(defaults, section_of(name)), name) for name in sorted(names)}
    return {
        name: format_value(value) for name, value in values.items() if value not in (None, "auto")
    }
