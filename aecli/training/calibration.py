"""Fit a trained network's scores and thresholds, of a small table on cross-fitted scores."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from aecli.errors import DataError, DivergedError, UsageError
from aecli.features.layout import Inputs
from aecli.features.staging import Staged
from aecli.nn.init import rotate_latent
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import AGGREGATES, Calibration
from aecli.scoring.deviations import ScoringFit
from aecli.scoring.fit import fit_scorer, fit_sizes
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import fit_thresholds
from aecli.training.baselines import latent_axes
from aecli.training.data import prepare
from aecli.training.fit import FittedNetwork, fit
from aecli.training.interrupt import Interrupt

FOLDS = 3
"""Parts of a table that are held out in turn: with 5 it takes twice the time, and flags as many."""

STOPPED = "stopped before cross-fitting"

DIFFERENT = 2.0
"""Thresholds that a cell adds to the score which differs from a constant: alone it stands above
the threshold, and above a somewhat higher one that is calibrated later."""

UNFIT: dict[type[Exception], str] = {
    DataError: "too few for cross-fitting",
    UsageError: "options do not fit a fold of cross-fitting",
    DivergedError: "a fold of cross-fitting diverged",
}
"""Why no thresholds come from cross-fitting, by the error of a fold; the model is kept."""

SPARSE = {"l1", "kl"}
"""Losses of single latent units, which a rotation would change."""


def rotate_to_axes(fitted: FittedNetwork, inputs: Inputs) -> None:
    """Rotate a linear latent so that its units are uncorrelated, without losses of single units."""
    setup = fitted.setup
    network = setup.objective.network
    if setup.network.linear_latent and not SPARSE & setup.objective.weights.keys():
        axes = latent_axes(network, inputs, fitted.prepared.train, setup.network)
        rotate_latent(network, axes)


def calibrate_scores(
    fitted: FittedNetwork,
    inputs: Inputs,
    *,
    interrupt: Interrupt,
    seconds: float | None = None,
    progress: Progress = SILENT,
) -> tuple[ScoringFit, Calibration]:
    """Return what scores of a network need, and their thresholds.

    These come from held-out samples; where they are few, from all samples of the table, each scored
    by a network of the same options that has not seen it.

    Args:
        fitted: the network.
        inputs: the inputs of its layout.
        interrupt: a signal ends the cross-fitting.
        seconds: the most that the cross-fitting may take, None for no limit.
        progress: called as the calibration proceeds.
    """
    prepared = fitted.prepared
    progress.stage("calibrating scores")
    scorer = _scorer(fitted, inputs)
    samples = prepared.valid if len(prepared.valid) else prepared.train
    unit = "rows" if samples.size == 1 else "windows"
    source = f"{'validation' if len(prepared.valid) else 'training'} {unit}"
    held_out = [(scorer, samples)]
    if prepared.source is not None:
        folds, ended = _folds(fitted, interrupt, seconds, progress)
        source = f"cross-fitted {unit} ({FOLDS} folds)" if folds else f"{source} ({ended})"
        held_out = folds or held_out
    calibration = fit_thresholds(fit_sizes(scorer, held_out), source=source)
    thresholds = torch.tensor([calibration.scales[name].threshold for name in AGGREGATES])
    return replace(scorer.fitted, constant=DIFFERENT * thresholds.double()), calibration


def _scorer(fitted: FittedNetwork, inputs: Inputs) -> Scorer:
    setup = fitted.setup
    return fit_scorer(setup.objective.network, inputs, setup.columns, fitted.prepared.train)


def _folds(
    fitted: FittedNetwork, interrupt: Interrupt, seconds: float | None, progress: Progress
) -> tuple[list[tuple[Scorer, Staged]], str]:
    """Return each fold's samples with a scorer of the others, or nothing and why."""
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
            return [], UNFIT[type(error)]
        inputs = Inputs(last.prepared.layout).to(last.device)
        rotate_to_axes(last, inputs)
        folds.append((_scorer(last, inputs), held_out))
    return (folds, "") if last.result.finished else ([], STOPPED)


def _fit_fold(
    fitted: FittedNetwork, fold: int, interrupt: Interrupt, seconds: float | None
) -> tuple[FittedNetwork, Staged]:
    """Return a network that is trained with the same options outside of a fold, and the fold.

    The fold ends the training early, as the held-out samples did; without these nothing does.

    Raises:
        DataError: the samples are too few for a training.
        UsageError: an option does not fit the columns of the other samples.
        DivergedError: the loss stopped being finite before any epoch was good.
    """
    whole, options = fitted.prepared, fitted.options
    assert whole.source is not None, "a small table is kept"
    prepared = prepare(whole.source, options, SILENT, fold=(fold, FOLDS))
    held_out = prepared.valid
    if not len(whole.valid):
        prepared = replace(prepared, valid=held_out.first(0))
    training = options.training.model_copy(update={"time_limit": seconds})
    options = options.model_copy(update={"training": training})
    return fit(prepared, options, fitted.device, interrupt=interrupt), held_out
