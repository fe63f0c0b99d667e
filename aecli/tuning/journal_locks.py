"""Lock parts of a search among processes, so that what a killed one held is free at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aecli.atomic_files import NO_LOCKS, output_error

_TURN, _APPEND, _FIRST = range(3)


class Claims:
    """Hold locks on single bytes of `JOURNAL.lock`: one per running trial, and two to take turns.

    The system lets go of them when a process ends, however it ends. Where the file system has no
    locks, every trial counts as somebody's.

    Raises:
        OutputError: the file cannot be made.
    """

    def __init__(self, journal: Path) -> None:
        path = journal.with_name(f"{journal.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise output_error(path, error) from error

    def close(self) -> None:
        """Let go of everything."""
        os.close(self._descriptor)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process looks for, begins or gives up a trial."""
        self._wait(_TURN)
        try:
            yield
        finally:
            self._release(_TURN)

    def begin_append(self) -> None:
        """Wait until no other process writes to the journal."""
        self._wait(_APPEND)

    def end_append(self) -> None:
        """Let others write to the journal."""
        self._release(_APPEND)

    def claim(self, trial: int) -> bool:
        """Take a trial; False where its process lives, or might."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _FIRST + trial)
        except OSError:
            return False
        return True

    def give_up(self, trial: int) -> None:
        """Let go of a trial."""
        self._release(_FIRST + trial)

    def _wait(self, place: int) -> None:
        self._set(fcntl.LOCK_EX, place)

    def _release(self, place: int) -> None:
        self._set(fcntl.LOCK_UN, place)

    def _set(self, kind: int, place: int) -> None:
        try:
            fcntl.lockf(self._descriptor, kind, 1, place)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
