"""Requests to the steps of a training, on which all ranks agree: to stop, or to save."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence

from aecli.training.interrupt import Interrupt

CHECKPOINT_SECONDS = 15.0
"""Seconds between checkpoints at the ends of epochs."""

UNFINISHED_SECONDS = 60.0
"""Seconds without a checkpoint after which one is saved within an epoch."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Requests:
    """Requests that arrive while steps are trained: a signal, the time limit, a due checkpoint.

    `wanted` are those of this process. The others are what was agreed, from the sums of `wanted`
    over all ranks: `signal`, whether the time is up, whether to save, and whether the loss is not
    finite. Only the first rank looks at the clock.
    """

    def __init__(self, interrupt: Interrupt, time_limit: float | None, *, first: bool) -> None:
        self._interrupt = interrupt
        self._limit = time_limit
        self._first = first
        self._began = self._saved = time.perf_counter()
        self.signal: int | None = None
        self.time_is_up = self.saves = self.diverged = False

    def start(self, seconds: float) -> None:
        """Start the clock of a training that has run for some seconds before."""
        self._began = time.perf_counter() - seconds

    @property
    def seconds(self) -> float:
        """Return the seconds of the training."""
        return time.perf_counter() - self._began

    @property
    def checkpoint_is_due(self) -> bool:
        """Return whether to save at the end of an epoch."""
        return self._first and time.perf_counter() - self._saved > CHECKPOINT_SECONDS

    def wanted(self) -> list[float]:
        """Return 1 for each request of this process: SIGINT, SIGTERM, time limit, checkpoint."""
        now = time.perf_counter()
        signals = [float(self._interrupt.signal == number) for number in SIGNALS]
        late = self._first and self._limit is not None and now - self._began > self._limit
        due = self._first and now - self._saved > UNFINISHED_SECONDS
        return [*signals, float(late), float(due)]

    def agree(self, sums: Sequence[float], loss: float = 0.0) -> None:
        """Set what all ranks agree on: sums of `wanted`, and the loss of a step."""
        *signals, late, due = sums
        for number, senders in zip(SIGNALS, signals, strict=True):
            if senders and self.signal is None:
                self.signal = self._interrupt.signal = number
        self.time_is_up, self.saves = late > 0, due > 0
        self.diverged = not math.isfinite(loss)

    def saved(self) -> None:
        """Start the time to the next checkpoint."""
        self._saved, self.saves = time.perf_counter(), False
