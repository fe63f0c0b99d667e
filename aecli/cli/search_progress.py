"""Tell on stderr how a search goes: one line that is drawn anew, or plain lines now and then."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rich.console import RenderableType
from rich.text import Text

from aecli.cli.display.widgets import DIM
from aecli.cli.progress import LINE_SECONDS, LiveProgress, PlainProgress, listening
from aecli.formatting import duration, figure
from aecli.progress import Epoch, Progress, Standing


def searching(*, quiet: bool) -> AbstractContextManager[Progress]:
    """Give a progress of a search that suits stderr."""
    return listening(quiet=quiet, live=LiveSearch, plain=PlainSearch)


def _parts(standing: Standing, *where: str) -> list[str]:
    """Say where a search stands, as in `trial 7 of 50`, `epoch 3/40`, `best 0.0123 (trial 4)`."""
    wanted = f" of {standing.trials}" if standing.trials else ""
    parts = [f"trial {standing.trial}{wanted}" if standing.trial else "the best"]
    parts += [text for text in where if text]
    if standing.best is not None:
        parts.append(f"best {figure(standing.best)} (trial {standing.best_trial})")
    return parts


class LiveSearch(LiveProgress):
    """Draw one line: the trial, its epoch, the best so far, the time left."""

    _standing: Standing | None = None
    _at = 0.0

    def trial(self, standing: Standing) -> None:
        """Start following a trial."""
        self._standing, self._at = standing, self._clock()
        self._stage = ""
        self.history.clear()
        self._draw(at_once=True)

    def _picture(self) -> RenderableType:
        if self._standing is None:
            return self._status()
        parts = _parts(self._standing, self._where)
        left = self._standing.seconds_left
        if left is not None:
            now = max(left - (self._clock() - self._at), 0.0)
            parts.append(f"{duration(round(now))} left")
        line = Text("  ".join(parts), style=DIM, overflow="ellipsis", no_wrap=True)
        line.stylize("not dim bold", 0, len(parts[0]))
        return line


class PlainSearch(PlainProgress):
    """Print a line for each better trial, and one every half minute."""

    _standing: Standing | None = None

    def trial(self, standing: Standing) -> None:
        """Print that the trials so far have a better best, or that the last line is old."""
        before = self._standing
        self._standing = standing
        self.history.clear()
        better = before is not None and before.best_trial != standing.best_trial
        if better or self._clock() - self._said_at >= LINE_SECONDS:
            self._tell(standing)

    def rows(self, count: int) -> None:
        """Print where the search stands, if the last line is old enough."""
        if self._standing is not None and self._clock() - self._said_at >= LINE_SECONDS:
            self._tell(self._standing)

    def epoch(self, epoch: Epoch) -> None:
        """Remember an epoch."""
        self.history.append(epoch)

    def finish(self) -> None:
        """Print nothing: the result says it all."""

    def _tell(self, standing: Standing) -> None:
        left = standing.seconds_left
        parts = _parts(standing, *([self._where] if self.history else []))
        parts += [f"{duration(max(left, 0.0))} left"] if left is not None else []
        self._said_at = self._clock()
        self.console.print(Text("  ".join(parts)), soft_wrap=True)
