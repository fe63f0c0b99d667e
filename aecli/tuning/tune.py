"""Search for options that train a better model, and save the best one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Unpack, cast

from pydantic import TypeAdapter, ValidationError

from aecli.device import limited_threads
from aecli.engine import require_engine
from aecli.errors import UsageError, nearest
from aecli.model_directory.generations import require_valid_count
from aecli.model_directory.location import model_directory
from aecli.model_directory.save import check_target
from aecli.progress import SILENT, Progress
from aecli.remote_files.path import RemotePath, path_on_disk
from aecli.schema.option_docs import explicit_options
from aecli.schema.option_types import Seconds
from aecli.schema.option_values import OptionValues
from aecli.schema.options import TrainOptions
from aecli.table.source import Data
from aecli.training.train import parse_options
from aecli.tuning.trial import OBJECTIVES, ObjectiveName, TuneResult


@limited_threads()
def tune(
    data: Data,
    *,
    budget: str | float | None = None,
    trials: int | None = None,
    objective: str = "val_loss",
    folds: int = 1,
    journal: str | os.PathLike[str] | None = None,
    engine: str = "local",
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    keep_generations: int = 1,
    options: TrainOptions | None = None,
    progress: Progress = SILENT,
    **values: Unpack[OptionValues],
) -> TuneResult:
    """Search for options that train a better model of `data`, and save the best model.

    `values` are options by name, the same in every trial. The first trial uses the defaults, so the
    best is never worse. A stopped or killed search is continued from its journal.

    Args:
        data: paths, globs or folders, `-`, or a table in memory (Arrow, pandas, polars).
        budget: time limit of the search, in seconds or as in `10m`.
        trials: the total number of trials in the journal.
        objective: `val_loss`, `reconstruction`, or, with a label, `accuracy`, `probe` or `auroc`.
        folds: number of cross-validation folds; 1 measures on the validation rows of `train`.
        journal: the file of all trials, which processes share, on disk; default: `MODEL.journal`.
        engine: `ray` runs trials in processes of a Ray cluster.
        model: the model directory; default: `AECLI_MODEL`, else `./aecli_model`.
        tag: short for the directory `runs/TAG`.
        keep_generations: how many earlier models stay in the directory, for `rollback`; 0 to 100.
        options: every option at once, instead of `values`.
        progress: called as the search proceeds.

    Raises:
        UsageError: an option is unknown or out of bounds, optuna is not installed, or the journal
            is an address or belongs to a different search.
        DataError: the table cannot be read or learned from, or has no rows to measure on.
        DivergedError: no trial had a finite loss.
        OutputError: the model or the journal cannot be written.
        LockedError: another run is writing this model directory.
    """
    began = time.perf_counter()
    if options is not None and values:
        raise UsageError(f"tune takes options or {next(iter(values))}=…, not both")
    chosen = options or parse_options(values)
    seconds = _seconds(budget)
    _require_consistent(chosen, seconds, trials, objective, folds)
    directory = model_directory(model, tag)
    require_valid_count(keep_generations)
    on_ray = require_engine(engine) == "ray"
    file = _journal(directory) if journal is None else path_on_disk(journal, "--journal")
    check_target(directory)
    from aecli.tuning.ray_search import RaySearchRun
    from aecli.tuning.search import SearchRun
    from aecli.tuning.trial_runner import TimeBudget

    return (RaySearchRun if on_ray else SearchRun)(
        data,
        chosen,
        directory,
        journal=file,
        objective_name=cast(ObjectiveName, objective),
        folds=folds,
        max_trials=trials,
        budget=TimeBudget(began, None if seconds is None else began + seconds, folds),
        keep_generations=keep_generations,
        progress=progress,
    ).run()


def _journal(directory: Path) -> Path:
    """Return the default journal: next to the model, or in this folder for a remote model."""
    remote = isinstance(directory, RemotePath)
    return Path(f"{directory.name if remote else directory}.journal")


def _seconds(budget: str | float | None) -> float | None:
    if budget is None:
        return None
    try:
        return TypeAdapter[float](Seconds).validate_python(budget)
    except ValidationError:
        problem = f"--budget {budget}: must be a duration above 0 such as 90s, 10m or 2h"
        raise UsageError(problem, hint="--budget 10m") from None


def _require_consistent(
    options: TrainOptions, seconds: float | None, trials: int | None, objective: str, folds: int
) -> None:
    if seconds is None and trials is None:
        raise UsageError("tune needs --budget or --trials", hint="--budget 10m")
    for flag, number in {"--trials": trials, "--folds": folds}.items():
        if number is not None and number < 1:
            raise UsageError(f"{flag} {number}: must be at least 1", hint=f"{flag} 10")
    if objective not in OBJECTIVES:
        near = nearest(objective, OBJECTIVES)
        known = ", ".join(OBJECTIVES)
        problem = f"--objective {objective}: must be one of {known}"
        raise UsageError(problem, hint=f"--objective {near}" if near else "aecli tune --help")
    if "time_limit" in explicit_options(options):
        raise UsageError("tune uses --budget instead of --time-limit", hint="--budget 10m")
    if options.training.valid == "none" and folds == 1:
        raise UsageError(
            "--valid none leaves no rows to measure trials on", hint="--valid 0.1, or --folds 5"
        )
