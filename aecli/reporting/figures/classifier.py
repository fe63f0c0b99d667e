"""Draw the confusion matrix and the calibration of the classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from aecli.formatting import count, percent, safe
from aecli.metrics.classification import Classification
from aecli.reporting.data import ReportData
from aecli.reporting.style import (
    INK,
    MUTED,
    PANEL_WIDTH,
    PRIMARY,
    STRENGTH,
    WHITE,
    Panel,
    one_axes,
    short_name,
)

CLASSES_DRAWN = 20
MAX_CLASSES_WITH_COUNTS = 12
"""Classes whose counts are written into the picture at most."""

ROTATED: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
"""Arguments of tick labels that do not fit side by side."""


def confusion_panels(data: ReportData) -> list[Panel]:
    """Return the confusion matrix, each row as shares; the most frequent classes of many."""
    classification = data.classification
    if classification is None:
        return []
    confusion = np.array(classification.confusion)
    order = np.sort(np.argsort(-confusion.sum(1), kind="stable")[:CLASSES_DRAWN])
    counts = confusion[np.ix_(order, order)]
    names = [short_name(classification.classes[code], 14) for code in order]

    def draw(axes: Axes) -> None:
        shares = counts / np.maximum(1, confusion[order].sum(1, keepdims=True))
        axes.imshow(shares, cmap=STRENGTH, vmin=0, vmax=1, interpolation="none")
        if len(order) <= MAX_CLASSES_WITH_COUNTS:
            for (row, column), value in np.ndenumerate(counts):
                colour = WHITE if shares[row, column] > 0.55 else INK if value else MUTED
                size = 8.5 if len(order) <= 6 else 6.5
                axes.text(
                    column, row, count(int(value)), ha="center", va="center", color=colour,
                    fontsize=size,
                )  # fmt: skip
        positions = list(range(len(order)))
        rotated = max(map(len, names)) * len(names) >= 28
        axes.set_xticks(positions, names, **(ROTATED if rotated else {}))
        axes.set_yticks(positions, names)
        axes.grid(visible=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")

    caption, alt = _confusion_texts(classification, data.label, len(order))
    size = (PANEL_WIDTH, min(4.2, 2.4 + 0.15 * len(order)))
    return [Panel(caption, alt, one_axes(draw), size)]


def _confusion_texts(classification: Classification, label: str, shown: int) -> tuple[str, str]:
    """Return the caption and the description."""
    right = f"{percent(classification.accuracy)} of {count(classification.rows)} are right"
    caption = f"Confusion of {safe(label)}: {right}; always predicting the most frequent "
    caption += f"class gets {percent(classification.baseline_accuracy)}."
    caption += f" The {shown} most frequent of {len(classification.classes)} classes." * (
        shown < len(classification.classes)
    )
    return caption, f"Confusion matrix of {len(classification.classes)} classes; {right}"


def calibration_panels(data: ReportData) -> list[Panel]:
    """Return the accuracy of predictions by their confidence."""
    classification = data.classification
    if classification is None:
        return []
    bins = classification.reliability

    def draw(axes: Axes) -> None:
        low = max(0.0, min(confidence for confidence, _, _ in bins) - 0.05)
        axes.plot([low, 1], [low, 1], color=MUTED, linestyle=(0, (3, 3)), linewidth=1)
        confidences, accuracies, counts = zip(*bins, strict=True)
        axes.plot(confidences, accuracies, color=PRIMARY, linewidth=1.2)
        for confidence, accuracy, samples in bins:
            size = 3 + 9 * (samples / max(counts)) ** 0.5
            axes.plot([confidence], [accuracy], "o", color=PRIMARY, markersize=size)
        axes.set_title("confidence and accuracy")
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("share right")
        axes.set_xlim(low, 1.02)
        axes.set_ylim(-0.02, 1.03)

    error = percent(classification.ece)
    alt = f"Curve of accuracy over confidence; they differ by {error} on average"
    caption = f"Calibration: confidence and accuracy differ by {error} on average. On the dashed "
    caption += "line they agree; larger dots are more predictions."
    return [Panel(caption, alt, one_axes(draw))]
