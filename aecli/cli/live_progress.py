"""Draw the progress of a command on a terminal."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Task
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from aecli.cli.display.history import EpochTable
from aecli.cli.display.widgets import CONSOLE_WIDTH, DIM
from aecli.cli.phase_times import Clock
from aecli.cli.row_count_progress import RowCountProgress, rows_done, search_state, task_speed
from aecli.formatting import duration
from aecli.progress import Epoch, SearchState

DRAW_SECONDS = 0.1
LATEST_EPOCHS_SHOWN = 10


def _task_line(task: Task, width: int) -> Table:
    """Return the stage, a bar that fits the width, and the rows done and the time left."""
    line = Table.grid(Column(no_wrap=True), Column(), Column(no_wrap=True), padding=(0, 1))
    bar: RenderableType = Text("")
    if task.total:
        bar_width = max(10, min(width, CONSOLE_WIDTH) - 60)
        bar = ProgressBar(total=task.total, completed=task.completed, width=bar_width)
    speed = "".join(f"  {part}" for part in task_speed(task))
    line.add_row(
        Text(task.description, style="bold"), bar, Text.assemble(rows_done(task), (speed, DIM))
    )
    return line


class LiveProgress(RowCountProgress):
    """Live display of the last epochs and a bar, or of a search, at most ten times a second."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        super().__init__(console, clock)
        self._live: Live | None = None
        self._drawn_at = -DRAW_SECONDS
        self._standing: SearchState | None = None
        self._trial_began = 0.0

    def stage(self, name: str, total_rows: int | None = None, unit: str = "row") -> None:
        """Start a pass over rows or windows, and draw it."""
        super().stage(name, total_rows, unit)
        self._draw(at_once=True)

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        """Start counting epochs, and draw them."""
        super().training(epochs, rows_per_epoch, unit)
        self._draw(at_once=True)

    def rows(self, count: int) -> None:
        """Count rows, and draw if the last drawing is old enough."""
        super().rows(count)
        self._draw()

    def epoch(self, epoch: Epoch) -> None:
        """Add an epoch, and draw if the last drawing is old enough."""
        super().epoch(epoch)
        self._draw()

    def trial(self, standing: SearchState) -> None:
        """Start a trial."""
        self._standing, self._trial_began = standing, self._clock()
        self._start("", None)
        self.history.clear()
        self._draw(at_once=True)

    def finish(self) -> None:
        """Clear the live display."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._drawn_at < DRAW_SECONDS:
            return
        self._drawn_at = now
        if self._live is None:
            # A refresh thread of rich would compete with the training loop.
            self._live = Live(
                console=self.console, auto_refresh=False, transient=True, redirect_stdout=False,
                redirect_stderr=False,
            )  # fmt: skip
            self._live.start()
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        if self._standing is not None:
            return self._search_line(self._standing)
        line = _task_line(self._task, self.console.width)
        if not self.history:
            return line
        limit = max(min(LATEST_EPOCHS_SHOWN, self.console.height - 5), 1)
        return Group(EpochTable(self.history, limit=limit, latest=True), Text(""), line)

    def _search_line(self, standing: SearchState) -> Text:
        parts = search_state(standing, self._task.description)
        if standing.seconds_left is not None:
            left = max(standing.seconds_left - (self._clock() - self._trial_began), 0.0)
            parts.append(f"{duration(round(left))} left")
        line = Text("  ".join(parts), style=DIM, overflow="ellipsis", no_wrap=True)
        line.stylize("not dim bold", 0, len(parts[0]))
        return line
