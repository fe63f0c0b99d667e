"""Draw the one table of losses per epoch: train and validation of each term, best epoch marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from aecli.cli.display.charts import sparkline
from aecli.cli.display.widgets import DIM
from aecli.formatting import figure, percent
from aecli.progress import Epoch

_TERM_ORDER = ("reconstruction", "classification", "l1", "l2")


class TableLayout(NamedTuple):
    """Digits, columns and spacing of the table; wider layouts come first in `_LAYOUTS`."""

    digits: int
    metrics: bool
    gap: int


_LAYOUTS = (
    TableLayout(4, True, 3),
    TableLayout(4, True, 2),
    TableLayout(3, True, 2),
    TableLayout(3, True, 1),
    TableLayout(4, False, 2),
    TableLayout(3, False, 1),
)


class EpochTable:
    """Losses of epochs, in the widest layout that fits.

    `limit` is the most epochs to show: the last ones if `latest`, else evenly spaced ones with
    the first, the best and the last.
    """

    def __init__(self, history: Sequence[Epoch], *, limit: int, latest: bool = False) -> None:
        self.history = history
        self.best = next((e.number for e in reversed(history) if e.best), None)
        self.terms = _terms(history)
        self.metrics = list(history[-1].metrics) if history else []
        self.valid = any(epoch.valid is not None for epoch in history)
        self.shown = (
            list(history[-limit:]) if latest else list(_selected(history, limit, self.best))
        )
        self.note = _note(len(history), len(self.shown), self.best) if not latest else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        layout = next(
            (layout for layout in _LAYOUTS if self.width(layout) <= options.max_width), _LAYOUTS[-1]
        )
        yield self.table(layout)
        if self.note:
            yield Text(self.note, style=DIM)
            if console.is_terminal and len(self.history) > 2:
                yield from self._sparklines(options.max_width)

    def _sparklines(self, width: int) -> Iterator[Text]:
        """Yield each term's course over all epochs in one line."""
        side = "validation" if self.valid else "training"
        margin = max(map(len, self.terms)) + 2
        yield Text("")
        for term in self.terms:
            sides = (e.valid or {} if self.valid else e.train for e in self.history)
            drawn = sparkline([losses.get(term) for losses in sides], min(width - margin - 12, 60))
            label = f"  {side}" if term == self.terms[0] else ""
            yield Text.assemble((f"{term:<{margin}}", DIM), (drawn, "cyan"), (label, DIM))

    def width(self, layout: TableLayout) -> int:
        """Return the width of the table in a layout."""
        terms = sum(max(len(term), self._cell(layout)) for term in self.terms)
        metrics = sum(max(len(name), layout.digits + 3) for name in self.metrics if layout.metrics)
        columns = len(self.terms) + len(self.metrics) * layout.metrics
        return 6 + terms + metrics + layout.gap * columns

    def table(self, layout: TableLayout) -> Table:
        """Return the table in one layout."""
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, layout.gap), header_style=DIM)
        table.add_column("\nepoch ", justify="right", no_wrap=True, min_width=6)
        cell = layout.digits + 3
        under = f"{'train':>{cell}} {'valid':>{cell}}" if self.valid else "train"
        for term in self.terms:
            table.add_column(f"{term}\n{under}", justify="right", no_wrap=True)
        for name in self.metrics if layout.metrics else ():
            table.add_column(f"{name}\nvalid", justify="right", no_wrap=True)
        for epoch in self.shown:
            best = epoch.number == self.best
            table.add_row(*self._row(epoch, layout), style="bold" if best else "")
        return table

    def _row(self, epoch: Epoch, layout: TableLayout) -> Iterator[str]:
        yield f"{epoch.number}{'*' if epoch.number == self.best else ' '}"
        cell = layout.digits + 3
        for term in self.terms:
            train = figure(epoch.train.get(term), layout.digits)
            valid = figure((epoch.valid or {}).get(term), layout.digits)
            yield f"{train:>{cell}} {valid:>{cell}}" if self.valid else train
        for name in self.metrics if layout.metrics else ():
            value = epoch.metrics.get(name)
            yield percent(value) if name == "accuracy" else figure(value, layout.digits)

    def _cell(self, layout: TableLayout) -> int:
        return 2 * (layout.digits + 3) + 1 if self.valid else layout.digits + 3


def _terms(history: Sequence[Epoch]) -> list[str]:
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
    marked = "* best epoch; its weights were kept" if best is not None else ""
    part = f"{shown} of {epochs} epochs shown" if shown < epochs else ""
    return "; ".join(filter(None, (marked, part)))
