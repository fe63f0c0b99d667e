"""Draw a summary card of a model: header, verdict, tiles, map of the latent, columns or images."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from aecli.formatting import count, percent, safe
from aecli.reporting.data import ReportData, column_error
from aecli.reporting.figures.card_map import SMALL_TEXT, draw_card_map
from aecli.reporting.figures.columns import MAX_ERROR_DRAWN, dots
from aecli.reporting.figures.rows import GREYS, IMAGE_GAP, show_image
from aecli.reporting.style import (
    ALARM,
    GRID,
    INK,
    MUTED,
    PAPER,
    PRIMARY,
    SECONDARY,
    Panel,
    short_name,
)
from aecli.reporting.tiles import Tile, tiles
from aecli.reporting.verdict import verdict

CARD_SIZE = (6.0, 3.15)
"""1200 × 630 pixels as a png, the size of link previews."""

CARD_PIXELS = (1200, 630)
CARD_MARGIN = 36
TILE_TOP, TILE_HEIGHT, TILE_GAP = 170, 158, 16
PLOT_TOP, PLOT_BOTTOM = 362, 596
MAP_WIDTH = 0.47
"""Share of the card's width that the map has next to another plot."""

CARD_COLUMNS = 8
CARD_BARS = 40
MAX_COLUMN_NAME = 190
"""Width of a column's name in pixels."""

CARD_MARKS = 0.55
"""Size of the marks relative to those of `plot columns`."""

LARGE_TEXT, MIDDLE_TEXT, TITLE_TEXT = 13.0, 8.6, 6.6
"""Sizes in points: 36, 24 and 18 pixels."""

MUTED_TEXT: dict[str, Any] = {"fontsize": SMALL_TEXT, "color": MUTED}
MIN_LETTERS = 3

NOTE_MARKS = {"pca": "◇\u00a0", "trivial": "┃\u00a0"}


def card_panels(data: ReportData) -> list[Panel]:
    """Return one card with all that a reader should see first; none without a table."""
    if data.evaluation is None:
        return []
    sentence, figures = verdict(data)
    found = tiles(data)

    def draw(figure_: FigureBase) -> None:
        if isinstance(figure_, Figure):
            figure_.set_layout_engine("none")
        whole = figure_.add_axes((0, 0, 1, 1))
        whole.set_axis_off()
        whole.set_xlim(0, CARD_PIXELS[0])
        whole.set_ylim(CARD_PIXELS[1], 0)
        _draw_header(whole, data, sentence, figures)
        _draw_tiles(whole, data, found)
        _draw_plots(figure_, data)

    shown = "; ".join(" ".join(filter(None, (t.title, t.text, t.unit))) for t in found)
    alt = f"Card of {safe(data.model.name)}: {sentence} {shown}".rstrip()
    caption = "The model on one card: figures against PCA and the trivial baseline, and its latent."
    return [Panel(caption, alt, draw, CARD_SIZE, wide=True)]


def _draw_header(axes: Axes, data: ReportData, sentence: str, figures: str) -> None:
    columns, latent = len(data.spec.columns), data.spec.network.latent
    table = short_name(Path(data.data or "").name, 40)
    about = f"{table}, {count(data.samples, data.unit)} · {count(columns, 'column')} → "
    about += count(latent, "number")
    left, right = CARD_MARGIN, CARD_PIXELS[0] - CARD_MARGIN
    width = float(right - left)
    name = safe(data.model.absolute().name)
    _write(axes, (left, 54), name, 0.45 * width, fontsize=LARGE_TEXT, weight="bold")
    _write(axes, (right, 54), about, 0.5 * width, ha="right", **MUTED_TEXT)
    _write(axes, (left, 102), sentence, width, fontsize=MIDDLE_TEXT, weight="bold")
    _write(axes, (left, 116), figures, width, lines=2, fontsize=SMALL_TEXT, va="top")


def _write(
    axes: Axes, at: tuple[float, float], text: str, width: float, *, lines: int = 1, **style: Any
) -> Text:
    """Write a text on lines of at most `width` pixels, shortened where it needs more of them."""
    text = text.replace(" %", "\u00a0%")
    written, letters = axes.text(*at, text, **style), len(text)
    while letters > MIN_LETTERS and _width(written) > width:
        letters = max(MIN_LETTERS, min(letters - 1, int(letters * width / _width(written))))
        written.set_text("\n".join(textwrap.wrap(text, letters, max_lines=lines, placeholder=" …")))
    return written


