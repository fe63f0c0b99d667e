"""Measure a classifier over a stream of rows, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.metrics.histogram import Reliability

RANGE = 40.0
"""Log-odds are clipped to ±40, beyond the precision of probabilities in float32."""


@dataclass(frozen=True)
class Classification:
    """Metrics of the classifier on the labelled rows; `confusion[true][predicted]` counts rows.

    `auroc` is one-vs-rest, averaged over classes with positive and negative rows; None without any.
    `ece` is the expected calibration error of the most probable class, `positive_ece` that of the
    second of two classes; `reliability` has the mean probability of the most probable class, the
    accuracy and the number of rows of each bin.
    """

    rows: int
    classes: Sequence[str]
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    auroc: float | None
    log_loss: float
    baseline_accuracy: float
    confusion: Sequence[Sequence[int]]
    ece: float
    positive_ece: float | None
    reliability: Sequence[tuple[float, float, int]]


class ClassificationFigures:
    """Accumulator of the confusion matrix, log-loss, one-vs-rest AUROC and calibration."""

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self._classes = classes
        self._bins = max(512, min(1 << 16, (1 << 22) // classes))
        self._histograms = torch.zeros(2, classes * self._bins, dtype=torch.int64)
        self._log_loss = 0.0
        self._reliability, self._positive = Reliability(), Reliability()

    def add(self, logits: Tensor, codes: Tensor) -> None:
        """Add logits `(n_rows, n_classes)` and codes `(n_rows,)`, -1 for unlabelled rows."""
        labelled = codes >= 0
        logits, codes = logits[labelled].double().cpu(), codes[labelled].cpu()
        pairs = codes * self._classes + logits.argmax(1)
        self.confusion += torch.bincount(pairs, minlength=self._classes**2).view_as(self.confusion)
        self._log_loss += float(F.cross_entropy(logits, codes, reduction="sum"))
        self._count_odds(logits, codes)
        self._add_probabilities(logits.softmax(1), codes)

    def _add_probabilities(self, probabilities: Tensor, codes: Tensor) -> None:
        confidence, predicted = probabilities.max(1)
        self._reliability.add(confidence.numpy(), (predicted == codes).numpy())
        if self._classes == 2:
            self._positive.add(probabilities[:, 1].numpy(), (codes == 1).numpy())

    def _count_odds(self, logits: Tensor, codes: Tensor) -> None:
        log_p = F.log_softmax(logits, dim=1)
        log_q = torch.log(-torch.expm1(log_p.clamp(max=-1e-17)))
        odds = (log_p - log_q).clamp(-RANGE, RANGE)
        bins = ((odds + RANGE) * ((self._bins - 1) / (2 * RANGE))).long()
        bins += torch.arange(self._classes) * self._bins
        is_true = F.one_hot(codes, self._classes).bool()
        for side, chosen in enumerate((bins[~is_true], bins[is_true])):
            self._histograms[side] += torch.bincount(chosen, minlength=self._classes * self._bins)

    @property
    def rows(self) -> int:
        """Return the number of labelled rows."""
        return int(self.confusion.sum())

    def accuracy(self) -> float:
        """Return the share of labelled rows that are classified correctly."""
        return float(self.confusion.diagonal().sum()) / self.rows

    def balanced_accuracy(self) -> float:
        """Return the mean recall over the classes of these rows."""
        support = self.confusion.sum(1)
        present = support > 0
        return float((self.confusion.diagonal()[present] / support[present]).double().mean())

    def macro_f1(self) -> float:
        """Return the mean F1 over the classes of these rows and of the predictions."""
        support, predicted = self.confusion.sum(1), self.confusion.sum(0)
        seen = support + predicted
        return float((2.0 * self.confusion.diagonal()[seen > 0] / seen[seen > 0]).double().mean())

    def log_loss(self) -> float:
        """Return the mean negative log-probability of the true class, in nats."""
        return self._log_loss / self.rows

    def auroc(self) -> float | None:
        """Return one-vs-rest AUROC, averaged over classes with positive and negative rows, or None.

        It is the Mann-Whitney statistic over histograms of the log-odds, with ties counted half;
        for two classes there are 65,536 bins of width 0.001.
        """
        negative, positive = self._histograms.view(2, self._classes, self._bins).double()
        below = negative.cumsum(1) - negative
        wins = (positive * (below + 0.5 * negative)).sum(1)
        pairs = positive.sum(1) * negative.sum(1)
        return (
            float((wins[pairs > 0] / pairs[pairs > 0]).mean()) if bool((pairs > 0).any()) else None
        )

    def result(self, classes: Sequence[str], class_counts: Sequence[int]) -> Classification | None:
        """Return the metrics, None without labelled rows.

        `class_counts` are the training samples per class; the largest is the trivial prediction.
        """
        if self.rows == 0:
            return None
        most_frequent = class_counts.index(max(class_counts))
        return Classification(
            rows=self.rows,
            classes=classes,
            accuracy=self.accuracy(),
            balanced_accuracy=self.balanced_accuracy(),
            macro_f1=self.macro_f1(),
            auroc=self.auroc(),
            log_loss=self.log_loss(),
            baseline_accuracy=float(self.confusion[most_frequent].sum()) / self.rows,
            confusion=self.confusion.tolist(),
            ece=self._reliability.error(),
            positive_ece=self._positive.error() if self._classes == 2 else None,
            reliability=self._reliability.bins(),
        )
