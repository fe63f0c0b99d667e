"""Locks by which the processes of a search share a journal; those of a killed process are free."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aecli.atomic_files import NO_LOCKS, output_error

_STUDY_BYTE, _APPEND_BYTE, _FIRST_TRIAL_BYTE = range(3)


class JournalLocks:
    """Locks on single bytes of `JOURNAL.lock`: the study, appending, and one per running trial.

    The operating system releases them when a process ends, however it ends. Where the file system
    has no locks, every trial counts as running in another process.

    Raises:
        OutputError: the lock file cannot be created.
    """

    def __init__(self, journal: Path) -> None:
        path = journal.with_name(f"{journal.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise output_error(path, error) from error

    def close(self) -> None:
        """Release every lock of this process."""
        os.close(self._descriptor)

    @contextmanager
    def study(self) -> Iterator[None]:
        """Wait for the study: one process at a time opens it or begins a trial."""
        self._wait(_STUDY_BYTE)
        try:
            yield
        finally:
            self._release(_STUDY_BYTE)

    def acquire_append(self) -> None:
        """Wait until no other process writes to the journal."""
        self._wait(_APPEND_BYTE)

    def release_append(self) -> None:
        """Let other processes write to the journal."""
        self._release(_APPEND_BYTE)

    def acquire_trial(self, index: int) -> bool:
        """Lock a trial without waiting; False where its process is alive, or may be."""
        try:
            byte = _FIRST_TRIAL_BYTE + index
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def release_trial(self, index: int) -> None:
        """Release a trial that ended."""
        self._release(_FIRST_TRIAL_BYTE + index)

    def _wait(self, byte: int) -> None:
        self._lock(fcntl.LOCK_EX, byte)

    def _release(self, byte: int) -> None:
        self._lock(fcntl.LOCK_UN, byte)

    def _lock(self, operation: int, byte: int) -> None:
        try:
            fcntl.lockf(self._descriptor, operation, 1, byte)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