def _width(text: Text) -> float:
    """Return the width of a text in pixels of the card."""
    extent, figure_ = text.get_window_extent(), text.get_figure(root=True)
    assert figure_ is not None, "the text is on axes"
    return float(extent.width / figure_.bbox.width * CARD_PIXELS[0])


def _draw_tiles(axes: Axes, data: ReportData, found: Sequence[Tile]) -> None:
    room = CARD_PIXELS[0] - 2 * CARD_MARGIN
    width = (room - 3 * TILE_GAP) / 4 if len(found) == 4 else (room - 2 * TILE_GAP) / 3
    for position, tile in enumerate(found):
        left = CARD_MARGIN + position * (width + TILE_GAP)
        box = (left, TILE_TOP), width, TILE_HEIGHT
        axes.add_patch(
            FancyBboxPatch(
                *box, boxstyle="round,pad=0,rounding_size=8", facecolor="none",
                edgecolor=GRID, linewidth=0.7,
            )
        )  # fmt: skip
        _draw_tile(axes, data, tile, left + 12, width - 24)


def _draw_tile(axes: Axes, data: ReportData, tile: Tile, left: float, width: float) -> None:
    _write(axes, (left, TILE_TOP + 25), tile.title, width, **MUTED_TEXT)
    value = axes.text(left, TILE_TOP + 61, tile.text, fontsize=LARGE_TEXT, weight="bold")
    beside = left + _width(value) + 12
    _write(axes, (beside, TILE_TOP + 61), tile.unit, left + width - beside, **MUTED_TEXT)
    if tile.key == "anomalies":
        _draw_scores(axes, data, left, width)
    else:
        _draw_bullet(axes, tile, left, width)
    notes = " · ".join(NOTE_MARKS.get(kind, "") + text for kind, text in tile.notes)
    at = (left, TILE_TOP + 98)
    _write(axes, at, notes, width, lines=3, va="top", linespacing=1.1, **MUTED_TEXT)


def _draw_bullet(axes: Axes, tile: Tile, left: float, width: float) -> None:
    """Draw a share as a bar of 1 with its interval, PCA as a diamond, the trivial one as a line."""
    middle, thick = TILE_TOP + 81, 5.0

    def at(share: float) -> float:
        return left + width * min(max(share, 0.0), 1.0)

    axes.plot([left, at(1)], [middle] * 2, color=GRID, linewidth=thick, solid_capstyle="butt")
    axes.plot(
        [left, at(tile.value)], [middle] * 2, color=PRIMARY, linewidth=thick, alpha=0.35,
        solid_capstyle="butt",
    )  # fmt: skip
    if tile.trivial is not None:
        axes.plot(at(tile.trivial), middle, "|", color=INK, markersize=9, markeredgewidth=1.2)
    if tile.pca is not None:
        axes.plot(
            at(tile.pca), middle, "D", color=SECONDARY, markersize=4.6, markerfacecolor=PAPER,
            markeredgewidth=1.2,
        )  # fmt: skip
    axes.plot(at(tile.value), middle, "o", color=PRIMARY, markersize=4.6)
    if tile.interval is not None:
        ends = [at(tile.interval.low), at(tile.interval.high)]
        # The outline keeps the interval visible on the dot, which may be wider.
        for colour, width in ((PAPER, 1.9), (INK, 0.8)):
            axes.plot(
                ends, [middle] * 2, "|-", color=colour, linewidth=width, markersize=4.6,
                markeredgewidth=width,
            )  # fmt: skip


