"""Draw the loss of every term and the gradient norms, by epoch."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure
from aecli.reporting.data import Curve, ReportData, TrainingCurves
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


def loss_panels(data: ReportData) -> list[Panel]:
    """Return one panel per loss term; none where there is no history."""
    training = data.training
    return [_loss(training, name) for name in training.terms] if training.epochs else []


def _loss(training: TrainingCurves, name: str) -> Panel:
    train, valid = training.terms[name]
    position = training.epochs.index(training.best) if training.best in training.epochs else None

    def draw(axes: Axes) -> None:
        marker = "o" if len(training.epochs) == 1 else ""
        axes.plot(training.epochs, as_drawn(train), color=PRIMARY, label="training", marker=marker)
        if valid:
            axes.plot(
                training.epochs, as_drawn(valid), color=SECONDARY, label="validation", marker=marker
            )
        side = valid or train
        if position is not None and side[position] is not None:
            axes.axvline(
                training.epochs[position], color=MUTED, linewidth=0.9, linestyle=(0, (3, 3))
            )
            axes.plot(
                [training.epochs[position]], as_drawn(side)[position], "o",
                color=SECONDARY if valid else PRIMARY, label=f"best, epoch {training.best}",
            )  # fmt: skip
        scale_losses(axes, [*train, *valid])
        axes.set_title(short_name(name))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.margins(x=0.02)
        axes.legend(loc="best")

    what = f"Loss, {name}" if name != "total" else "Loss, all terms together"
    caption = what + (": training and validation." if valid else ": training rows only.")
    return Panel(caption, _description(training, name, train, valid, position), one_axes(draw))


def _description(
    training: TrainingCurves, name: str, train: Curve, valid: Curve, position: int | None
) -> str:
    parts = [f"Curve of the {name} loss over {count(len(training.epochs), 'epoch')}"]
    parts.append(f"training from {figure(train[0])} to {figure(train[-1])}")
    if valid:
        parts.append(f"validation from {figure(valid[0])} to {figure(valid[-1])}")
    if position is not None:
        parts.append(f"best epoch {training.best} with {figure((valid or train)[position])}")
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
    training = data.training
    if not training.gradients:
        return []

    def draw(axes: Axes) -> None:
        step = max(1, -(-len(training.gradients) // LAYERS_DRAWN))
        chosen = list(training.gradients.items())[::step]
        for colour, (name, line) in zip(SERIES, chosen, strict=False):
            shown = axes.plot(training.epochs, as_drawn(line), color=colour, label=short_name(name))
            shown[0].set_marker("o" if len(training.epochs) == 1 else "")
        values = [value for line in training.gradients.values() for value in line if value]
        if values:
            axes.set_yscale("log")
            plain_ticks(axes)
        axes.set_title("gradient norms by layer")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    alt = f"Curves of the gradient norms of {count(len(training.gradients), 'layer')} over "
    alt += f"{count(len(training.epochs), 'epoch')}, on a logarithmic axis"
    caption = "Gradient norms. A layer far below the others hardly learns."
    return [Panel(caption, alt, one_axes(draw))]
