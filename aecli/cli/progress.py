"""Show the progress of a command on stderr: live on a terminal, else as lines at intervals."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress as RichProgress
from rich.progress import Task
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from aecli.cli.display.history import EpochTable
from aecli.cli.display.widgets import CONSOLE_WIDTH, DIM, stderr
from aecli.formatting import count, duration, figure, percent, safe
from aecli.progress import SILENT, Epoch, Progress, SearchState

DRAW_SECONDS = 0.1
LINE_SECONDS = 30.0
SPEED_SECONDS = 60.0
"""Time over which the rows per second are averaged; longer than a slow batch."""
LATEST_EPOCHS_SHOWN = 10

Clock = Callable[[], float]


@contextmanager
def show_progress(*, quiet: bool, search: bool = False) -> Iterator[Progress]:
    """Yield the progress display for stderr, and finish it at the end."""
    if quiet:
        yield SILENT
        return
    console = stderr()
    # With FORCE_COLOR rich treats a log file as a terminal; a bar must not be written there.
    live = console.file.isatty() and console.is_interactive
    plain = PlainSearchProgress if search else PlainProgress
    progress = LiveProgress(console) if live else plain(console)
    try:
        with _clear_before_warnings(progress) if live else nullcontext():
            yield progress
    finally:
        progress.finish()


@contextmanager
def _clear_before_warnings(progress: Progress) -> Iterator[None]:
    """Clear the live display before a warning is printed; the next step draws it again."""
    show = warnings.showwarning

    def clear_and_show(*warning: Any, **where: Any) -> None:
        progress.finish()
        show(*warning, **where)

    warnings.showwarning = clear_and_show
    try:
        yield
    finally:
        warnings.showwarning = show


def _share(task: Task) -> float | None:
    """Return the share of the rows that is done, or None where the total is not known."""
    return min(task.completed / task.total, 1.0) if task.total else None


def _rows_done(task: Task) -> str:
    share = _share(task)
    if share is not None:
        return percent(share, 0)
    return count(round(task.completed), task.fields["unit"]) if task.completed else ""


def _speed(task: Task) -> list[str]:
    """Return rows or windows per second and the time left, as far as they are known."""
    parts = [f"{count(round(task.speed), task.fields['unit'])}/s"] if task.speed else []
    if task.speed and task.time_remaining is not None:
        # Early stopping may end a training before its last epoch.
        at_most = "at most " if task.fields["training"] else ""
        parts.append(f"{at_most}{duration(max(task.time_remaining, 1))} left")
    return parts


def _task_line(task: Task, width: int) -> Table:
    """Return the stage, a bar that fits the width, and the rows done and the time left."""
    line = Table.grid(Column(no_wrap=True), Column(), Column(no_wrap=True), padding=(0, 1))
    bar: RenderableType = Text("")
    if task.total:
        bar_width = max(10, min(width, CONSOLE_WIDTH) - 60)
        bar = ProgressBar(total=task.total, completed=task.completed, width=bar_width)
    speed = "".join(f"  {part}" for part in _speed(task))
    line.add_row(
        Text(task.description, style="bold"), bar, Text.assemble(_rows_done(task), (speed, DIM))
    )
    return line


def _search_state(standing: SearchState, *details: str) -> list[str]:
    """Return the state of a search: `trial 7 of 50`, `epoch 3/40`, `best 0.0123 (trial 4)`."""
    of_trials = f" of {standing.trials}" if standing.trials else ""
    parts = [f"trial {standing.trial}{of_trials}" if standing.trial else "training the best"]
    parts += [text for text in details if text]
    if standing.best is not None:
        parts.append(f"best {figure(standing.best)} (trial {standing.best_trial})")
    return parts


class RowCountProgress(Progress):
    """Counter of the rows of the current stage and of the epochs; subclasses show them."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self.console = console
        self.history: list[Epoch] = []
        self._clock = clock
        self._epochs = 0
        self._rows_per_epoch = 0
        self._unit = "row"
        # It is never started: it only measures speed.
        self._tasks = RichProgress(
            console=console, auto_refresh=False, speed_estimate_period=SPEED_SECONDS, get_time=clock
        )
        self._start("", None)

    def _start(
        self, stage: str, rows: int | None, *, done: int = 0, training: bool = False
    ) -> None:
        """Start to count rows: `done` of them were done by an earlier run."""
        for number in self._tasks.task_ids:
            self._tasks.remove_task(number)
        number = self._tasks.add_task(
            stage, total=rows, completed=done, training=training, unit=self._unit
        )
        self._task = self._tasks.tasks[0]
        self._tasks.advance(number, 0)  # rich measures speed from the first sample on

    def note(self, message: str) -> None:
        """Print one sentence."""
        self.console.print(Text(f"note: {safe(message)}"), soft_wrap=not self.console.is_terminal)

    def stage(self, name: str, total_rows: int | None = None, unit: str = "row") -> None:
        """Start a pass over rows or windows."""
        self._unit = unit
        self._start(name, total_rows)

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        """Start counting epochs."""
        self._epochs, self._rows_per_epoch, self._unit = epochs, rows_per_epoch, unit
        self._start("", epochs * rows_per_epoch, training=True)
        self._name_epoch()

    def resumed(self, history: Sequence[Epoch]) -> None:
        """Add the epochs of an earlier run; they count as done, and not as speed."""
        self.history.extend(history)
        rows = len(history) * self._rows_per_epoch
        self._start("", self._epochs * self._rows_per_epoch, done=rows, training=True)
        self._name_epoch()

    def rows(self, count: int) -> None:
        """Count rows."""
        self._tasks.advance(self._task.id, count)

    def epoch(self, epoch: Epoch) -> None:
        """Add an epoch, and count its rows up to its end."""
        self.history.append(epoch)
        rows = epoch.number * self._rows_per_epoch
        self._tasks.advance(self._task.id, rows - self._task.completed)
        self._name_epoch()

    def _name_epoch(self) -> None:
        number = self.history[-1].number + 1 if self.history else 1
        self._task.description = f"epoch {min(number, self._epochs)}/{self._epochs}"


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
        parts = _search_state(standing, self._task.description)
        if standing.seconds_left is not None:
            left = max(standing.seconds_left - (self._clock() - self._trial_began), 0.0)
            parts.append(f"{duration(round(left))} left")
        line = Text("  ".join(parts), style=DIM, overflow="ellipsis", no_wrap=True)
        line.stylize("not dim bold", 0, len(parts[0]))
        return line


