"""Tell on stderr what a verb is doing: drawn live on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aecli.cli.display.loss_table import EpochTable
from aecli.cli.display.widgets import DIM, WIDEST, stderr
from aecli.formatting import count, duration, figure, percent, safe
from aecli.progress import SILENT, Epoch, Progress

DRAW_SECONDS = 0.1
LINE_SECONDS = 30.0
EPOCHS_SHOWN = 10


@contextmanager
def listening(
    *,
    quiet: bool,
    live: Callable[[Console], Progress] | None = None,
    plain: Callable[[Console], Progress] | None = None,
) -> Iterator[Progress]:
    """Give a progress that suits stderr, and take it off the screen at the end, come what may.

    `live` and `plain` make it, for a terminal and for other places.
    """
    if quiet:
        yield SILENT
        return
    console = stderr()
    # FORCE_COLOR makes a terminal of a log file in rich's eyes; a bar has no place there.
    screen = console.file.isatty() and not console.is_dumb_terminal
    make = (live or LiveProgress) if screen else (plain or PlainProgress)
    progress = make(console)
    try:
        yield progress
    finally:
        progress.finish()


class _Following(Progress):
    """Follow stages and epochs; subclasses show them."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.history: list[Epoch] = []
        self._clock = clock
        self._pace = Pace(None, clock)
        self._stage = ""
        self._epochs = 0
        self._rows_per_epoch = 0

    def note(self, message: str) -> None:
        """Print one sentence."""
        self.console.print(Text(f"note: {safe(message)}"), soft_wrap=not self.console.is_terminal)

    def stage(self, name: str, total_rows: int | None = None) -> None:
        """Start following a pass over rows."""
        self._stage = name
        self._pace = Pace(total_rows, self._clock)

    def training(self, network: str, epochs: int, rows_per_epoch: int) -> None:
        """Start following epochs."""
        self._epochs, self._rows_per_epoch = epochs, rows_per_epoch
        self.stage("training", epochs * rows_per_epoch)

    def resumed(self, history: Sequence[Epoch]) -> None:
        """Take in the epochs of an earlier run."""
        self.history.extend(history)
        self._pace.skip(len(history) * self._rows_per_epoch)

    def rows(self, count: int) -> None:
        """Count rows."""
        self._pace.add(count)

    def epoch(self, epoch: Epoch) -> None:
        """Remember an epoch, and where in the whole training it ended."""
        self.history.append(epoch)
        self._pace.add(epoch.number * self._rows_per_epoch - self._pace.done)

    @property
    def _where(self) -> str:
        """Return the stage, or which epoch is running."""
        if self._stage != "training":
            return self._stage
        now = self.history[-1].number + 1 if self.history else 1
        return f"epoch {min(now, self._epochs)}/{self._epochs}"

    def _speed(self) -> list[str]:
        rate, left = self._pace.rate, self._pace.left
        parts = [f"{count(round(rate))} rows/s"] if rate else []
        if left is not None:
            most = "at most " if self._stage == "training" else ""
            parts.append(f"{most}{duration(max(round(left), 1))} left")
        return parts


class LiveProgress(_Following):
    """Draw the last epochs and a bar on a terminal, ten times a second at most."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, clock)
        self._live: Live | None = None
        self._drawn = -DRAW_SECONDS

    def stage(self, name: str, total_rows: int | None = None) -> None:
        """Start following a pass over rows, and draw it."""
        super().stage(name, total_rows)
        self._draw(at_once=True)

    def rows(self, count: int) -> None:
        """Count rows, and draw if the last drawing is old enough."""
        super().rows(count)
        self._draw()

    def epoch(self, epoch: Epoch) -> None:
        """Remember an epoch, and draw if the last drawing is old enough."""
        super().epoch(epoch)
        self._draw()

    def finish(self) -> None:
        """Take the drawing off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._drawn < DRAW_SECONDS:
            return
        self._drawn = now
        if self._live is None:
            # No thread of rich's: it would take turns with the training loop.
            self._live = Live(
                console=self.console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        if not self.history:
            return self._status()
        room = max(min(EPOCHS_SHOWN, self.console.height - 5), 1)
        return Group(EpochTable(self.history, limit=room, latest=True), Text(""), self._status())

    def _status(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        share = self._pace.share
        cells: list[RenderableType] = [Text(self._where, style="bold")]
        if share is not None:
            width = max(10, min(self.console.width, WIDEST) - 60)
            cells += [ProgressBar(1.0, share, width=width), Text(percent(share, 0))]
        elif self._pace.done:
            cells.append(Text(f"{count(self._pace.done)} rows"))
        cells += [Text(part, style=DIM) for part in self._speed()]
        for _ in cells:
            grid.add_column(no_wrap=True)
        grid.add_row(*cells)
        return grid


class PlainProgress(_Following):
    """Print the first and the last epoch, and a line every half minute between them."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, clock)
        self._said_at = clock()
        self._said: Epoch | None = None

    def rows(self, count: int) -> None:
        """Count rows, and print a line if the last one is old enough."""
        super().rows(count)
        # Epochs shorter than this speak for themselves, with their losses.
        patience = LINE_SECONDS * (2 if self.history and self._stage == "training" else 1)
        if self._clock() - self._said_at >= patience:
            share = self._pace.share
            done = f"{self._pace.done:,} rows" if share is None else percent(share, 0)
            self._line([self._where, done])

    def epoch(self, epoch: Epoch) -> None:
        """Print the first epoch, and later ones if the last line is old enough."""
        super().epoch(epoch)
        if len(self.history) == 1 or self._clock() - self._said_at >= LINE_SECONDS:
            self._say(epoch)

    def finish(self) -> None:
        """Print the last epoch unless that was done."""
        if self.history and self._said is not self.history[-1]:
            self._say(self.history[-1])

    def _say(self, epoch: Epoch) -> None:
        self._said = epoch
        valid = (epoch.valid or {}).get("total")
        losses = [f"train {figure(epoch.train.get('total'))}"]
        losses += [f"valid {figure(valid)}"] if valid is not None else []
        self._line([f"epoch {epoch.number}/{self._epochs}", *losses])

    def _line(self, parts: list[str]) -> None:
        self._said_at = self._clock()
        self.console.print(Text("  ".join([*parts, *self._speed()])), soft_wrap=True)


_WINDOW_SECONDS = 10.0


class Pace:
    """Count rows against a clock; `total` is None where the number of rows is not known."""

    def __init__(self, total: int | None, clock: Callable[[], float]) -> None:
        self.total = total
        self.done = 0
        self._clock = clock
        self._marks = deque([(clock(), 0)])

    def add(self, rows: int) -> None:
        """Hear that more rows are done."""
        self.done += rows
        now = self._clock()
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW_SECONDS:
            self._marks.popleft()

    def skip(self, rows: int) -> None:
        """Hear that rows were done earlier: they count as done, and not as speed."""
        self.done += rows
        self._marks = deque([(self._clock(), self.done)])

    @property
    def rate(self) -> float | None:
        """Return rows per second lately, or None before anything is known."""
        (began, before), (now, after) = self._marks[0], self._marks[-1]
        return (after - before) / (now - began) if now > began and after > before else None

    @property
    def left(self) -> float | None:
        """Return the seconds left at this rate, or None where they are not known."""
        rate = self.rate
        if rate is None or self.total is None:
            return None
        return max(self.total - self.done, 0) / rate

    @property
    def share(self) -> float | None:
        """Return the share of the rows that is done, or None where it is not known."""
        return min(self.done / self.total, 1.0) if self.total else None
