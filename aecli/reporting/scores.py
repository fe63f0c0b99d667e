"""Draw how scores are spread, and where the threshold lies."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from aecli.reporting.drawing import ALARM, OWN, Panel, plain_ticks, single
from aecli.reporting.findings import Findings, Scores
from aecli.text import count, figure, percent

BINS = 48
FOOT = 0.6
"""Where bars begin on the logarithmic axis of counts: below a single row."""


def score_panels(findings: Findings) -> list[Panel]:
    """Return the distribution of scores; none where the model was saved without."""
    found = findings.scores
    if found is None or not found.counts.sum():
        return []

    def draw(axes: Axes) -> None:
        edges, counts = _coarser(found)
        centres = np.sqrt(edges[1:] * edges[:-1])
        for odd, colour, label in (
            (False, OWN, "below the threshold"),
            (True, ALARM, "above"),
        ):
            chosen = (centres > found.threshold) == odd
            if counts[chosen].any():
                axes.bar(
                    edges[:-1][chosen], counts[chosen], np.diff(edges)[chosen], align="edge",
                    color=colour, label=label,
                )  # fmt: skip
        axes.axvline(found.threshold, color=ALARM, linestyle=(0, (3, 3)), linewidth=1.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(FOOT, 2 * float(counts.max()))
        plain_ticks(axes)
        axes.set_xlabel("score, 1 is ordinary")
        axes.set_ylabel(f"{findings.unit}s")
        axes.grid(axis="x", visible=False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    share = percent(found.outliers / found.samples)
    above = f"{count(found.outliers)} of {count(found.samples)} ({share})"
    limit = figure(found.threshold, 3)
    alt = f"Histogram of scores on logarithmic axes; {above} lie above the threshold of {limit}"
    caption = f"Scores: {above} lie above the threshold of {limit}, which comes from "
    caption += f"{found.calibrated_on}."
    return [Panel(caption, alt, single(draw))]


def _coarser(
    found: Scores,
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int64]]
]:
    """Join neighbouring bins until there are few enough to be seen."""
    step = -(-len(found.counts) // BINS)
    fill = -len(found.counts) % step
    counts = np.append(found.counts, np.zeros(fill, dtype=np.int64)).reshape(-1, step).sum(1)
    ratio = found.edges[1] / found.edges[0]
    return found.edges[0] * ratio ** (step * np.arange(len(counts) + 1)), counts
