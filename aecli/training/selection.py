"""Choose binned inputs of a classifier, by a rule or by held-out rows."""

from __future__ import annotations

import torch

from aecli.formatting import figure
from aecli.schema.options import TrainOptions
from aecli.training.data import PreparedTable
from aecli.training.fit_result import FitResult
from aecli.training.piecewise import (
    MANY_LABELLED,
    labelled_rows,
    takes_piecewise_copies,
    with_piecewise_copies,
)

SHORT_TRAINING = 10.0
"""Estimated seconds of a training up to which a second one is compared with it."""

STEP_SECONDS = 1e-3
"""Time of a step of the smallest network on one core."""

OPERATIONS_PER_SECOND = 5e10

MIN_SELECTION_ROWS = 50
"""Minimum number of validation rows outside the most frequent class to compare classifiers by."""

BINNED_DROPOUT = 0.1
"""Minimum dropout with binned inputs of few rows; without it rare classes are learned by heart."""


def is_binned_by_rule(prepared: PreparedTable, options: TrainOptions) -> bool:
    """Return whether a training has binned inputs without a comparison."""
    return takes_piecewise_copies(prepared, options) and labelled_rows(prepared) >= MANY_LABELLED


def with_binned_inputs(
    prepared: PreparedTable, options: TrainOptions
) -> tuple[PreparedTable, TrainOptions]:
    """Return a table with binned inputs, and options with the dropout that they need."""
    if labelled_rows(prepared) < MANY_LABELLED:
        dropout = max(options.network.dropout, BINNED_DROPOUT)
        network = options.network.model_copy(update={"dropout": dropout})
        options = options.model_copy(update={"network": network})
    return with_piecewise_copies(prepared), options


def compares_binned(
    prepared: PreparedTable, options: TrainOptions, parameters: int, result: FitResult
) -> bool:
    """Return whether a training with `result` should be compared with one with binned inputs.

    Not a long training, which is estimated from the number of steps and `parameters`, so that the
    choice does not depend on the machine; nor one with many labelled rows, which has them, or with
    few validation rows of the rarer classes.
    """
    if not takes_piecewise_copies(prepared, options) or is_binned_by_rule(prepared, options):
        return False
    codes = prepared.valid.codes
    if codes is None:
        return False
    counts = torch.bincount(codes[codes >= 0], minlength=1)
    if int(counts.sum() - counts.max()) < MIN_SELECTION_ROWS:
        return False
    samples = len(prepared.train) * result.planned
    operations = 6 * parameters * samples
    seconds = samples / result.batch_size * STEP_SECONDS + operations / OPERATIONS_PER_SECOND
    return seconds <= SHORT_TRAINING


def has_lower_criterion(binned: FitResult, plain: FitResult) -> bool:
    """Return whether the criterion of epochs is lower, at the same weight of numbers."""
    weight = max(binned.best.number_weight, plain.best.number_weight)
    return binned.criterion.at(weight) < plain.criterion.at(weight)


def selection_note(binned: FitResult, plain: FitResult, chosen: bool) -> str:
    """Return a note on the choice of a network with binned inputs or without."""
    first, second = (figure(result.criterion.classification) for result in (binned, plain))
    losses = f"cross-entropy {first} with them, {second} without"
    if chosen:
        return f"classifier with binned inputs, chosen on validation rows: {losses}"
    return f"classifier without binned inputs, which are not clearly better: {losses}"
