"""Let SIGTERM unwind the program as Ctrl-C does, so that nothing half-written stays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """Say that SIGTERM came; like KeyboardInterrupt, no `except Exception` holds it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` inside when SIGTERM comes, unless the parent chose to ignore it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
