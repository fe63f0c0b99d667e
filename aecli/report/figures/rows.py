"""Draw rows beside their reconstructions: as values, as images, as signals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import MaxNLocator

from aecli.array_types import AnyFloats, Integers
from aecli.formatting import count, figure, safe
from aecli.report.data import Findings, Images, Restored, Signal
from aecli.report.style import ALARM, BOTH_WAYS, FAINT, INK, OTHER, OWN, WIDTH, Panel, named, single

GAP = 0.12
"""Space between images, in images."""


def row_panels(findings: Findings) -> list[Panel]:
    """Return best, median and worst rows: as images or signals where they are such."""
    if findings.images is not None:
        return [image_panel(findings.images)]
    if findings.signal is not None:
        return [signal_panel(findings.signal)]
    return [_values(row) for row in findings.restored]


def _values(row: Restored) -> Panel:
    """Draw a row as a table of what it says and what came back."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_title(f"{row.rank} row, number {count(row.row)}")
        lines = [("column", "value", "reconstruction")]
        lines += [
            (named(c.column, 20), named(c.value, 16), named(c.reconstruction, 16))
            for c in row.cells
        ]
        for place, line in enumerate(lines):
            height = 0.98 - place / max(len(lines), 4)
            for x, text in zip((0.0, 0.42, 0.72), line, strict=True):
                colour = FAINT if place == 0 else OWN if x > 0.7 else INK
                axes.text(x, height, text, va="top", transform=axes.transAxes, color=colour)

    alt = f"Table of the {row.rank} row's values and reconstructions, error {figure(row.error, 3)}"
    caption = f"The {row.rank} row: its error is {figure(row.error, 3)}, and an ordinary one's 1."
    return Panel(caption, alt, single(draw), (WIDTH, 0.6 + 0.21 * (len(row.cells) + 1)))


def image_panel(images: Images) -> Panel:
    """Return images, how they came back, and the difference, in three lines."""
    shown = len(images.inputs)
    height, width = images.inputs.shape[1:3]
    apart = images.outputs - images.inputs
    if apart.ndim == 4:
        apart = apart.mean(-1)
    aspect = height / width

    def draw(axes: Axes) -> None:
        step = 1 + GAP
        parts = (("input", images.inputs), ("output", images.outputs), ("difference", apart))
        limit = float(np.abs(apart).max()) or 1.0
        for line, (name, pictures) in enumerate(parts):
            how = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
            if name == "difference":
                how = {"cmap": BOTH_WAYS, "vmin": -limit, "vmax": limit}
            for place, picture in enumerate(pictures):
                _show(axes, picture, place * step, line * step * aspect, aspect, how)
            axes.text(-0.1, (line * step + 0.5) * aspect, name, ha="right", va="center", fontsize=8)
        _heads(axes, images.names, step, aspect)
        axes.set_xlim(-1.2, shown * step)
        axes.set_ylim(3 * step * aspect, -0.55)
        axes.set_aspect("equal")
        axes.set_axis_off()

    alt = f"Grid of {count(shown, 'image')}: inputs, reconstructions and differences"
    caption = "The best, median and worst rows: inputs, reconstructions, differences (blue is "
    caption += "too bright, red too dark)."
    size = (7.4, 0.5 + 7.4 / (shown * (1 + GAP) + 1.2) * 3 * (1 + GAP) * aspect)
    return Panel(caption, alt, single(draw), size, wide=True)


def _show(
    axes: Axes, picture: AnyFloats, left: float, top: float, aspect: float, how: dict[str, object]
) -> None:
    where = (left, left + 1, top + aspect, top)
    colour = picture.ndim == 3
    axes.imshow(picture, extent=where, interpolation="none", **({} if colour else how))  # type: ignore[arg-type]


def _heads(axes: Axes, names: Sequence[str], step: float, aspect: float) -> None:
    """Write each run of equal names over its middle."""
    for name in dict.fromkeys(names):
        places = [place for place, other in enumerate(names) if other == name]
        middle = (places[0] + places[-1]) / 2 * step + 0.5
        axes.text(middle, -0.15, name, ha="center", va="bottom", fontsize=8, weight="bold")


def signal_panel(signal: Signal) -> Panel:
    """Return a stretch of rows with its reconstruction, and the score below."""
    lines = len(signal.channels) + (signal.scores is not None)

    def draw(figure_: FigureBase) -> None:
        grid = figure_.subplots(lines, 1, sharex=True, squeeze=False)[:, 0]
        rows = np.arange(len(signal.rows))
        together = bool((np.diff(signal.rows) == 1).all())
        rows = signal.rows if together else rows
        for axes, channel in zip(grid, signal.channels, strict=False):
            axes.plot(rows, channel.values, color=OWN, linewidth=1.2, label="table")
            axes.plot(rows, channel.reconstruction, color=OTHER, linewidth=1.2, label="model")
            axes.set_title(named(channel.name))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        grid[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        if signal.scores is not None:
            _draw_scores(grid[-1], rows, signal.scores, signal.threshold)
        grid[-1].set_xlabel("row of the table" if together else "row, in the order of the series")
        grid[-1].margins(x=0.01)

    first, last = count(int(signal.rows[0])), count(int(signal.rows[-1]))
    what = ", ".join(safe(channel.name) for channel in signal.channels)
    alt = f"Curves of {what} and their reconstructions around the oddest window"
    caption = f"Rows {first} to {last}, around the oddest window: the table, the model's "
    caption += "reconstruction, and the score of each row."
    return Panel(caption, alt, draw, (7.4, 0.5 + 1.25 * lines), wide=True)


def _draw_scores(axes: Axes, rows: Integers, scores: AnyFloats, threshold: float | None) -> None:
    axes.fill_between(rows, scores, color=FAINT, alpha=0.35, linewidth=0)
    axes.plot(rows, scores, color=FAINT, linewidth=1.0)
    if threshold is not None:
        axes.axhline(threshold, color=ALARM, linestyle=(0, (3, 3)), linewidth=1.2)
    axes.set_title("score; dashed is the threshold")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
