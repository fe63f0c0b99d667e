"""Draw each latent unit decoded from -2 to +2 standard deviations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.array_types import AnyFloats
from aecli.formatting import safe, weight
from aecli.reporting.data import ReportData, UnitTraversal
from aecli.reporting.figures.rows import GREYS, IMAGE_GAP, show_image
from aecli.reporting.style import (
    ALARM,
    INK,
    MUTED,
    PANEL_WIDTH,
    PRIMARY,
    Panel,
    one_axes,
    short_name,
)


def traversal_panels(data: ReportData) -> list[Panel]:
    """Return a panel for each decoded unit; images are all in one panel."""
    units = data.traversals
    if units and units[0].images is not None:
        return [_images(units)]
    return [_changes(one) if one.signal is None else _signal(one, *one.signal) for one in units]


def _images(units: Sequence[UnitTraversal]) -> Panel:
    images = [one.images for one in units if one.images is not None]
    height, width = images[0].shape[1:3]
    steps, aspect, step = units[0].steps, height / width, 1 + IMAGE_GAP

    def draw(axes: Axes) -> None:
        for row, (one, pictures) in enumerate(zip(units, images, strict=True)):
            for position, picture in enumerate(pictures):
                show_image(axes, picture, (position * step, row * step * aspect), GREYS)
            middle = (row * step + 0.5) * aspect
            axes.text(-0.15, middle, f"z{one.unit}", ha="right", va="center", fontsize=8)
        for position, value in enumerate(steps):
            axes.text(position * step + 0.5, -0.12, _sigma(value), ha="center", fontsize=8)
        axes.set_xlim(-0.7, len(steps) * step)
        axes.set_ylim(len(units) * step * aspect, -0.5)
        axes.set_aspect("equal")
        axes.set_axis_off()

    names = ", ".join(f"z{one.unit}" for one in units)
    caption = f"What units {names} do: each decoded from {_sigma(steps[0])} to "
    caption += f"{_sigma(steps[-1])}, the others at their means."
    alt = f"Grid of decoded images: one line for each of the units {names}, from low to high"
    size = (7.4, 0.4 + 7.4 / (len(steps) * step + 0.7) * len(units) * step * aspect)
    return Panel(caption, alt, one_axes(draw), size, wide=True)


def _signal(one: UnitTraversal, column: str, signal: AnyFloats) -> Panel:
    largest = max(map(abs, one.steps))

    def draw(axes: Axes) -> None:
        for value, curve in zip(one.steps, signal, strict=True):
            colour = INK if value == 0 else PRIMARY if value > 0 else ALARM
            alpha = 1.0 if value == 0 else abs(value) / largest
            axes.plot(curve, color=colour, alpha=alpha, label=_sigma(value), linewidth=1.3)
        axes.set_title(f"z{one.unit} in {short_name(column, 20)}")
        axes.set_xlabel("row of the window")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    what = f"unit z{one.unit}, in the column that it moves most, {safe(column)}"
    alt = f"Curves of a decoded window at {len(signal)} values of {what}"
    return Panel(f"What {what} does: a window decoded at each value.", alt, one_axes(draw))


def _changes(one: UnitTraversal) -> Panel:
    names = [short_name(name) for name, _ in one.changes]
    changes = np.array([change for _, change in one.changes])

    def draw(axes: Axes) -> None:
        positions = np.arange(len(changes))
        for chosen, colour in ((changes >= 0, PRIMARY), (changes < 0, ALARM)):
            axes.barh(positions[chosen], changes[chosen], color=colour, height=0.62)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(positions, names)
        axes.set_ylim(len(changes) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"z{one.unit}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(lambda value, _position: weight(value))
        axes.set_xlabel("change from -2σ to +2σ")

    largest = ", ".join(safe(name) for name, _ in one.changes[:3])
    caption = f"What unit z{one.unit} moves: numbers in their own standard deviations, the rest "
    caption += "in probability."
    alt = f"Bars of how far columns go with unit z{one.unit}; most of all {largest}"
    return Panel(caption, alt, one_axes(draw), (PANEL_WIDTH, 1.0 + 0.26 * max(2, len(changes))))


def _sigma(value: float) -> str:
    return "mean" if value == 0 else f"{value:+g}σ".replace("-", "−")
