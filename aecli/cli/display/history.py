"""Draw the losses of a training: a table of epochs, curves of blocks, and sparklines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from aecli.cli.display.widgets import DIM, FittedBlock, clipped
from aecli.formatting import count, figure, percent
from aecli.progress import Epoch

SHORT_TERMS = {"reconstruction": "reconst", "classification": "class"}
"""Titles of loss terms in a narrow table, as in `--reconst-weight` and `--class-weight`."""

_TERM_ORDER = ("reconstruction", "classification", "l0", "l1", "l2")


# Digits, whether the metrics have columns, and the gap between columns; the widest first.
_LAYOUTS = (
    (4, True, 3), (4, True, 2), (3, True, 2), (3, True, 1), (4, False, 2), (3, False, 1),
)  # fmt: skip

BAR_BLOCKS = " ▁▂▃▄▅▆▇█"
CHART_HEIGHT = 6
CHART_WIDTH = 80
AXIS_WIDTH = 10
"""Cells before a curve, for the numbers of its axis."""

Curve = Sequence[float | None]
HistoryLines = Sequence[Mapping[str, Any]]
"""Records of the epochs."""


def loss_chart(history: HistoryLines) -> RenderableType:
    """Draw every loss term over the epochs: bars of the validation or else the training loss.

    Without a terminal only the range of each term is printed.
    """
    if not history:
        return Text("the model has no history of its epochs", style=DIM)
    return FittedBlock(
        lambda console, width: Group(
            *_curves(history, min(width, CHART_WIDTH) - AXIS_WIDTH, bars=console.is_terminal)
        )
    )


def _curves(history: HistoryLines, width: int, *, bars: bool) -> Iterator[Text]:
    side = "valid" if any(entry.get("valid") for entry in history) else "train"
    best = next((e["epoch"] for e in reversed(history) if e.get("best")), None)
    for name in _terms_of_lines(history):
        line = [(entry.get(side) or {}).get(name) for entry in history]
        known = [value for value in line if value is not None]
        if not known:
            continue
        yield Text("")
        summary = f"train {_range(history, 'train', name)}"
        if side == "valid":
            summary += f", valid {_range(history, 'valid', name)}, lowest {figure(min(known), 3)}"
        yield Text.assemble((clipped(name, 16), "bold"), (f"  {summary}", DIM))
        if bars:
            yield from _bars(line, width, None if best is None else best - history[0]["epoch"])
    epochs = count(len(history), "epoch")
    yield Text(f"\n{epochs}" + (f"; best: epoch {best}" if best else ""), style=DIM)


def _range(history: HistoryLines, side: str, name: str) -> str:
    first, last = ((history[end].get(side) or {}).get(name) for end in (0, -1))
    return f"{figure(first, 3)} to {figure(last, 3)}"


def _bars(line: Curve, width: int, best: int | None) -> Iterator[Text]:
    """Yield the rows of a bar chart, and a mark below the best epoch."""
    points = resampled(line, width)
    known = [value for value in points if value is not None]
    low, high = min(known), max(known)
    cell_width = max(1, min(3, width // len(points)))
    for level in reversed(range(CHART_HEIGHT)):
        cells = "".join(_block(value, low, high, level) * cell_width for value in points)
        label = {CHART_HEIGHT - 1: figure(high, 3), 0: figure(low, 3)}.get(level, "")
        yield Text.assemble((f"{label:>{AXIS_WIDTH - 2}} ", DIM), ("│", DIM), (cells, "cyan"))
    if best is not None:
        index = best * len(points) // len(line)
        yield Text(" " * (AXIS_WIDTH + index * cell_width) + "▲", style="bold")


def sparkline(line: Curve, width: int) -> str:
    """Return a line of at most `width` cells on a logarithmic scale; gaps are empty.

    The scale is linear where a value is not above 0.
    """
    points = resampled(line, width)
    known = [value for value in points if value is not None]
    if not known:
        return ""
    if min(known) > 0:
        points = [None if value is None else math.log(value) for value in points]
        known = [value for value in points if value is not None]
    low, spread = min(known), (max(known) - min(known)) or 1.0
    return "".join(
        " " if value is None else BAR_BLOCKS[1 + round(7 * (value - low) / spread)]
        for value in points
    )


def resampled(line: Curve, width: int) -> list[float | None]:
    """Return a line of at most `width` points: means of neighbours where there are more."""
    step = len(line) / min(len(line), max(1, width))
    points: list[float | None] = []
    for index in range(min(len(line), max(1, width))):
        part = line[int(index * step) : max(int((index + 1) * step), int(index * step) + 1)]
        known = [value for value in part if value is not None and math.isfinite(value)]
        points.append(sum(known) / len(known) if known else None)
    return points


def _block(value: float | None, low: float, high: float, level: int) -> str:
    if value is None:
        return " "
    # The lowest value is drawn as a line.
    filled = 1 + (CHART_HEIGHT * 8 - 1) * (value - low) / ((high - low) or 1.0)
    return BAR_BLOCKS[min(8, max(0, round(filled) - 8 * level))]


def _terms_of_lines(history: HistoryLines) -> list[str]:
    names = list(dict.fromkeys(name for entry in history for name in entry["train"]))
    same = all(e["train"].get("total") == e["train"].get(names[0]) for e in history)
    return [name for name in names if name != "total" or len(names) > 2 or not same]


class EpochTable:
    """Losses of epochs, in the widest layout that fits; the narrowest has the total only.

    `limit` is the maximum number of epochs: the last ones if `latest`, else evenly spaced ones with
    the first, the best and the last.
    """

    def __init__(self, history: Sequence[Epoch], *, limit: int, latest: bool = False) -> None:
        self.history = history
        self.best = next((e.number for e in reversed(history) if e.best), None)
        self.terms = _terms_of_epochs(history)
        self.metrics = list(history[-1].metrics) if history else []
        self.valid = any(epoch.valid is not None for epoch in history)
        self.shown = (
            list(history[-limit:]) if latest else list(_selected(history, limit, self.best))
        )
        self.note = _note(len(history), len(self.shown), self.best) if not latest else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        short = {term: SHORT_TERMS.get(term, term) for term in self.terms}
        choices = ({term: term for term in self.terms}, short, dict([*short.items()][-1:]))
        layouts = [(*layout, titles) for titles in choices for layout in _LAYOUTS]
        fitting = (layout for layout in layouts if self.width(*layout) <= options.max_width)
        yield self.table(*next(fitting, layouts[-1]))
        if self.note:
            yield Text(self.note, style=DIM)
            if console.is_terminal and len(self.history) > 2:
                yield from self._sparklines(options.max_width)

    def _sparklines(self, width: int) -> Iterator[Text]:
        """Yield each term over all epochs as one line."""
        side = "validation" if self.valid else "training"
        margin = max(map(len, self.terms)) + 2
        yield Text("")
        for term in self.terms:
            sides = (e.valid or {} if self.valid else e.train for e in self.history)
            drawn = sparkline([losses.get(term) for losses in sides], min(width - margin - 24, 60))
            label = f"  {side}, log scale" if term == self.terms[0] else ""
            yield Text.assemble((f"{term:<{margin}}", DIM), (drawn, "cyan"), (label, DIM))

    def width(self, digits: int, with_metrics: bool, gap: int, titles: Mapping[str, str]) -> int:
        """Return the width of the table in a layout with the `titles` of its terms."""
        metrics = self.metrics if with_metrics else []
        cells = [max(len(title), self._loss_width(digits)) for title in titles.values()]
        cells += [max(len(name), digits + 3) for name in metrics]
        return 6 + sum(cells) + gap * len(cells)

    def table(self, digits: int, with_metrics: bool, gap: int, titles: Mapping[str, str]) -> Table:
        """Return the table in a layout with the `titles` of its terms."""
        metrics = self.metrics if with_metrics else []
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, gap), header_style=DIM)
        table.add_column("\nepoch ", justify="right", no_wrap=True, min_width=6)
        cell = digits + 3
        under = f"{'train':>{cell}} {'valid':>{cell}}" if self.valid else "train"
        for title in titles.values():
            table.add_column(f"{title}\n{under}", justify="right", no_wrap=True)
        for name in metrics:
            table.add_column(f"{name}\nvalid", justify="right", no_wrap=True)
        for epoch in self.shown:
            best = epoch.number == self.best
            table.add_row(
                *self._row(epoch, digits, [*titles], metrics), style="bold" if best else ""
            )
        return table

    def _row(
        self, epoch: Epoch, digits: int, terms: Sequence[str], metrics: Sequence[str]
    ) -> Iterator[str]:
        yield f"{epoch.number}{'*' if epoch.number == self.best else ' '}"
        cell = digits + 3
        for term in terms:
            train = figure(epoch.train.get(term), digits)
            valid = figure((epoch.valid or {}).get(term), digits)
            yield f"{train:>{cell}} {valid:>{cell}}" if self.valid else train
        for name in metrics:
            value = epoch.metrics.get(name)
            yield percent(value) if name == "accuracy" else figure(value, digits)

    def _loss_width(self, digits: int) -> int:
        return 2 * (digits + 3) + 1 if self.valid else digits + 3


def _terms_of_epochs(history: Sequence[Epoch]) -> list[str]:
    """Return the terms in order, total last, and no total that equals its only term."""
    names = dict.fromkeys(term for epoch in history for term in epoch.train)
    terms = [term for term in _TERM_ORDER if term in names]
    terms += [term for term in names if term not in terms and term != "total"]
    same = len(terms) == 1 and all(e.train.get(terms[0]) == e.train.get("total") for e in history)
    return terms if same or "total" not in names else [*terms, "total"]


def _selected(history: Sequence[Epoch], limit: int, best: int | None) -> Iterator[Epoch]:
    if len(history) <= limit:
        yield from history
        return
    step = (len(history) - 1) / (limit - 2)
    indices = {round(i * step) for i in range(limit - 1)}
    yield from (e for i, e in enumerate(history) if i in indices or e.number == best)


def _note(epochs: int, shown: int, best: int | None) -> str:
    marked = "* best epoch, whose weights are saved" if best is not None else ""
    part = f"{shown} of {epochs} epochs (-v shows all)" if shown < epochs else ""
    return "; ".join(filter(None, (marked, part)))
