"""Parts of every display: text of users, facts, tables, lists of names, consoles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aecli.formatting import safe

DIM = "dim"
GOOD = "green"
BAD = "yellow"
MAX_LISTED_NAME_LENGTH = 24
CONSOLE_WIDTH = 100
"""Cells that displays use at most, however wide the terminal is."""

COMPACT_WIDTH = 64
"""Cells below which tables have fewer columns or shorter titles."""


def user(text: object, style: str = "") -> Text:
    """Return text of a user, such as a column name, without markup."""
    return Text(safe(text), style=style, overflow="fold")


def clipped(text: object, width: int) -> str:
    """Return text of a user in at most `width` cells of the terminal; `…` replaces the rest."""
    shown = safe(text)
    return shown if cell_len(shown) <= width else set_cell_size(shown, width - 1).rstrip() + "…"


def names(items: Sequence[str], width: int = 52) -> str:
    """List names in about `width` cells: all of them, or the first ones, `…` and the last."""
    shown = [clipped(item, MAX_LISTED_NAME_LENGTH) for item in items]
    if cell_len(", ".join(shown)) <= width:
        return ", ".join(shown)
    room = width - cell_len(shown[-1]) - 3
    first: list[str] = []
    for item in shown[:-1]:
        room -= cell_len(item) + 2
        if first and room < 0:
            break
        first.append(item)
    return f"{', '.join(first)} … {shown[-1]}"


class FittedBlock:
    """Block that `draw` returns for the console and the width at which it is printed.

    As a cell of a table it needs `least` to `most` cells, or all that are available.
    """

    def __init__(
        self,
        draw: Callable[[Console, int], RenderableType],
        *,
        least: int = 0,
        most: int | None = None,
    ) -> None:
        self._draw = draw
        self._least, self._most = least, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._draw(console, options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        room = options.max_width
        return Measurement(self._least, room if self._most is None else min(self._most, room))


def name_list(items: Sequence[str]) -> FittedBlock:
    """List as many names as fit; see `names`."""
    full = sum(cell_len(clipped(item, MAX_LISTED_NAME_LENGTH)) + 2 for item in items) - 2
    return FittedBlock(
        lambda _, width: Text(names(items, width), style=DIM),
        least=min(full, MAX_LISTED_NAME_LENGTH),
        most=full,
    )


def facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Lay out labelled facts in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=DIM, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, value)
    return grid


def figures(*columns: str, left: int = 1) -> Table:
    """Start a table of figures: the first `left` columns left-aligned, the others right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=DIM)
    for index, title in enumerate(columns):
        text = index < left
        table.add_column(title, justify="left" if text else "right", no_wrap=not text)
    return table


def titled(title: str | Text, body: RenderableType, note: str = "") -> RenderableType:
    """Draw a heading, a block, and a dim note below it."""
    heading = title if isinstance(title, Text) else Text(title)
    heading.stylize("bold")
    parts: list[RenderableType] = [heading, _indented(body)]
    if note:
        parts.append(_indented(Text(note, style=DIM)))
    return Group(*parts)


def _indented(body: RenderableType) -> Padding:
    return Padding(body, (0, 0, 0, 2), expand=False)


def stacked(blocks: Iterable[RenderableType | None]) -> Group:
    """Stack blocks with an empty line between them."""
    parts: list[RenderableType] = []
    for block in blocks:
        if block is not None:
            parts += [Text(""), block] if parts else [block]
    return Group(*parts)


class PlainTextConsole(Console):
    """Console that shows text as it is, without markup and emoji names."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)

    def on_broken_pipe(self) -> None:
        """Raise, so that the entry point returns the exit code of a closed pipe."""
        raise BrokenPipeError


def stdout() -> Console:
    """Return a console for results."""
    return PlainTextConsole(stderr=False)


def stderr() -> Console:
    """Return a console for progress and notes."""
    return PlainTextConsole(stderr=True)
