"""Draw rows and their reconstructions: as values, as images, as signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import MaxNLocator

from aecli.array_types import AnyFloats, Integers
from aecli.formatting import count, figure, safe
from aecli.reporting.anomaly_text import marked
from aecli.reporting.data import ReportData, ReportRow, SignalExcerpt
from aecli.reporting.style import (
    ALARM,
    BOTH_WAYS,
    INK,
    MUTED,
    PANEL_WIDTH,
    PRIMARY,
    SECONDARY,
    Panel,
    one_axes,
    short_name,
)
from aecli.schema.model_spec import ModelSpec

IMAGE_GAP = 0.12
"""Space between images, in images."""

ROW_CELLS_DRAWN = 8

MAX_CELL_LENGTH = 16
"""Characters of a cell of the table that a row is drawn as."""

GREYS: dict[str, Any] = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
"""Colours of images with one channel."""


def row_panels(data: ReportData) -> list[Panel]:
    """Return worst, median and best rows: as values, images or signals."""
    if data.images:
        return [image_panel(data.images)]
    if data.signal is not None:
        return [signal_panel(data.signal, data.threshold)]
    return [_row_table(rank, row, data.spec) for rank, row in data.examples.items()]


def _row_table(rank: str, row: ReportRow, spec: ModelSpec) -> Panel:
    """Return a row as a table of its values and reconstructions, the largest errors first."""
    shown = row.cells[:ROW_CELLS_DRAWN]

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_title(f"{rank} row, number {count(row.number)}")
        rows = [(("column", "value", "reconstruction"), (MUTED,) * 3)]
        for cell in shown:
            texts = (cell.column, cell.value or "", cell.expected or "")
            rows.append((texts, (INK, INK, ALARM if marked(cell, spec) else PRIMARY)))
        for position, (texts, colours) in enumerate(rows):
            height = 0.98 - position / max(len(rows), 4)
            for x, text, colour in zip((0.0, 0.34, 0.68), texts, colours, strict=True):
                name = short_name(text, MAX_CELL_LENGTH)
                axes.text(x, height, name, va="top", transform=axes.transAxes, color=colour)

    alt = f"Table of the {rank} row's values and reconstructions, error {figure(row.error, 3)}"
    caption = f"The {rank} row: its error is {figure(row.error, 3)}, and an ordinary one's 1. "
    caption += "The largest errors are first; in red are categories that differ, and numbers whose "
    caption += "error is more than 4 times the usual one."
    return Panel(caption, alt, one_axes(draw), (PANEL_WIDTH, 0.6 + 0.21 * (len(shown) + 1)))


def image_panel(images: Mapping[str, tuple[AnyFloats, AnyFloats]]) -> Panel:
    """Return images, their reconstructions and the differences, in three rows."""
    inputs, outputs = (np.concatenate(side) for side in zip(*images.values(), strict=True))
    ranks = [rank for rank, (ranked, _) in images.items() for _ in ranked]
    shown = len(inputs)
    height, width = inputs.shape[1:3]
    differences = outputs - inputs
    if differences.ndim == 4:
        differences = differences.mean(-1)
    aspect = height / width

    def draw(axes: Axes) -> None:
        step = 1 + IMAGE_GAP
        parts = (("input", inputs), ("output", outputs), ("difference", differences))
        limit = float(np.abs(differences).max()) or 1.0
        for row, (name, pictures) in enumerate(parts):
            both_ways = {"cmap": BOTH_WAYS, "vmin": -limit, "vmax": limit}
            colours = both_ways if name == "difference" else GREYS
            for position, picture in enumerate(pictures):
                show_image(axes, picture, (position * step, row * step * aspect), colours)
            axes.text(-0.1, (row * step + 0.5) * aspect, name, ha="right", va="center", fontsize=8)
        _headings(axes, ranks, step)
        axes.set_xlim(-1.2, shown * step)
        axes.set_ylim(3 * step * aspect, -0.55)
        axes.set_aspect("equal")
        axes.set_axis_off()

    alt = f"Grid of {count(shown, 'image')}: inputs, reconstructions and differences"
    caption = "The worst, median and best rows: inputs, reconstructions, differences (blue is "
    caption += "too bright, red too dark)."
    size = (7.4, 0.5 + 7.4 / (shown * (1 + IMAGE_GAP) + 1.2) * 3 * (1 + IMAGE_GAP) * aspect)
    return Panel(caption, alt, one_axes(draw), size, wide=True)


def show_image(
    axes: Axes, image: AnyFloats, corner: tuple[float, float], colours: dict[str, Any]
) -> None:
    """Draw an image of width 1 at its left and top corner, with `colours` of one channel."""
    left, top = corner
    height, width = image.shape[:2]
    extent = (left, left + 1, top + height / width, top)
    in_colour = image.ndim == 3
    axes.imshow(image, extent=extent, interpolation="none", **({} if in_colour else colours))


def _headings(axes: Axes, names: Sequence[str], step: float) -> None:
    """Write each name over the middle of its images."""
    for name in dict.fromkeys(names):
        positions = [position for position, other in enumerate(names) if other == name]
        middle = (positions[0] + positions[-1]) / 2 * step + 0.5
        axes.text(middle, -0.15, name, ha="center", va="bottom", fontsize=8, weight="bold")


def signal_panel(signal: SignalExcerpt, threshold: float | None) -> Panel:
    """Return consecutive rows with their reconstruction, and the score below."""
    numbers, columns, scores = signal
    plots = len(columns) + (scores is not None)

    def draw(figure_: FigureBase) -> None:
        grid = figure_.subplots(plots, 1, sharex=True, squeeze=False)[:, 0]
        consecutive = bool((np.diff(numbers) == 1).all())
        rows = numbers if consecutive else np.arange(len(numbers))
        for axes, (name, (values, outputs)) in zip(grid, columns.items(), strict=False):
            axes.plot(rows, values, color=PRIMARY, linewidth=1.2, label="table")
            axes.plot(rows, outputs, color=SECONDARY, linewidth=1.2, label="model")
            axes.set_title(short_name(name))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        grid[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        if scores is not None:
            _draw_scores(grid[-1], rows, scores, threshold)
        grid[-1].set_xlabel(
            "row of the table" if consecutive else "row, in the order of the series"
        )
        grid[-1].margins(x=0.01)

    first, last = count(int(numbers[0])), count(int(numbers[-1]))
    what = ", ".join(map(safe, columns))
    alt = f"Curves of {what} and their reconstructions around the most anomalous window"
    caption = f"Rows {first} to {last}, around the most anomalous window: the table, the model's "
    caption += "reconstruction, and the score of each row."
    return Panel(caption, alt, draw, (7.4, 0.5 + 1.25 * plots), wide=True)


def _draw_scores(axes: Axes, rows: Integers, scores: AnyFloats, threshold: float | None) -> None:
    axes.fill_between(rows, scores, color=MUTED, alpha=0.35, linewidth=0)
    axes.plot(rows, scores, color=MUTED, linewidth=1.0)
    if threshold is not None:
        axes.axhline(threshold, color=ALARM, linestyle=(0, (3, 3)), linewidth=1.2)
    axes.set_title("score; dashed is the threshold")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
