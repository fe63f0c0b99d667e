"""Draw the reconstruction error of each column, of the model, PCA and the mean or mode."""

from __future__ import annotations

from matplotlib.axes import Axes

from aecli.formatting import count, percent, safe
from aecli.metrics.column_scores import ColumnScore
from aecli.reporting.data import ReportData, column_error
from aecli.reporting.style import (
    GRID,
    MUTED,
    PANEL_WIDTH,
    PRIMARY,
    SECONDARY,
    Panel,
    one_axes,
    short_name,
)

COLUMNS_DRAWN = 20
MAX_ERROR_DRAWN = 1.5
"""Larger errors are drawn at the edge: R² of a column with an outlier may be -1,000."""


def column_panels(data: ReportData) -> list[Panel]:
    """Return every column's error, the largest share of it first; none where all are undefined."""
    known = [column for column in data.columns if column.value is not None]
    if not known:
        return []
    shown = known[:COLUMNS_DRAWN]
    largest = max(max(_errors(column)) for column in shown)

    def draw(axes: Axes) -> None:
        positions = list(range(len(shown)))
        limit = min(MAX_ERROR_DRAWN, largest) * 1.04 or 1.0
        for position, column in zip(positions, shown, strict=True):
            inner = (column_error(value) for value in (column.value, column.pca))
            ends = [min(max(error, 0.0), limit) for error in inner if error is not None]
            axes.plot([min(ends), max(ends)], [position] * 2, color=GRID, linewidth=3, zorder=1)
        dots(axes, [column_error(c.baseline) for c in shown], limit, "|", MUTED, "mean or mode")
        dots(axes, [column_error(c.pca) for c in shown], limit, "D", SECONDARY, "PCA")
        dots(axes, [column_error(c.value) for c in shown], limit, "o", PRIMARY, "this model")
        axes.set_yticks(positions, [short_name(column.name) for column in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(-0.02 * limit, limit * 1.02)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("1 − R², or error rate")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)

    worst, best = (
        f"{safe(c.name)} with {percent(column_error(c.value))}" for c in (shown[0], known[-1])
    )
    alt = f"Dot plot of the errors of {count(len(shown), 'column')}; most of the error is that of "
    alt += worst + f", least that of {best}" * (len(known) > 1)
    caption = "Error of each column, that with the largest share of the whole first: this model, "
    caption += "PCA of the same size, and always predicting the mean or the most frequent value."
    caption += f" The first {COLUMNS_DRAWN} of {count(len(known))}." * (len(known) > COLUMNS_DRAWN)
    if largest > MAX_ERROR_DRAWN:
        caption += f" Errors beyond {MAX_ERROR_DRAWN:g} are drawn at the edge."
    return [Panel(caption, alt, one_axes(draw), (PANEL_WIDTH, 1.0 + 0.2 * max(3, len(shown))))]


def _errors(column: ColumnScore) -> list[float]:
    errors = map(column_error, (column.value, column.baseline, column.pca))
    return [error for error in errors if error is not None]


def dots(
    axes: Axes,
    values: list[float | None],
    limit: float,
    marker: str,
    colour: str,
    label: str,
    size: float = 1.0,
) -> None:
    """Draw one mark per value, from the top down; those beyond `limit` at the edge."""
    known = [
        (min(max(v, 0.0), limit), position) for position, v in enumerate(values) if v is not None
    ]
    if known:
        xs, ys = zip(*known, strict=True)
        hollow = marker == "D"
        axes.plot(
            xs, ys, marker, color=colour, label=label, clip_on=False,
            markersize=size * (9 if marker == "|" else 5),
            markerfacecolor="none" if hollow else colour, markeredgewidth=1.4 * size,
        )  # fmt: skip
