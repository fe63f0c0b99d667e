"""Draw the distribution of scores with the threshold, and the most anomalous rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from aecli.array_types import AnyFloats, Integers
from aecli.formatting import count, figure, percent
from aecli.reporting.anomaly_text import reasons
from aecli.reporting.data import ReportData, ReportRow
from aecli.reporting.style import (
    ALARM,
    INK,
    MUTED,
    PRIMARY,
    Panel,
    one_axes,
    plain_ticks,
    short_name,
)
from aecli.scoring.explanation import reason_text

HISTOGRAM_BARS = 48
ANOMALIES_DRAWN = 10
TABLE_FIELDS = ((0.06, "right", INK), (0.14, "right", ALARM), (0.17, "left", INK))
"""Position of each field of a table row as a share of its width, alignment and colour."""

LOWEST_COUNT = 0.6
"""Lower end of the logarithmic axis of counts: below a single row."""


def score_panels(data: ReportData) -> list[Panel]:
    """Return the distribution of scores; none where the model has no calibration."""
    scores, calibration = data.scores, data.spec.calibration
    if scores is None or calibration is None or not scores.counts.sum():
        return []
    threshold = calibration.scales["mean"].threshold

    def draw(axes: Axes) -> None:
        edges, counts = _wider_bins(*scores.shown())
        centres = np.sqrt(edges[1:] * edges[:-1])
        for above, colour, label in (
            (False, PRIMARY, "below the threshold"),
            (True, ALARM, "above"),
        ):
            chosen = (centres > threshold) == above
            if counts[chosen].any():
                axes.bar(
                    edges[:-1][chosen], counts[chosen], np.diff(edges)[chosen], align="edge",
                    color=colour, label=label,
                )  # fmt: skip
        axes.axvline(threshold, color=ALARM, linestyle=(0, (3, 3)), linewidth=1.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(LOWEST_COUNT, 2 * float(counts.max()))
        plain_ticks(axes)
        axes.set_xlabel("score, 1 is ordinary")
        axes.set_ylabel(f"{data.unit}s")
        axes.grid(axis="x", visible=False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    share = percent(data.outliers / data.samples)
    outliers = f"{count(data.outliers)} of {count(data.samples)} ({share})"
    limit = figure(threshold, 3)
    alt = f"Histogram of scores on logarithmic axes; {outliers} lie above the threshold of {limit}"
    caption = f"Scores: {outliers} lie above the threshold of {limit}, which comes from "
    caption += f"{calibration.source}."
    return [Panel(caption, alt, one_axes(draw))]


def anomalous_panels(data: ReportData) -> list[Panel]:
    """Return the most anomalous rows as a table, each with the columns that explain its score."""
    if not data.anomalous:
        return []
    rows = [
        (count(row.number), figure(row.error, 3), _reasons_text(row))
        for row in data.anomalous[:ANOMALIES_DRAWN]
    ]

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        for position, texts in enumerate([(data.unit, "score", "because of"), *rows]):
            height = 1 - position / (len(rows) + 1)
            for (x, side, colour), text in zip(TABLE_FIELDS, texts, strict=True):
                axes.text(
                    x, height, text, va="top", ha=side, transform=axes.transAxes,
                    color=colour if position else MUTED,
                )  # fmt: skip

    first = rows[0]
    alt = f"Table of the {count(len(rows))} most anomalous {data.unit}s; the first is {first[0]} "
    alt += f"with a score of {first[1]}, caused by {first[2]}"
    caption = f"The most anomalous {data.unit}s, and the columns that deviate most: the value, "
    caption += (
        "the expected value, and the deviation as a multiple of the usual one. Rows are numbered "
    )
    caption += "from 0."
    size = (7.4, 0.3 + 0.21 * (len(rows) + 1))
    return [Panel(caption, alt, one_axes(draw), size, wide=True)]


def _reasons_text(row: ReportRow) -> str:
    shown = (
        replace(
            reason,
            column=short_name(reason.column, 18),
            value=reason.value and short_name(reason.value, 14),
            expected=reason.expected and short_name(reason.expected, 14),
        )
        for reason in reasons(row)[:2]
    )
    return "; ".join(reason_text(reason, brief=True) for reason in shown)


def _wider_bins(edges: AnyFloats, counts: Integers) -> tuple[AnyFloats, Integers]:
    """Return edges and counts with neighbouring bins joined, few enough to be seen."""
    step = -(-len(counts) // HISTOGRAM_BARS)
    fill = -len(counts) % step
    joined = np.append(counts, np.zeros(fill, dtype=np.int64)).reshape(-1, step).sum(1)
    ratio = edges[1] / edges[0]
    return edges[0] * ratio ** (step * np.arange(len(joined) + 1)), joined
