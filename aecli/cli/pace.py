"""Keep the pace of a running verb: rows per second over the last moments, and the time left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

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
