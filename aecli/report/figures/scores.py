"""Draw how scores are spread, and where the threshold lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from aecli.formatting import count, figure, percent
from aecli.report.data import Findings, Reason, Scores
from aecli.report.style import ALARM, FAINT, INK, OWN, Panel, named, plain_ticks, single

BINS = 48
FIELDS = ((0.06, "right", INK), (0.14, "right", ALARM), (0.17, "left", INK))
"""Where the fields of a row of the table stand, in shares of its width, and their colours."""

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


def anomalous_panels(findings: Findings) -> list[Panel]:
    """Return the oddest rows as a table, each with the columns that are furthest off."""
    found = findings.scores
    if found is None or not found.odd:
        return []
    lines = [(count(one.row), figure(one.score, 3), _because(one.reasons)) for one in found.odd]

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        for place, line in enumerate([(findings.unit, "score", "because of"), *lines]):
            height = 1 - place / (len(lines) + 1)
            for x, text, side in zip(
                (0.06, 0.14, 0.17), line, ("right", "right", "left"), strict=True
            ):
                colour = FAINT if place == 0 else ALARM if side == "right" and x > 0.1 else INK
                axes.text(
                    x, height, text, va="top", ha=side, transform=axes.transAxes, color=colour
                )

    first = lines[0]
    alt = f"Table of the {count(len(lines))} oddest {findings.unit}s; the first is {first[0]} "
    alt += f"with a score of {first[1]}, because of {first[2]}"
    caption = (
        f"The oddest {findings.unit}s, and the columns that are furthest off: what they hold, "
    )
    caption += "what the model expects, and the error as a multiple of the usual one."
    size = (7.4, 0.3 + 0.21 * (len(lines) + 1))
    return [Panel(caption, alt, single(draw), size, wide=True)]


def _because(reasons: Sequence[Reason]) -> str:
    told = []
    for one in reasons[:2]:
        values = f" {named(one.value, 14)} for {named(one.reconstruction, 14)}" if one.value else ""
        told.append(f"{named(one.column, 18)}{values}, × {figure(one.error, 2)}")
    return "; ".join(told)


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
