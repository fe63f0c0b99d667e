"""Fit a trained network's scores and thresholds; cross-fit them for a small table."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from aecli.errors import DataError, DivergedError, UsageError
from aecli.features.inputs import Inputs
from aecli.features.staging import Staged
from aecli.progress import SILENT, Progress
from aecli.schema.calibration import AGGREGATES, Calibration
from aecli.scoring.deviations import ScoringFit
from aecli.scoring.fit import fit_scales, fit_scorer
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import fit_thresholds
from aecli.training.axes import align_axes
from aecli.training.data import prepare
from aecli.training.fit import FittedNetwork, fit
from aecli.training.interrupt import Interrupt

FOLDS = 3
"""Folds of cross-fitting; 5 would take twice the time without a change in the outliers."""

STOPPED = "stopped before cross-fitting"

CONSTANT_FACTOR = 2.0
"""Multiple of the threshold that is added to the score for a cell that differs from a constant, so
that the row is an outlier, also with a somewhat higher threshold."""

NOT_CROSS_FITTED: dict[type[Exception], str] = {
    DataError: "too few for cross-fitting",
    UsageError: "options do not fit a fold of cross-fitting",
    DivergedError: "a fold of cross-fitting diverged",
}
"""Reasons why thresholds are not cross-fitted, by the error of a fold; the model is saved."""


def calibrate_scores(
    fitted: FittedNetwork,
    inputs: Inputs,
    *,
    interrupt: Interrupt,
    seconds: float | None = None,
    progress: Progress = SILENT,
) -> tuple[ScoringFit, Calibration]:
    """Return the scoring fit of a network, and its thresholds.

    Thresholds are fitted on held-out samples; if these are few, on all samples of the table, each
    scored by a network with the same options that was not trained on it.

    Args:
        fitted: the network.
        inputs: the inputs of its layout.
        interrupt: a signal ends the cross-fitting.
        seconds: time limit of the cross-fitting; None for no limit.
        progress: called as the calibration proceeds.
    """
    prepared = fitted.prepared
    scorer = _scorer(fitted, inputs)
    samples = prepared.valid if len(prepared.valid) else prepared.train
    unit = "rows" if samples.size == 1 else "windows"
    source = f"{'validation' if len(prepared.valid) else 'training'} {unit}"
    held_out = [(scorer, samples)]
    if prepared.source is not None:
        folds, reason = _folds(fitted, interrupt, seconds, progress)
        source = f"cross-fitted {unit} ({FOLDS} folds)" if folds else f"{source} ({reason})"
        held_out = folds or held_out
    calibration = fit_thresholds(fit_scales(scorer, held_out), source=source)
    thresholds = torch.tensor([calibration.scales[name].threshold for name in AGGREGATES])
    return replace(scorer.fitted, constant=CONSTANT_FACTOR * thresholds.double()), calibration


def _scorer(fitted: FittedNetwork, inputs: Inputs) -> Scorer:
    setup = fitted.setup
    store_rows = fitted.options.training.store_rows
    network, train = setup.objective.network, fitted.prepared.train
    return fit_scorer(network, inputs, setup.columns, train, store_rows=store_rows)


def _folds(
    fitted: FittedNetwork, interrupt: Interrupt, seconds: float | None, progress: Progress
) -> tuple[list[tuple[Scorer, Staged]], str]:
    """Return each fold's samples with a scorer fitted on the others, or no folds and a reason."""
    until = None if seconds is None else time.perf_counter() + seconds
    folds: list[tuple[Scorer, Staged]] = []
    last = fitted
    for fold in range(FOLDS):
        left = None if until is None else until - time.perf_counter()
        finished = last.result.finished and interrupt.signal is None
        if not finished or (left is not None and left <= 0):
            return [], STOPPED
        progress.stage(f"cross-fitting scores, fold {fold + 1} of {FOLDS}")
        try:
            last, held_out = _fit_fold(fitted, fold, interrupt, left)
        except (DataError, UsageError, DivergedError) as error:
            return [], NOT_CROSS_FITTED[type(error)]
        inputs = Inputs(last.prepared.layout).to(last.device)
        align_axes(last, inputs)
        folds.append((_scorer(last, inputs), held_out))
    return (folds, "") if last.result.finished else ([], STOPPED)


def _fit_fold(
    fitted: FittedNetwork, fold: int, interrupt: Interrupt, seconds: float | None
) -> tuple[FittedNetwork, Staged]:
    """Return a network that is trained with the same options on the other folds, and the fold.

    The fold is used for early stopping if the complete table has validation samples.

    Raises:
        DataError: there are too few samples for a training.
        UsageError: an option does not fit the columns of the other folds.
        DivergedError: the loss became non-finite before the first complete epoch.
    """
    complete, options = fitted.prepared, fitted.options
    assert complete.source is not None, "only small tables are cross-fitted"
    prepared = prepare(complete.source, options, SILENT, fold=(fold, FOLDS))
    held_out = prepared.valid
    if not len(complete.valid):
        prepared = replace(prepared, valid=held_out.first(0), n_valid=0)
    training = options.training.model_copy(update={"time_limit": seconds})
    options = options.model_copy(update={"training": training})
    refitted = fit(prepared, options, fitted.device, interrupt=interrupt, binned=fitted.binned)
    return refitted, held_out
