"""Draw the loss of every term and the gradient norms, by epoch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure
from aecli.progress import Epoch
from aecli.reporting.data import ReportData
from aecli.reporting.style import (
    MUTED,
    PRIMARY,
    SECONDARY,
    SERIES,
    Panel,
    one_axes,
    plain_ticks,
    short_name,
)

LOG_SCALE_RATIO = 20.0
"""Losses whose largest is so many times the smallest are drawn on a logarithmic axis."""

LAYERS_DRAWN = 9

TERM_ORDER = ("total", "reconstruction", "classification", "l0", "l1", "l2")

Curve = Sequence[float | None]
"""A value for each epoch."""


def loss_panels(data: ReportData) -> list[Panel]:
    """Return one panel per loss term; none where there is no history."""
    curves = loss_curves(data.history)
    return [_loss(data.history, name, *sides) for name, sides in curves.items()]


def loss_curves(history: Sequence[Epoch]) -> dict[str, tuple[Curve, Curve]]:
    """Return the training and validation curve of each loss term.

    A validation curve is empty where no rows were held out.
    """
    names = dict.fromkeys(name for epoch in history for name in epoch.train)
    train, valid = [epoch.train for epoch in history], [epoch.valid for epoch in history]
    terms = {
        name: (_curve(train, name), _curve(valid, name))
        for name in sorted(names, key=lambda name: (_term_position(name), name))
    }
    curves = list(terms.values())
    if len(curves) == 2 and curves[0] == curves[1]:
        del terms["total"]  # the sum of one term with weight 1
    return terms


def _term_position(name: str) -> int:
    return TERM_ORDER.index(name) if name in TERM_ORDER else len(TERM_ORDER)


def _curve(figures: Sequence[Mapping[str, float] | None], name: str) -> Curve:
    return [(known or {}).get(name) for known in figures] if any(figures) else []


def _loss(history: Sequence[Epoch], name: str, train: Curve, valid: Curve) -> Panel:
    epochs = [epoch.number for epoch in history]
    best = max((place for place, epoch in enumerate(history) if epoch.best), default=None)

    def draw(axes: Axes) -> None:
        marker = "o" if len(epochs) == 1 else ""
        axes.plot(epochs, as_drawn(train), color=PRIMARY, label="training", marker=marker)
        if valid:
            axes.plot(epochs, as_drawn(valid), color=SECONDARY, label="validation", marker=marker)
        side = valid or train
        if best is not None and side[best] is not None:
            axes.axvline(epochs[best], color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
            axes.plot(
                [epochs[best]], as_drawn(side)[best], "o",
                color=SECONDARY if valid else PRIMARY, label=f"best, epoch {epochs[best]}",
            )  # fmt: skip
        scale_losses(axes, [*train, *valid])
        axes.set_title(short_name(name))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.margins(x=0.02)
        axes.legend(loc="best")

    what = f"Loss, {name}" if name != "total" else "Loss, all terms together"
    caption = what + (": training and validation." if valid else ": training rows only.")
    alt = _description(name, train, valid)
    if best is not None:
        alt += f"; best epoch {epochs[best]} with {figure((valid or train)[best])}"
    return Panel(caption, alt, one_axes(draw))


def _description(name: str, train: Curve, valid: Curve) -> str:
    parts = [f"Curve of the {name} loss over {count(len(train), 'epoch')}"]
    parts.append(f"training from {figure(train[0])} to {figure(train[-1])}")
    if valid:
        parts.append(f"validation from {figure(valid[0])} to {figure(valid[-1])}")
    return "; ".join(parts)


def as_drawn(curve: Curve) -> list[float]:
    """Return a curve with NaN, which leaves a gap, for unknown values."""
    return [float("nan") if value is None else value for value in curve]


def scale_losses(axes: Axes, values: list[float | None]) -> None:
    """Make the axis logarithmic where losses differ widely."""
    known = [value for value in values if value is not None]
    if known and min(known) > 0 and max(known) / min(known) > LOG_SCALE_RATIO:
        axes.set_yscale("log")
        plain_ticks(axes)


def gradient_panels(data: ReportData) -> list[Panel]:
    """Return the gradient norms of the layers over the epochs; none where they were not logged."""
    epochs = [epoch.number for epoch in data.history]
    norms = [epoch.gradients for epoch in data.history]
    layers = {name: _curve(norms, name) for name in dict.fromkeys(itertools.chain(*norms))}
    if not layers:
        return []

    def draw(axes: Axes) -> None:
        step = max(1, -(-len(layers) // LAYERS_DRAWN))
        chosen = list(layers.items())[::step]
        for colour, (name, line) in zip(SERIES, chosen, strict=False):
            shown = axes.plot(epochs, as_drawn(line), color=colour, label=short_name(name))
            shown[0].set_marker("o" if len(epochs) == 1 else "")
        values = [value for line in layers.values() for value in line if value]
        if values:
            axes.set_yscale("log")
            plain_ticks(axes)
        axes.set_title("gradient norms by layer")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    alt = f"Curves of the gradient norms of {count(len(layers), 'layer')} over "
    alt += f"{count(len(epochs), 'epoch')}, on a logarithmic axis"
    caption = "Gradient norms. A layer far below the others learns slowly."
    return [Panel(caption, alt, one_axes(draw))]
