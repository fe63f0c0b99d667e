"""Losses and figures of validation rows after an epoch, and the criterion that compares epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from aecli.nn.losses import best_temperature, classification_loss
from aecli.ranks import Ranks
from aecli.training.objective import EpochMeans, LossTerms, Objective

MAX_LOGITS = 1 << 22
"""Logits that are kept for the temperature; of more rows, every n-th is used."""

WEIGHT_RATE = 4.0
"""Exponent of the error's excess by which the weight of numbers changes, times the epochs."""

WEIGHT_RATE_AS_PCA = 24.0
"""The same for a network that starts as PCA, whose numbers have reached the target before."""

MIN_RELATIVE_ERROR = 1e-3
"""Minimum of an error divided by its target."""

WORSE_CLASSIFICATION = 0.005
"""Share above the best epoch's classification loss up to which the weight of numbers may rise."""

WEIGHT_STEP = 2.0
"""Maximum factor by which one epoch raises the weight of numbers."""

MAX_NUMBER_WEIGHT = 64.0


@dataclass(frozen=True)
class NumberTarget:
    """Squared error of held-out numbers that a network with a label should reach: that of PCA.

    Numbers are limited to `low` and `high` `(n_numbers,)`, as in R² (`metrics.columns`).
    """

    low: Tensor
    high: Tensor
    error: float

    def errors(self, cells: Tensor, outputs: Tensor) -> Tensor:
        """Return the sum of squared errors of outputs for cells, `(n_rows, …)` both."""
        count = len(self.low)
        low, high = self.low.to(cells), self.high.to(cells)
        numbers = cells[:, :count]
        differences = outputs[:, :count].clamp(low, high) - numbers.clamp(low, high)
        return differences.masked_fill(numbers.isnan(), 0.0).square().double().sum()


class Criterion(NamedTuple):
    """Figures of validation rows by which epochs are compared; lower is better.

    `total` is the total loss with class probabilities at their best temperature, and with the share
    of wrong characters in place of the cross-entropy of texts, because an overconfident network may
    have a high cross-entropy and the best accuracy; `numbers` is the part of it from errors of
    numbers beyond their target, and `classification` the classification loss.
    """

    total: float
    numbers: float = 0.0
    classification: float = 0.0

    def at(self, number_weight: float) -> float:
        """Return the total with a raised weight of numbers, the same for all epochs compared.

        The weight applies to errors beyond the target: numbers better than PCA's are not worth more
        than other columns.
        """
        return self.total + (number_weight - 1) * self.numbers

    def classifies_as_well_as(self, best: Criterion) -> bool:
        """Return whether the classification loss is not clearly above that of the best epoch."""
        return self.classification <= best.classification * (1 + WORSE_CLASSIFICATION)


NO_CRITERION = Criterion(math.inf)
"""Criterion that any finite epoch improves."""


class ValidationResult(NamedTuple):
    """Figures of the validation rows after an epoch.

    `losses` are the mean of each term and their weighted sum as `total`, `metrics` the accuracy of
    the classifier, and `excess` is the squared error of numbers as a multiple of its target.
    """

    losses: dict[str, float]
    metrics: dict[str, float]
    criterion: Criterion
    excess: float


