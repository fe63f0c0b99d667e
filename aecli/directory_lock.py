"""Lock a directory against a second run."""

from __future__ import annotations

import os
import re
import shlex
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from aecli.atomic_files import (
    fsync_directory,
    is_at,
    lock_descriptor,
    output_error,
    warn_after_commit,
)
from aecli.errors import AecliError, LockedError, ModelError
from aecli.regular_files import open_regular, read_regular

LOCK = ".lock"
_MAX_BYTES = 300


class Lock:
    """Lock of a directory against a second run; a directory that does not exist is created.

    The system releases the lock when its process ends, even if it is killed. On file systems
    without locks (some network mounts) the directory is not protected. Directories created here
    are removed at the end if they are empty.

    Raises:
        LockedError: another process still has the lock after `patience` seconds.
        OutputError: the directory cannot be created or written to.
        ModelError: `.lock` is not a regular file, or has a second hard link.
    """

    def __init__(self, directory: Path, *, patience: float = 0.0) -> None:
        self.directory = directory
        self._patience = patience
        self._path = directory / LOCK
        self._created: list[Path] = []
        self._descriptor = -1

    def __enter__(self) -> Lock:
        try:
            self._created = _missing(self.directory)
            self.directory.mkdir(parents=True, exist_ok=True)
            for path in self._created:
                fsync_directory(path.parent)
            self._descriptor = self._acquire()
        except OSError as error:
            self._unmake()
            raise output_error(self._path, error) from error
        except AecliError:
            self._unmake()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        def ending() -> AbstractContextManager[None]:
            return warn_after_commit(self.directory) if error is None else suppress(OSError)

        # Removed before it is unlocked: a process that opened it meanwhile sees that it is gone.
        with ending():
            self._path.unlink(missing_ok=True)
        with ending():
            os.close(self._descriptor)
        self._unmake()

    def _acquire(self) -> int:
        until = time.monotonic() + self._patience
        while True:
            descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT)
            try:
                free = lock_descriptor(descriptor) is not False
                if free and is_at(self._path, descriptor):
                    self._write_owner(descriptor)
                    return descriptor
                owner = os.read(descriptor, _MAX_BYTES).decode(errors="replace").split()
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if not free and time.monotonic() >= until:
                raise self._locked_error(owner)
            time.sleep(0 if free else 0.1)

    def _write_owner(self, descriptor: int) -> None:
        """Write the process and its machine, unless the file has a second hard link."""
        if os.fstat(descriptor).st_nlink > 1:
            raise ModelError(
                f"{self._path} has a second hard link; nothing is written to it",
                hint=f"ls -l {shlex.quote(str(self._path))}",
            )
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {os.uname().nodename}\n".encode())
        except OSError:
            with suppress(OSError):
                self._path.unlink()
            raise

    def _locked_error(self, owner: list[str]) -> LockedError:
        pid, host = (*owner, "", "")[:2]
        where = "" if host in ("", os.uname().nodename) else f" on {host}"
        return LockedError(
            f"{self.directory} is being written by process {pid or 'unknown'}{where}",
            facts=("only one run at a time may write a model directory; -m selects another",),
            hint=f"ps -fp {pid}" if pid and not where else None,
        )

    def _unmake(self) -> None:
        for directory in self._created:
            with suppress(OSError):
                directory.rmdir()


def is_lock_file(path: Path) -> bool:
    """Return whether a lock file is empty or names a process and its machine, as `Lock` writes it.

    Raises:
        ModelError: it is not a regular file.
        OSError: it cannot be read.
    """
    try:
        content = read_regular(path, _MAX_BYTES)
    except FileNotFoundError:  # its run has ended
        return True
    return re.fullmatch(rb"(\d{1,10} \S{1,255}\n)?", content) is not None


def _missing(directory: Path) -> list[Path]:
    """Return the directory and those of its parents that do not exist, deepest first."""
    return [path for path in (directory, *directory.parents) if not os.path.exists(path)]
