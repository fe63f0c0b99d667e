"""Draw how a training went: the loss of every term, and gradient norms."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure
from aecli.report.data import Findings, Line, Training
from aecli.report.style import FAINT, OTHER, OWN, SERIES, Panel, named, plain_ticks, single

WIDE_RANGE = 20.0
"""A loss that falls to less than a twentieth is drawn on a logarithmic axis."""

LAYERS = 9


def loss_panels(findings: Findings) -> list[Panel]:
    """Return one panel per loss term; none where there is no history."""
    training = findings.training
    return [_loss(training, name) for name in training.terms] if training.epochs else []


def _loss(training: Training, name: str) -> Panel:
    train, valid = training.terms[name]
    place = training.epochs.index(training.best) if training.best in training.epochs else None

    def draw(axes: Axes) -> None:
        marker = "o" if len(training.epochs) == 1 else ""
        axes.plot(training.epochs, as_drawn(train), color=OWN, label="training", marker=marker)
        if valid:
            axes.plot(
                training.epochs, as_drawn(valid), color=OTHER, label="validation", marker=marker
            )
        side = valid or train
        if place is not None and side[place] is not None:
            axes.axvline(training.epochs[place], color=FAINT, linewidth=0.9, linestyle=(0, (3, 3)))
            axes.plot(
                [training.epochs[place]], as_drawn(side)[place], "o",
                color=OTHER if valid else OWN, label=f"best, epoch {training.best}",
            )  # fmt: skip
        scale(axes, [*train, *valid])
        axes.set_title(named(name))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.margins(x=0.02)
        axes.legend(loc="best")

    what = f"Loss, {name}" if name != "total" else "Loss, all terms together"
    caption = what + (": training and validation." if valid else ": training rows only.")
    return Panel(caption, _told(training, name, train, valid, place), single(draw))


def _told(training: Training, name: str, train: Line, valid: Line, place: int | None) -> str:
    parts = [f"Curve of the {name} loss over {count(len(training.epochs), 'epoch')}"]
    parts.append(f"training from {figure(train[0])} to {figure(train[-1])}")
    if valid:
        parts.append(f"validation from {figure(valid[0])} to {figure(valid[-1])}")
    if place is not None:
        parts.append(f"best epoch {training.best} with {figure((valid or train)[place])}")
    return "; ".join(parts)


def as_drawn(line: Line) -> list[float]:
    """Return a line with NaN, which leaves a gap, for what is unknown."""
    return [float("nan") if value is None else value for value in line]


def scale(axes: Axes, values: list[float | None]) -> None:
    """Make the axis of losses logarithmic where they differ widely."""
    known = [value for value in values if value is not None]
    if known and min(known) > 0 and max(known) / min(known) > WIDE_RANGE:
        axes.set_yscale("log")
        plain_ticks(axes)


def gradient_panels(findings: Findings) -> list[Panel]:
    """Return the gradient norms of the layers over the epochs; none where they were not logged."""
    training = findings.training
    if not training.gradients:
        return []

    def draw(axes: Axes) -> None:
        step = max(1, -(-len(training.gradients) // LAYERS))
        chosen = list(training.gradients.items())[::step]
        for colour, (name, line) in zip(SERIES, chosen, strict=False):
            shown = axes.plot(training.epochs, as_drawn(line), color=colour, label=named(name))
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
    return [Panel(caption, alt, single(draw))]