class ValidationFigures:
    """Accumulator of the losses of validation rows, and of the figures that compare epochs."""

    def __init__(self, objective: Objective, target: NumberTarget | None, samples: int) -> None:
        self._objective = objective
        self._means = EpochMeans(objective)
        self._target = target
        self._samples = samples
        self._rows = 0
        self._numbers: list[Tensor] = []
        self._errors: list[Tensor] = []
        self._texts: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._codes: list[Tensor] = []
        self._correct: list[Tensor] = []

    def add(self, terms: LossTerms, cells: Tensor, codes: Tensor | None) -> None:
        """Add one batch."""
        self._means.add(terms, len(cells), codes)
        if self._target is not None and terms.outputs is not None and terms.numbers is not None:
            self._errors.append(self._target.errors(cells, terms.outputs))
            self._numbers.append(terms.numbers * len(cells))
            self._rows += len(cells)
        if self._objective.reconstruction.has_texts and terms.outputs is not None:
            self._texts.append(self._objective.reconstruction.text_figures(terms.outputs, cells))
        if codes is not None and terms.logits is not None:
            step = -(-self._samples * terms.logits.shape[1] // MAX_LOGITS)
            self._logits.append(terms.logits[::step])
            self._codes.append(codes[::step])
            self._correct.append((terms.logits.argmax(1) == codes).sum())

    def of_ranks(self, ranks: Ranks) -> ValidationResult:
        """Return the figures of the batches of all ranks, the same on each of them."""
        if ranks.size == 1:
            return self.result()
        figures = ValidationFigures(self._objective, self._target, self._samples)
        for part in ranks.gather(self._parts()):
            figures._add_parts(*part)
        return ranks.from_first(figures.result)

    def _parts(self) -> tuple[dict[str, Tensor], int, list[list[Tensor]]]:
        """Return the figures so far, in main memory."""
        means = self._means.saved() if self._means.steps else {}
        return means, self._rows, [[part.cpu() for part in parts] for parts in self._lists()]

    def _add_parts(self, means: dict[str, Tensor], rows: int, parts: list[list[Tensor]]) -> None:
        if means:
            self._means.restore(means, torch.device("cpu"))
        self._rows += rows
        for own, others in zip(self._lists(), parts, strict=True):
            own += others

    def _lists(self) -> list[list[Tensor]]:
        return [
            self._numbers, self._errors, self._texts, self._logits, self._codes, self._correct,
        ]  # fmt: skip

    def result(self) -> ValidationResult:
        """Return the figures of all batches."""
        losses, excess = self._means.means(), self._excess()
        return ValidationResult(losses, self._metrics(), self._criterion(losses, excess), excess)

    def _metrics(self) -> dict[str, float]:
        """Return the classification accuracy; empty without labelled rows."""
        labelled = self._means.labelled()
        if not self._correct or not labelled:
            return {}
        return {"accuracy": int(torch.stack(self._correct).sum()) / labelled}

    def _criterion(self, losses: dict[str, float], excess: float) -> Criterion:
        """Return the figures by which epochs are compared."""
        weights = self._objective.weights
        total, classification = losses["total"], losses.get("classification", 0.0)
        if self._logits:
            overconfidence = self._overconfidence()
            total -= weights["classification"] * overconfidence
            classification -= overconfidence
        if self._texts:
            total -= weights["reconstruction"] * self._excess_of_texts()
        numbers = 0.0
        if self._numbers:
            mean = float(torch.stack(self._numbers).double().sum()) / self._rows
            numbers = mean * weights["reconstruction"] * max(0.0, 1 - 1 / excess)
        return Criterion(total, numbers, classification)

    def _excess_of_texts(self) -> float:
        """Return the part of the reconstruction loss that is from texts, less their error rates."""
        errors, wrong, observed = torch.stack(self._texts).sum(0)
        columns = len(self._objective.reconstruction.weights)
        return float(((errors - wrong) / observed.clamp(min=1)).sum()) / columns

    def _overconfidence(self) -> float:
        """Return the cross-entropy that the best temperature would remove."""
        logits, codes = torch.cat(self._logits), torch.cat(self._codes)
        weights = self._objective.class_weights
        weights = weights if weights is None else weights.to(logits.device)
        temperature = best_temperature(logits, codes, weights)
        before, after = (
            float(classification_loss(scaled, codes, weights))
            for scaled in (logits, logits / temperature)
        )
        return max(0.0, before - after)

    def _excess(self) -> float:
        """Return the squared error of numbers as a multiple of its target; 1 without a target."""
        if self._target is None or not self._errors:
            return 1.0
        error = float(torch.stack(self._errors).sum())
        return max(error / self._target.error, MIN_RELATIVE_ERROR) if error < math.inf else 1.0


def number_weight_rate(epoch: int, epochs: int, *, as_pca: bool) -> float:
    """Return the exponent by which the weight of numbers changes after an epoch, counted from 1.

    In a network that does not start as PCA it is smaller in the first half of the training, because
    numbers are worse than PCA's early in any training.
    """
    return (WEIGHT_RATE_AS_PCA if as_pca else WEIGHT_RATE * min(1.0, 2 * epoch / epochs)) / epochs


def next_number_weight(weight: float, excess: float, rate: float) -> float:
    """Return the weight of numbers after an epoch, between 1 and `MAX_NUMBER_WEIGHT`.

    It follows the constraint that numbers reach their target, like a Lagrange multiplier: it is
    multiplied by an exponential of the violation (Rezende and Viola 2018, Taming VAEs, §2), here of
    the logarithm of the error's `excess`.
    """
    factor = min(math.pow(excess, rate), WEIGHT_STEP)
    return min(max(weight * factor, 1.0), MAX_NUMBER_WEIGHT)
