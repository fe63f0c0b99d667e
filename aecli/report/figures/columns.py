"""Draw how well each column comes back, beside its mean or mode and PCA."""

from __future__ import annotations

from matplotlib.axes import Axes

from aecli.formatting import count, percent, safe
from aecli.report.data import ColumnError, Findings
from aecli.report.style import FAINT, GRID, OTHER, OWN, WIDTH, Panel, named, single

SHOWN = 20
MOST = 1.5
"""Errors beyond this are drawn at the edge: R² of a column with an outlier may be -1,000."""


def column_panels(findings: Findings) -> list[Panel]:
    """Return the error of every column, worst first; none where there is no figure."""
    known = [column for column in findings.columns if column.error is not None]
    if not known:
        return []
    shown = known[:SHOWN]

    def draw(axes: Axes) -> None:
        places = list(range(len(shown)))
        limit = min(MOST, max(_extent(column) for column in shown)) * 1.04 or 1.0
        for place, column in zip(places, shown, strict=True):
            inside = [v for v in (column.error, column.pca) if v is not None]
            ends = [min(max(v, 0.0), limit) for v in inside]
            axes.plot([min(ends), max(ends)], [place, place], color=GRID, linewidth=3, zorder=1)
        dots(axes, [c.baseline for c in shown], limit, "|", FAINT, "mean or mode")
        dots(axes, [c.pca for c in shown], limit, "D", OTHER, "PCA")
        dots(axes, [c.error for c in shown], limit, "o", OWN, "this model")
        axes.set_yticks(places, [named(column.name) for column in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(-0.02 * limit, limit * 1.02)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("variance unexplained, or share of wrong answers")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)

    worst, best = shown[0], known[-1]
    alt = f"Dot plot of the errors of {count(len(shown), 'column')}; the worst is "
    alt += f"{safe(worst.name)} with {percent(worst.error)}"
    alt += f", the best of all {safe(best.name)} with {percent(best.error)}" if known[1:] else ""
    caption = "Error of each column, worst first: this model, PCA of the same size, and always "
    caption += "answering the mean or the most frequent value."
    caption += f" The worst {SHOWN} of {count(len(known))}." if len(known) > SHOWN else ""
    if any(_extent(column) > MOST for column in shown):
        caption += f" What is beyond {MOST:g} is at the edge."
    return [Panel(caption, alt, single(draw), (WIDTH, 1.0 + 0.2 * max(3, len(shown))))]


def _extent(column: ColumnError) -> float:
    return max(v for v in (column.error, column.baseline, column.pca) if v is not None)


def dots(
    axes: Axes, values: list[float | None], limit: float, marker: str, colour: str, label: str
) -> None:
    """Draw one mark per value, from the top down; those beyond `limit` at the edge."""
    known = [(min(max(v, 0.0), limit), place) for place, v in enumerate(values) if v is not None]
    if known:
        xs, ys = zip(*known, strict=True)
        hollow = marker == "D"
        axes.plot(
            xs, ys, marker, color=colour, label=label, markersize=9 if marker == "|" else 5,
            markerfacecolor="none" if hollow else colour, markeredgewidth=1.4, clip_on=False,
        )  # fmt: skip
