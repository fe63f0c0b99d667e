"""Print the progress of a command as lines at intervals."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from aecli.cli.phase_times import Clock
from aecli.cli.row_count_progress import RowCountProgress, rows_done, search_state, task_speed
from aecli.formatting import duration, figure
from aecli.progress import Epoch, SearchState

LINE_SECONDS = 30.0


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
            self._print([self._task.description, rows_done(self._task), *task_speed(self._task)])

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
        self._print([f"epoch {epoch.number}/{self._epochs}", *losses, *task_speed(self._task)])

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
        parts = search_state(standing, *([self._task.description] if self.history else []))
        parts += [f"{duration(max(left, 0.0))} left"] if left is not None else []
        self._print(parts)
