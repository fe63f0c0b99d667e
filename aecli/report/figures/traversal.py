"""Draw what each latent unit does, from -2 to +2 standard deviations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import safe, weight
from aecli.report.data import Findings, Traversal
from aecli.report.style import ALARM, FAINT, INK, OWN, WIDTH, Panel, named, single

GAP = 0.12


def traversal_panels(findings: Findings) -> list[Panel]:
    """Return what the decoder makes of each unit that is shown; all images in one panel."""
    found = findings.traversals
    if not found:
        return []
    if found[0].images is not None:
        return [_images(found)]
    return [_signal(one) if one.signal is not None else _bars(one) for one in found]


def _images(found: Sequence[Traversal]) -> Panel:
    pictures = [one.images for one in found if one.images is not None]
    height, width = pictures[0].shape[1:3]
    steps, aspect, step = found[0].steps, height / width, 1 + GAP

    def draw(axes: Axes) -> None:
        for line, (one, row) in enumerate(zip(found, pictures, strict=True)):
            for place, picture in enumerate(row):
                top = line * step * aspect
                where = (place * step, place * step + 1, top + aspect, top)
                how = {} if picture.ndim == 3 else {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
                axes.imshow(picture, extent=where, interpolation="none", **how)  # type: ignore[arg-type]
            middle = (line * step + 0.5) * aspect
            axes.text(-0.15, middle, f"z{one.unit}", ha="right", va="center", fontsize=8)
        for place, value in enumerate(steps):
            axes.text(place * step + 0.5, -0.12, _sigma(value), ha="center", fontsize=8)
        axes.set_xlim(-0.7, len(steps) * step)
        axes.set_ylim(len(found) * step * aspect, -0.5)
        axes.set_aspect("equal")
        axes.set_axis_off()

    units = ", ".join(f"z{one.unit}" for one in found)
    caption = f"What units {units} do: each decoded from {_sigma(steps[0])} to "
    caption += f"{_sigma(steps[-1])}, the others at their means."
    alt = f"Grid of decoded images: one line for each of the units {units}, from low to high"
    size = (7.4, 0.4 + 7.4 / (len(steps) * step + 0.7) * len(found) * step * aspect)
    return Panel(caption, alt, single(draw), size, wide=True)


def _signal(one: Traversal) -> Panel:
    signal = one.signal
    assert signal is not None, "the caller has looked"
    most = max(map(abs, one.steps))

    def draw(axes: Axes) -> None:
        for value, line in zip(one.steps, signal, strict=True):
            colour = INK if value == 0 else OWN if value > 0 else ALARM
            alpha = 1.0 if value == 0 else abs(value) / most
            axes.plot(line, color=colour, alpha=alpha, label=_sigma(value), linewidth=1.3)
        axes.set_title(f"z{one.unit} in {named(one.channel, 20)}")
        axes.set_xlabel("row of the window")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    what = f"unit z{one.unit}, in the column that it moves most, {safe(one.channel)}"
    alt = f"Curves of a decoded window at {len(signal)} values of {what}"
    return Panel(f"What {what} does: a window decoded at each value.", alt, single(draw))


def _bars(one: Traversal) -> Panel:
    names = [named(name) for name, _ in one.bars]
    moves = np.array([move for _, move in one.bars])

    def draw(axes: Axes) -> None:
        places = np.arange(len(moves))
        for chosen, colour in ((moves >= 0, OWN), (moves < 0, ALARM)):
            axes.barh(places[chosen], moves[chosen], color=colour, height=0.62)
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.set_yticks(places, names)
        axes.set_ylim(len(moves) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"z{one.unit}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(lambda value, _place: weight(value))
        axes.set_xlabel("change from -2σ to +2σ")

    most = ", ".join(safe(name) for name, _ in one.bars[:3])
    caption = f"What unit z{one.unit} moves: numbers in their own standard deviations, the rest "
    caption += "in probability."
    alt = f"Bars of how far columns go with unit z{one.unit}; most of all {most}"
    return Panel(caption, alt, single(draw), (WIDTH, 1.0 + 0.26 * max(2, len(moves))))


def _sigma(value: float) -> str:
    return "mean" if value == 0 else f"{value:+g}σ".replace("-", "−")
