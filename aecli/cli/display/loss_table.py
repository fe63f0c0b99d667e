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

_LIKED_ORDER = ("reconstruction", "classification", "l1", "l2")


class _Look(NamedTuple):
    """Hold one way to draw the table; wider ones come first in `_LOOKS`."""

    digits: int
    metrics: bool
    gap: int


_LOOKS = (
    _Look(4, True, 3),
    _Look(4, True, 2),
    _Look(3, True, 2),
    _Look(3, True, 1),
    _Look(4, False, 2),
    _Look(3, False, 1),
)


class EpochTable:
    """Draw epochs in the widest look that fits where it is drawn.

    `limit` is the most epochs to show: the last ones if `latest`, else an even choice that has
    the first, the best and the last.
    """

    def __init__(self, history: Sequence[Epoch], *, limit: int, latest: bool = False) -> None:
        self.history = history
        self.best = next((e.number for e in reversed(history) if e.best), None)
        self.terms = _terms(history)
        self.metrics = list(history[-1].metrics) if history else []
        self.valid = any(epoch.valid is not None for epoch in history)
        self.shown = list(history[-limit:]) if latest else list(_chosen(history, limit, self.best))
        self.note = _note(len(history), len(self.shown), self.best) if not latest else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        look = next((look for look in _LOOKS if self.width(look) <= options.max_width), _LOOKS[-1])
        yield self.table(look)
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
            told = f"  {side}" if term == self.terms[0] else ""
            yield Text.assemble((f"{term:<{margin}}", DIM), (drawn, "cyan"), (told, DIM))

    def width(self, look: _Look) -> int:
        """Return the cells that a look takes."""
        terms = sum(max(len(term), self._cell(look)) for term in self.terms)
        metrics = sum(max(len(name), look.digits + 3) for name in self.metrics if look.metrics)
        columns = len(self.terms) + len(self.metrics) * look.metrics
        return 6 + terms + metrics + look.gap * columns

    def table(self, look: _Look) -> Table:
        """Return the table in one look."""
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, look.gap), header_style=DIM)
        table.add_column("\nepoch ", justify="right", no_wrap=True, min_width=6)
        wide = look.digits + 3
        under = f"{'train':>{wide}} {'valid':>{wide}}" if self.valid else "train"
        for term in self.terms:
            table.add_column(f"{term}\n{under}", justify="right", no_wrap=True)
        for name in self.metrics if look.metrics else ():
            table.add_column(f"{name}\nvalid", justify="right", no_wrap=True)
        for epoch in self.shown:
            best = epoch.number == self.best
            table.add_row(*self._row(epoch, look), style="bold" if best else "")
        return table

    def _row(self, epoch: Epoch, look: _Look) -> Iterator[str]:
        yield f"{epoch.number}{'*' if epoch.number == self.best else ' '}"
        wide = look.digits + 3
        for term in self.terms:
            train = figure(epoch.train.get(term), look.digits)
            valid = figure((epoch.valid or {}).get(term), look.digits)
            yield f"{train:>{wide}} {valid:>{wide}}" if self.valid else train
        for name in self.metrics if look.metrics else ():
            value = epoch.metrics.get(name)
            yield percent(value) if name == "accuracy" else figure(value, look.digits)

    def _cell(self, look: _Look) -> int:
        return 2 * (look.digits + 3) + 1 if self.valid else look.digits + 3


def _terms(history: Sequence[Epoch]) -> list[str]:
    """Return the terms in order, total last; a total that is its only term says nothing new."""
    found = dict.fromkeys(term for epoch in history for term in epoch.train)
    terms = [term for term in _LIKED_ORDER if term in found]
    terms += [term for term in found if term not in terms and term != "total"]
    same = len(terms) == 1 and all(e.train.get(terms[0]) == e.train.get("total") for e in history)
    return terms if same or "total" not in found else [*terms, "total"]


def _chosen(history: Sequence[Epoch], limit: int, best: int | None) -> Iterator[Epoch]:
    if len(history) <= limit:
        yield from history
        return
    step = (len(history) - 1) / (limit - 2)
    places = {round(place * step) for place in range(limit - 1)}
    yield from (e for place, e in enumerate(history) if place in places or e.number == best)


def _note(epochs: int, shown: int, best: int | None) -> str:
    marked = "* best epoch; its weights were kept" if best is not None else ""
    part = f"{shown} of {epochs} epochs shown" if shown < epochs else ""
    return "; ".join(filter(None, (marked, part)))
