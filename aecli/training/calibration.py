"""Fit a trained network's scores and thresholds, of a small table on cross-fitted scores."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aecli.array_types import Floats
from aecli.errors import AecliError
from aecli.features.layout import Inputs
from aecli.features.staging import Staged
from aecli.nn.init import rotate_latent
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Calibration
from aecli.scoring.deviations import ScoringFit
from aecli.scoring.fit import fit_scorer, scores_of
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import fit_thresholds
from aecli.training.baselines import latent_axes
from aecli.training.data import prepare
from aecli.training.fit import FittedNetwork, fit
from aecli.training.interrupt import Interrupt

FOLDS = 3
"""Parts of a table that are held out in turn: 5 took twice the time for the same thresholds."""

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
    scorer = _scorer(fitted, inputs, prepared.valid)
    held_out = prepared.valid if len(prepared.valid) else prepared.train
    where = "validation" if len(prepared.valid) else "training"
    unit = "rows" if held_out.size == 1 else "windows"
    source = f"{where} {unit}"
    if prepared.source is not None:
        scores, ended = _cross_fitted(fitted, interrupt, seconds, progress)
        if scores:
            source = f"cross-fitted {unit} ({FOLDS} folds)"
            return scorer.fitted, fit_thresholds(scores, source=source)
        source += f" ({ended})"
    return scorer.fitted, fit_thresholds(scores_of(scorer, held_out), source=source)


def _scorer(fitted: FittedNetwork, inputs: Inputs, valid: Staged) -> Scorer:
    setup = fitted.setup
    train = fitted.prepared.train
    return fit_scorer(setup.objective.network, inputs, setup.columns, train, valid)


def _cross_fitted(
    fitted: FittedNetwork, interrupt: Interrupt, seconds: float | None, progress: Progress
) -> tuple[Mapping[str, Floats], str]:
    """Return the scores of the folds one after another, or none and why."""
    until = None if seconds is None else time.perf_counter() + seconds
    parts: list[Mapping[str, Floats]] = []
    for fold in range(FOLDS):
        left = None if until is None else until - time.perf_counter()
        stopped = not fitted.result.finished or interrupt.signal is not None
        if stopped or (left is not None and left <= 0):
            return {}, "stopped before cross-fitting"
        progress.stage(f"cross-fitting scores, fold {fold + 1} of {FOLDS}")
        try:
            scores = _fold_scores(fitted, fold, interrupt, left)
        except AecliError:
            return {}, "too few for cross-fitting"
        if scores is None:
            return {}, "stopped before cross-fitting"
        parts.append(scores)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, ""


def _fold_scores(
    fitted: FittedNetwork, fold: int, interrupt: Interrupt, seconds: float | None
) -> Mapping[str, Floats] | None:
    """Return the scores of a fold's samples by a network of the others, None where it was stopped.

    Its own samples end the training early, as the held-out ones did; without these none do.

    Raises:
        AecliError: the others are too few for a training.
    """
    whole, options = fitted.prepared, fitted.options
    assert whole.source is not None, "a small table is kept"
    prepared = prepare(whole.source, options, SILENT, fold=(fold, FOLDS))
    held_out = prepared.valid
    if not len(whole.valid):
        prepared = replace(prepared, valid=held_out.first(0))
    training = options.training.model_copy(update={"time_limit": seconds})
    options = options.model_copy(update={"training": training})
    one = fit(prepared, options, fitted.device, interrupt=interrupt)
    if not one.result.finished:
        return None
    inputs = Inputs(prepared.layout).to(fitted.device)
    rotate_to_axes(one, inputs)
    return scores_of(_scorer(one, inputs, prepared.valid), held_out)
