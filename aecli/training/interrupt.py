"""Handle SIGINT and SIGTERM as a request to stop and save a valid model."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupt:
    """Context that catches SIGINT and SIGTERM; `signal` is the first signal, or None.

    A second signal has its default effect, but not with `repeated`: a launcher of processes repeats
    the signal of a terminal. Signals are caught only in the main thread, and only with `listen`.
    """

    def __init__(self, *, listen: bool = True, repeated: bool = False) -> None:
        self._listen = listen
        self._repeated = repeated
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    @property
    def listening(self) -> bool:
        """Return whether a signal would be caught now."""
        return bool(self._before)

    def __enter__(self) -> Interrupt:
        if self._listen and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *error: object) -> None:
        self._reset_handlers()

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if not self._repeated:
            self._reset_handlers()

    def _reset_handlers(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # returned by signal()
        self._before.clear()
