"""Draw several models side by side: losses over one another, errors by column, latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.array_types import Integers
from aecli.formatting import count, figure, percent, safe
from aecli.report.data import Findings
from aecli.report.figures import PANELS
from aecli.report.figures.columns import MOST, SHOWN, dots
from aecli.report.figures.losses import as_drawn, scale
from aecli.report.style import FAINT, LONGEST_NAME, SERIES, WIDTH, Panel, named, plain_ticks, single

HIGHER = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "column_r2", "column_accuracy")
LOWER = ("total", "reconstruction", "number_mse", "classification", "log_loss")

EACH = ("rows", "map", "units")
"""Pictures that are drawn of each model."""


@dataclass(frozen=True)
class Line:
    """Hold one figure of every model."""

    name: str
    values: Sequence[float]

    @property
    def best(self) -> float | None:
        """Return the best value, None where more is neither better nor worse."""
        if self.name in HIGHER or self.name in LOWER:
            return max(self.values) if self.name in HIGHER else min(self.values)
        return None


@dataclass(frozen=True)
class Comparison:
    """Hold several models that read the same columns; `lines` mean the same in all of them."""

    names: Sequence[str]
    models: Sequence[Findings]
    lines: Sequence[Line] = ()
    notes: Sequence[str] = ()


def ended(name: str) -> str:
    """Return the end of a path, which tells models apart, in a legend's width."""
    shown = safe(name)
    return shown if len(shown) <= LONGEST_NAME else "…" + shown[1 - LONGEST_NAME :]


def loss_panels(comparison: Comparison) -> list[Panel]:
    """Return one panel per loss term: every model's validation loss, or training loss."""
    terms = dict.fromkeys(name for one in comparison.models for name in one.training.terms)
    return [_losses(comparison, term) for term in terms]


def _losses(comparison: Comparison, term: str) -> Panel:
    found = []
    for place, one in enumerate(comparison.models):
        if term in one.training.terms:
            train, valid = one.training.terms[term]
            found.append((place, one.training.epochs, valid or train))

    def draw(axes: Axes) -> None:
        for place, epochs, line in found:
            axes.plot(
                epochs, as_drawn(line), color=SERIES[place], label=ended(comparison.names[place]),
                marker="o" if len(epochs) == 1 else "",
            )  # fmt: skip
        scale(axes, [value for _, _, line in found for value in line])
        axes.set_title(named(term))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="best")

    ends = "; ".join(f"{safe(comparison.names[p])} ends at {figure(v[-1])}" for p, _, v in found)
    lines = (one.training.terms.get(term) for one in comparison.models)
    held = [bool(line[1]) for line in lines if line is not None]
    rows = "validation rows" if all(held) else "training rows"
    if any(held) and not all(held):
        rows = "validation rows, or training rows where none were held out"
    caption = f"Loss, {safe(term)}, on {rows}."
    return Panel(caption, f"Curves of the {safe(term)} loss; {ends}", single(draw))


def column_panels(comparison: Comparison) -> list[Panel]:
    """Return every model's error of each column, those worst first that the first one has worst."""
    errors = error_table(comparison)
    if not errors:
        return []
    shown = errors[:SHOWN]

    def draw(axes: Axes) -> None:
        known = [value for _, values in shown for value in values if value is not None]
        limit = min(MOST, max(known)) * 1.04 or 1.0
        for place, name in enumerate(comparison.names):
            values = [line[place] for _, line in shown]
            dots(axes, values, limit, "oD^s"[place % 4], SERIES[place], ended(name))
        axes.set_yticks(range(len(shown)), [named(name) for name, _ in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(-0.02 * limit, limit * 1.02)
        axes.set_xlabel("variance unexplained, or share of wrong answers")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)

    caption = "Error of each column in every model, the first one's worst first."
    caption += f" {SHOWN} of {count(len(errors))}." if len(errors) > SHOWN else ""
    worst = ", ".join(percent(value) for value in shown[0][1])
    alt = f"Dot plot of the errors of {count(len(shown), 'column')} in "
    alt += f"{count(len(comparison.names), 'model')}; {safe(shown[0][0])}: {worst}"
    size = (WIDTH, 1.2 + 0.2 * max(3, len(shown)))
    return [Panel(caption, alt, single(draw), size)]


def error_table(comparison: Comparison) -> list[tuple[str, list[float | None]]]:
    """Return each column's error in every model, worst first."""
    found = [{c.name: c.error for c in one.columns} for one in comparison.models]
    return [
        (name, [errors.get(name) for errors in found])
        for name, error in found[0].items()
        if error is not None
    ]


def score_panels(comparison: Comparison) -> list[Panel]:
    """Return how the scores of every model are spread; none unless all can score."""
    found = [one.scores for one in comparison.models]
    spread = [one for one in found if one is not None and one.counts.sum()]
    if len(spread) < len(found):
        return []

    def draw(axes: Axes) -> None:
        for place, one in enumerate(spread):
            share = _shares(one.counts)
            axes.plot(
                one.edges[1:], share, color=SERIES[place], label=ended(comparison.names[place])
            )
            axes.axvline(one.threshold, color=SERIES[place], linestyle=(0, (3, 3)), linewidth=1)
        axes.axhline(1, color=FAINT, linewidth=0.6)
        axes.set_xscale("log")
        plain_ticks(axes, y=False)
        axes.set_xlabel("score, 1 is ordinary")
        axes.set_ylabel("share of samples below")
        axes.set_title("scores")
        axes.legend(loc="lower right")

    limits = ", ".join(figure(one.threshold, 3) for one in spread)
    caption = "Share of samples with a score below each value; dashed are the thresholds."
    return [Panel(caption, f"Curves of cumulative scores; thresholds {limits}", single(draw))]


def _shares(counts: Integers) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(counts.cumsum() / counts.sum())


def each_panels(comparison: Comparison) -> Iterator[Panel]:
    """Yield the pictures of each model, with its name in the caption."""
    for kind in EACH:
        for name, one in zip(comparison.names, comparison.models, strict=True):
            for panel in PANELS[kind](one) if kind != "rows" or not one.restored else ():
                caption = f"{safe(name)}. {panel.caption}"
                yield replace(panel, caption=caption, alt=f"{safe(name)}: {panel.alt}")
