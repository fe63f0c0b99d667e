"""Count the rows of a command's stages, and measure their speed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import Task
from rich.text import Text

from aecli.cli.phase_times import Clock, PhaseTimes
from aecli.formatting import count, duration, figure, percent, safe
from aecli.progress import Epoch, Progress, SearchState

SPEED_SECONDS = 60.0
"""Time over which the rows per second are averaged; longer than a slow batch."""


def share_done(task: Task) -> float | None:
    """Return the share of the rows that is done, or None where the total is not known."""
    return min(task.completed / task.total, 1.0) if task.total else None


def rows_done(task: Task) -> str:
    """Return the share of the rows that is done, or their number where the total is not known."""
    share = share_done(task)
    if share is not None:
        return percent(share, 0)
    return count(round(task.completed), task.fields["unit"]) if task.completed else ""


def task_speed(task: Task) -> list[str]:
    """Return rows or windows per second and the time left, as far as they are known."""
    parts = [f"{count(round(task.speed), task.fields['unit'])}/s"] if task.speed else []
    if task.speed and task.time_remaining is not None:
        # Early stopping may end a training before its last epoch.
        at_most = "at most " if task.fields["training"] else ""
        parts.append(f"{at_most}{duration(max(task.time_remaining, 1))} left")
    return parts


def search_state(standing: SearchState, *details: str) -> list[str]:
    """Return the state of a search: `trial 7 of 50`, `epoch 3/40`, `best 0.0123 (trial 4)`."""
    of_trials = f" of {standing.trials}" if standing.trials else ""
    parts = [f"trial {standing.trial}{of_trials}" if standing.trial else "training the best"]
    parts += [text for text in details if text]
    if standing.best is not None:
        parts.append(f"best {figure(standing.best)} (trial {standing.best_trial})")
    return parts


class RowCountProgress(Progress):
    """Counter of the rows of the current stage and of the epochs; subclasses show them.

    With `phases`, for `--debug`, stages are timed and messages for it are printed.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self.console = console
        self.history: list[Epoch] = []
        self.phases: PhaseTimes | None = None
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

    def debug(self, message: str) -> None:
        """Print a line with `--debug`."""
        if self.phases is not None:
            self.console.print(Text(f"debug: {safe(message)}"), soft_wrap=True)

    def stage(self, name: str, total_rows: int | None = None, unit: str = "row") -> None:
        """Start a pass over rows or windows."""
        if self.phases is not None:
            self.phases.start(name)
        self._unit = unit
        self._start(name, total_rows)

    def training(self, epochs: int, rows_per_epoch: int, unit: str = "row") -> None:
        """Start counting epochs."""
        if self.phases is not None:
            self.phases.start("epochs")
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
