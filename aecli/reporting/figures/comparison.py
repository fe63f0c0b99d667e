"""Draw several models side by side: losses, errors by column, scores, latents."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure, percent, safe
from aecli.reporting.data import ModelComparison, column_error
from aecli.reporting.figures import PANELS
from aecli.reporting.figures.columns import COLUMNS_DRAWN, MAX_ERROR_DRAWN, dots
from aecli.reporting.figures.losses import Curve, as_drawn, loss_curves, scale_losses
from aecli.reporting.style import (
    MAX_PANEL_NAME_LENGTH,
    MUTED,
    SERIES,
    Panel,
    one_axes,
    plain_ticks,
    short_name,
)

KINDS_OF_EACH_MODEL = ("rows", "map", "units")

NARROW_PANEL = (3.1, 2.2)
"""Size in inches at which small text has 11 pixels on a telephone."""

MAX_DRAWN_NAME_LENGTH = 18


def name_end(name: str) -> str:
    """Return the end of a path, which distinguishes models, in the width of a legend."""
    shown = safe(name)
    return (
        shown if len(shown) <= MAX_PANEL_NAME_LENGTH else "…" + shown[1 - MAX_PANEL_NAME_LENGTH :]
    )


def loss_comparison_panels(comparison: ModelComparison) -> list[Panel]:
    """Return one panel per loss term: every model's validation loss, or training loss."""
    by_model = [loss_curves(one.history) for one in comparison.models]
    return [
        _losses(comparison, term, [curves.get(term) for curves in by_model])
        for term in dict.fromkeys(itertools.chain(*by_model))
    ]


def _losses(
    comparison: ModelComparison, term: str, by_model: Sequence[tuple[Curve, Curve] | None]
) -> Panel:
    curves: list[tuple[int, Sequence[int], Curve]] = []
    validated = []
    for position, (one, sides) in enumerate(zip(comparison.models, by_model, strict=True)):
        if sides is not None:
            train, valid = sides
            curves.append((position, [epoch.number for epoch in one.history], valid or train))
            validated.append(bool(valid))

    def draw(axes: Axes) -> None:
        for position, epochs, curve in curves:
            axes.plot(
                epochs, as_drawn(curve), color=SERIES[position],
                label=name_end(comparison.names[position]), marker="o" if len(epochs) == 1 else "",
            )  # fmt: skip
        scale_losses(axes, [value for _, _, curve in curves for value in curve])
        axes.set_title(short_name(term))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="best")

    names = [safe(comparison.names[position]) for position, _, _ in curves]
    last = [figure(curve[-1]) for _, _, curve in curves]
    ends = "; ".join(f"{name} ends at {loss}" for name, loss in zip(names, last, strict=True))
    rows = "validation rows" if all(validated) else "training rows"
    if any(validated) and not all(validated):
        rows = "validation rows, or training rows where none were held out"
    caption = f"Loss, {safe(term)}, on {rows}."
    alt = f"Curves of the {safe(term)} loss; {ends}"
    return Panel(caption, alt, one_axes(draw), NARROW_PANEL)


def column_comparison_panels(comparison: ModelComparison) -> list[Panel]:
    """Return every model's error of each column, in the order of the first model."""
    errors = error_table(comparison)
    if not errors:
        return []
    shown = errors[:COLUMNS_DRAWN]

    def draw(axes: Axes) -> None:
        known = [value for _, values in shown for value in values if value is not None]
        limit = min(MAX_ERROR_DRAWN, max(known)) * 1.04 or 1.0
        for position, name in enumerate(comparison.names):
            values = [row[position] for _, row in shown]
            dots(axes, values, limit, "oD^s"[position % 4], SERIES[position], name_end(name))
        axes.set_yticks(
            range(len(shown)), [short_name(name, MAX_DRAWN_NAME_LENGTH) for name, _ in shown]
        )
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(-0.02 * limit, limit * 1.02)
        axes.set_xlabel("1 − R², or error rate")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)

    caption = "Error of each column in every model; the largest share of the first model first."
    caption += f" {COLUMNS_DRAWN} of {count(len(errors))}." * (len(errors) > COLUMNS_DRAWN)
    worst = ", ".join(percent(value) for value in shown[0][1])
    alt = f"Dot plot of the errors of {count(len(shown), 'column')} in "
    alt += f"{count(len(comparison.names), 'model')}; {safe(shown[0][0])}: {worst}"
    size = (NARROW_PANEL[0], 1.2 + 0.2 * max(3, len(shown)))
    return [Panel(caption, alt, one_axes(draw), size)]


def error_table(comparison: ModelComparison) -> list[tuple[str, list[float | None]]]:
    """Return each column's error in every model, the first model's largest share first."""
    by_name = [{c.name: column_error(c.value) for c in one.columns} for one in comparison.models]
    return [
        (name, [errors.get(name) for errors in by_name])
        for name, error in by_name[0].items()
        if error is not None
    ]


def score_comparison_panels(comparison: ModelComparison) -> list[Panel]:
    """Return the distribution of every model's scores; none where a model has no scores."""
    scores = [one.scores.shown() for one in comparison.models if one.scores is not None]
    thresholds = [one.threshold for one in comparison.models if one.threshold is not None]
    if sum(bool(counts.sum()) for _, counts in scores) < len(comparison.models):
        return []

    def draw(axes: Axes) -> None:
        for position, (edges, counts) in enumerate(scores):
            colour, label = SERIES[position], name_end(comparison.names[position])
            axes.plot(edges[1:], counts.cumsum() / counts.sum(), color=colour, label=label)
            axes.axvline(thresholds[position], color=colour, linestyle=(0, (3, 3)), linewidth=1)
        axes.axhline(1, color=MUTED, linewidth=0.6)
        axes.set_xscale("log")
        plain_ticks(axes, y=False)
        axes.set_xlabel("anomaly score; 1 is usual")
        axes.set_ylabel("share of samples below")
        axes.set_title("scores")
        axes.legend(loc="lower right")

    limits = ", ".join(figure(one, 3) for one in thresholds)
    caption = "Share of samples with a score below each value; dashed lines are the thresholds."
    alt = f"Curves of cumulative scores; thresholds {limits}"
    return [Panel(caption, alt, one_axes(draw), NARROW_PANEL)]


def model_panels(comparison: ModelComparison) -> Iterator[Panel]:
    """Yield the panels of each model, with its name in the caption."""
    for kind in KINDS_OF_EACH_MODEL:
        for name, one in zip(comparison.names, comparison.models, strict=True):
            for panel in PANELS[kind](one) if kind != "rows" or not one.examples else ():
                caption = f"{safe(name)}. {panel.caption}"
                alt = f"{safe(name)}: {panel.alt}"
                size = panel.size if panel.wide else (NARROW_PANEL[0], panel.size[1])
                yield replace(panel, caption=caption, alt=alt, size=size)