class PlainProgress(RowCountProgress):
    """Plain lines for the first and the last epoch, and every half minute between them."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        super().__init__(console, clock)
        self._printed_at = clock()
        self._printed_epoch: Epoch | None = None

    def rows(self, count: int) -> None:
        """Count rows, and print a line if the last one is old enough."""
        super().rows(count)
        # A shorter epoch prints a line with its losses.
        in_epochs = self.history and self._task.fields["training"]
        if self._clock() - self._printed_at >= LINE_SECONDS * (2 if in_epochs else 1):
            self._print([self._task.description, _rows_done(self._task), *_speed(self._task)])

    def epoch(self, epoch: Epoch) -> None:
        """Print the first epoch, and later ones if the last line is old enough."""
        super().epoch(epoch)
        if len(self.history) == 1 or self._clock() - self._printed_at >= LINE_SECONDS:
            self._print_epoch(epoch)

    def finish(self) -> None:
        """Print the last epoch if it is not printed yet."""
        if self.history and self._printed_epoch is not self.history[-1]:
            self._print_epoch(self.history[-1])

    def _print_epoch(self, epoch: Epoch) -> None:
        self._printed_epoch = epoch
        valid = (epoch.valid or {}).get("total")
        losses = [f"train {figure(epoch.train.get('total'))}"]
        losses += [f"valid {figure(valid)}"] if valid is not None else []
        self._print([f"epoch {epoch.number}/{self._epochs}", *losses, *_speed(self._task)])

    def _print(self, parts: Sequence[str]) -> None:
        self._printed_at = self._clock()
        self.console.print(Text("  ".join(parts)), soft_wrap=True)


class PlainSearchProgress(PlainProgress):
    """Plain lines for each better trial, and every half minute."""

    _standing: SearchState | None = None

    def trial(self, standing: SearchState) -> None:
        """Print the state if a trial was better, or if the last line is old enough."""
        before = self._standing
        self._standing = standing
        self.history.clear()
        better = before is not None and before.best_trial != standing.best_trial
        if better or self._clock() - self._printed_at >= LINE_SECONDS:
            self._print_state(standing)

    def rows(self, count: int) -> None:
        """Print the state if the last line is old enough."""
        if self._standing is not None and self._clock() - self._printed_at >= LINE_SECONDS:
            self._print_state(self._standing)

    def epoch(self, epoch: Epoch) -> None:
        """Add an epoch."""
        self.history.append(epoch)
        self._name_epoch()

    def finish(self) -> None:
        """Print nothing: the result is printed by the command."""

    def _print_state(self, standing: SearchState) -> None:
        left = standing.seconds_left
        parts = _search_state(standing, *([self._task.description] if self.history else []))
        parts += [f"{duration(max(left, 0.0))} left"] if left is not None else []
        self._print(parts)