def _draw_scores(axes: Axes, data: ReportData, left: float, width: float) -> None:
    """Draw the histogram of the scores, the ones above the threshold in another colour."""
    if data.scores is None or data.threshold is None:
        return
    edges, counts = data.scores.shown()
    step = -(-len(counts) // CARD_BARS)
    starts = np.arange(0, len(counts), step)
    heights = np.add.reduceat(counts, starts) ** 0.5
    size = width / CARD_BARS
    height = 26 * heights / max(float(heights.max()), 1.0)
    colours = [ALARM if edges[start] >= data.threshold else PRIMARY for start in starts]
    positions = left + size * np.arange(len(starts))
    axes.bar(positions, -height, 0.85 * size, TILE_TOP + 92, align="edge", color=colours)


def _draw_plots(figure_: FigureBase, data: ReportData) -> None:
    draws: list[Callable[[Axes], None]] = []
    if data.maps and len(data.maps[0].points) > 1:
        draws.append(lambda axes: _title(axes, draw_card_map(axes, data.maps[0], data)))
    if data.images:
        draws.append(lambda axes: _draw_strip(axes, data))
    elif any(column.value is not None for column in data.columns):
        draws.append(lambda axes: _draw_columns(axes, data))
    margin, gap = CARD_MARGIN / CARD_PIXELS[0], 0.03
    bottom = 1 - PLOT_BOTTOM / CARD_PIXELS[1]
    height = (PLOT_BOTTOM - PLOT_TOP) / CARD_PIXELS[1]
    left = margin
    for position, draw in enumerate(draws):
        first = position == 0 and len(draws) == 2
        width = MAP_WIDTH - margin if first else 1 - margin - left
        draw(figure_.add_axes((left, bottom, width, height)))
        left += width + gap


def _title(axes: Axes, text: str, left: float = 0.0) -> None:
    axes.set_title(text, fontsize=TITLE_TEXT, pad=4, x=left)


def _draw_columns(axes: Axes, data: ReportData) -> None:
    shown = [column for column in data.columns if column.value is not None][:CARD_COLUMNS]
    of_each = [[column_error(v) for v in (c.baseline, c.pca, c.value)] for c in shown]
    largest = max(error for errors in of_each for error in errors if error is not None)
    limit = min(MAX_ERROR_DRAWN, largest) * 1.04 or 1.0
    marks = (("|", MUTED, "trivial"), ("D", SECONDARY, "PCA"), ("o", PRIMARY, "model"))
    for side, (marker, colour, name) in enumerate(marks):
        dots(axes, [errors[side] for errors in of_each], limit, marker, colour, name, CARD_MARKS)
    axes.set_yticks(range(len(shown)), [short_name(column.name, 20) for column in shown])
    fitting = [_fitting_name(label) for label in axes.get_yticklabels()]
    axes.set_yticks(range(len(shown)), fitting)
    axes.set_ylim(max(len(shown), 3) - 0.5, -0.6)
    axes.set_xlim(-0.02 * limit, limit * 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
    axes.tick_params(labelsize=SMALL_TEXT, pad=1)
    axes.tick_params(axis="y", pad=4)
    axes.grid(axis="y", visible=False)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=3, fontsize=SMALL_TEXT,
        handletextpad=0.2, columnspacing=1.0, borderaxespad=0,
    )  # fmt: skip
    # Names of columns are left of the axes: the box becomes narrower by the widest of them.
    left, bottom, width, height = axes.get_position().bounds
    room = (1.06 * max(map(_width, axes.get_yticklabels())) + 12) / CARD_PIXELS[0]
    axes.set_position((left + room, bottom, width - room, height))
    _title(axes, "Largest errors by column", -room / (width - room))


def _fitting_name(label: Text) -> str:
    """Return the text of a label, shortened to the room for names of columns."""
    while _width(label) > MAX_COLUMN_NAME and len(label.get_text()) > MIN_LETTERS:
        label.set_text(label.get_text().removesuffix("…")[:-1] + "…")
    return label.get_text()


def _draw_strip(axes: Axes, data: ReportData) -> None:
    """Draw some images over their reconstructions."""
    inputs, outputs = (np.concatenate(side) for side in zip(*data.images.values(), strict=True))
    aspect, step = inputs.shape[1] / inputs.shape[2], 1 + IMAGE_GAP
    _, _, width, height = axes.get_window_extent().bounds
    fitting = min(len(inputs), max(1, round(2 * aspect * width / height)))
    chosen = np.linspace(0, len(inputs) - 1, fitting).round().astype(np.int64)
    for row, pictures in enumerate((inputs, outputs)):
        for position, number in enumerate(chosen):
            corner = (position * step, row * step * aspect)
            show_image(axes, pictures[number], corner, GREYS)
    axes.set_xlim(0, len(chosen) * step)
    axes.set_ylim(2 * step * aspect, 0)
    axes.set_aspect("equal", anchor="NW")
    axes.set_axis_off()
    _title(axes, "Inputs above, reconstructions below")
