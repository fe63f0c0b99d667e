"""Draw what the classifier gets right, and whether it knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from aecli.formatting import count, percent, safe
from aecli.report.data import Classes, Findings
from aecli.report.style import FAINT, INK, OWN, STRENGTH, WHITE, WIDTH, Panel, named, single

SHOWN = 20
WRITTEN = 12
"""Most classes whose counts are written into the picture."""


def confusion_panels(findings: Findings) -> list[Panel]:
    """Return the confusion matrix, each line as shares; the most frequent classes of many."""
    found = findings.classes
    if found is None:
        return []
    order = np.sort(np.argsort(-found.confusion.sum(1), kind="stable")[:SHOWN])
    counts = found.confusion[np.ix_(order, order)]
    names = [named(found.names[place], 14) for place in order]

    def draw(axes: Axes) -> None:
        shares = counts / np.maximum(1, found.confusion[order].sum(1, keepdims=True))
        axes.imshow(shares, cmap=STRENGTH, vmin=0, vmax=1, interpolation="none")
        if len(order) <= WRITTEN:
            for (line, column), value in np.ndenumerate(counts):
                colour = WHITE if shares[line, column] > 0.55 else INK if value else FAINT
                size = 8.5 if len(order) <= 6 else 6.5
                axes.text(
                    column, line, count(int(value)), ha="center", va="center", color=colour,
                    fontsize=size,
                )  # fmt: skip
        places = list(range(len(order)))
        level = max(map(len, names)) * len(names) < 28
        turned: dict[str, Any] = (
            {} if level else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        )
        axes.set_xticks(places, names, **turned)
        axes.set_yticks(places, names)
        axes.grid(visible=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")

    side = min(4.2, 2.4 + 0.15 * len(order))
    return [Panel(*_confusion_told(found, len(order)), single(draw), (WIDTH, side))]


def _confusion_told(found: Classes, shown: int) -> tuple[str, str]:
    right = f"{percent(found.accuracy)} of {count(found.rows)} are right"
    caption = f"Confusion of {safe(found.label)}: {right}; always answering the most frequent "
    caption += f"class gets {percent(found.baseline_accuracy)}."
    caption += f" The {shown} most frequent of {len(found.names)} classes." * (
        shown < len(found.names)
    )
    return caption, f"Confusion matrix of {len(found.names)} classes; {right}"


def calibration_panels(findings: Findings) -> list[Panel]:
    """Return how often answers of each confidence are right."""
    found = findings.classes
    if found is None or not found.bins:
        return []

    def draw(axes: Axes) -> None:
        low = max(0.0, min(one.confidence for one in found.bins) - 0.05)
        axes.plot([low, 1], [low, 1], color=FAINT, linestyle=(0, (3, 3)), linewidth=1)
        axes.plot(
            [one.confidence for one in found.bins], [one.accuracy for one in found.bins],
            color=OWN, linewidth=1.2,
        )  # fmt: skip
        largest = max(one.count for one in found.bins)
        for one in found.bins:
            size = 3 + 9 * (one.count / largest) ** 0.5
            axes.plot([one.confidence], [one.accuracy], "o", color=OWN, markersize=size)
        axes.set_title("confidence and accuracy")
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("share right")
        axes.set_xlim(low, 1.02)
        axes.set_ylim(-0.02, 1.03)

    error = percent(found.calibration_error)
    alt = f"Curve of accuracy over confidence; they differ by {error} on average"
    caption = f"Calibration: confidence and accuracy differ by {error} on average. On the dashed "
    caption += "line they agree; larger dots stand for more answers."
    return [Panel(caption, alt, single(draw))]
