"""Draw a confusion matrix where it fits, else the pairs of classes that are confused most."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from aecli.cli.display.blocks import BAD, DIM, clipped, figures
from aecli.text import count, percent
from aecli.verbs.measured import Classification

MOST_CLASSES = 12
PAIRS_SHOWN = 10


class Confusion:
    """Draw rows of true classes by columns of predicted ones, with each class's recall."""

    def __init__(self, found: Classification) -> None:
        self.found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        matrix = self.matrix() if len(self.found.classes) <= MOST_CLASSES else None
        if matrix and console.measure(matrix).maximum <= options.max_width:
            yield matrix
        else:
            yield self.pairs()

    def matrix(self) -> Table:
        """Return the whole matrix."""
        classes = [clipped(name, 12) for name in self.found.classes]
        table = figures("true \\ predicted", *classes, "recall")
        for row, (name, counts) in enumerate(zip(classes, self.found.confusion, strict=True)):
            cells = [_cell(number, column == row) for column, number in enumerate(counts)]
            table.add_row(name, *cells, percent(_share(counts, row)))
        return table

    def pairs(self) -> Table:
        """Return the pairs of classes with most wrong rows."""
        wrong = sorted(
            (
                (number, row, column)
                for row, counts in enumerate(self.found.confusion)
                for column, number in enumerate(counts)
                if number and row != column
            ),
            reverse=True,
        )
        table = figures("true", "predicted", "rows", "of the true class", left=2)
        for number, row, column in wrong[:PAIRS_SHOWN]:
            names = (clipped(self.found.classes[place], 28) for place in (row, column))
            share = _share(self.found.confusion[row], column)
            table.add_row(*names, count(number), percent(share))
        return table


def _cell(number: int, right: bool) -> Text:
    if right:
        return Text(count(number), style="bold")
    return Text(count(number), style=BAD) if number else Text("·", style=DIM)


def _share(counts: Sequence[int], place: int) -> float | None:
    total = sum(counts)
    return counts[place] / total if total else None
