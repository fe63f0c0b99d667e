"""Show on stderr how a search goes: one line drawn live, or plain lines now and then."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rich.console import RenderableType
from rich.text import Text

from aecli.cli.display.widgets import DIM
from aecli.cli.progress import LINE_SECONDS, LiveProgress, PlainProgress, open_progress
from aecli.formatting import duration, figure
from aecli.progress import Epoch, Progress, Standing


def show_search_progress(*, quiet: bool) -> AbstractContextManager[Progress]:
    """Give a progress of a search that suits stderr."""
    return open_progress(quiet=quiet, live=LiveSearchProgress, plain=PlainSearchProgress)


def _search_state(standing: Standing, *details: str) -> list[str]:
    """Return the state of a search: `trial 7 of 50`, `epoch 3/40`, `best 0.0123 (trial 4)`."""
    of_trials = f" of {standing.trials}" if standing.trials else ""
    parts = [f"trial {standing.trial}{of_trials}" if standing.trial else "the best"]
    parts += [text for text in details if text]
    if standing.best is not None:
        parts.append(f"best {figure(standing.best)} (trial {standing.best_trial})")
    return parts


class LiveSearchProgress(LiveProgress):
    """One line on a terminal: the trial, its epoch, the best so far, the time left."""

    _standing: Standing | None = None
    _trial_began = 0.0

    def trial(self, standing: Standing) -> None:
        """Start following a trial."""
        self._standing, self._trial_began = standing, self._clock()
        self._start("", None)
        self.history.clear()
        self._draw(at_once=True)

    def _picture(self) -> RenderableType:
        if self._standing is None:
            return self._tasks
        parts = _search_state(self._standing, self._task.description)
        left = self._standing.seconds_left
        if left is not None:
            now = max(left - (self._clock() - self._trial_began), 0.0)
            parts.append(f"{duration(round(now))} left")
        line = Text("  ".join(parts), style=DIM, overflow="ellipsis", no_wrap=True)
        line.stylize("not dim bold", 0, len(parts[0]))
        return line


class PlainSearchProgress(PlainProgress):
    """A line for each better trial, and one every half minute."""

    _standing: Standing | None = None

    def trial(self, standing: Standing) -> None:
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
        """Print nothing: the result says it all."""

    def _print_state(self, standing: Standing) -> None:
        left = standing.seconds_left
        parts = _search_state(standing, *([self._task.description] if self.history else []))
        parts += [f"{duration(max(left, 0.0))} left"] if left is not None else []
        self._print(parts)
