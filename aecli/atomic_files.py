"""Replace files atomically, hash them, and lock a directory against a second run."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from aecli.errors import LockedError, OutputError

LOCK = ".lock"

_TEMPORARY = re.compile(r"\.aecli-[0-9a-f]{16}\.tmp")
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks answers."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield an empty file beside `target`; it takes the target's place when the block ends well.

    The new file is on disk before it gets its name, with mode 0666 & ~umask whoever wrote it. A
    link is followed. Where the block raises, nothing of `target` has changed. A device or a named
    pipe cannot be replaced and is yielded as it is.

    Raises:
        OutputError: the file cannot be written; closed pipes stay `BrokenPipeError`.
    """
    try:
        if _is_stream(target):
            yield target
            return
        with _temporary_path(Path(os.path.realpath(target))) as temporary:
            yield temporary
    except BrokenPipeError:
        raise
    except OSError as error:
        # Arrow's own complaints about what it reads are OSErrors too, but have no number.
        if error.errno is None:
            raise
        raise output_error(target, error) from error


@contextmanager
def _temporary_path(target: Path) -> Iterator[Path]:
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    clean_temporaries(target.parent)
    temporary, descriptor = _new_temporary(target.parent)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        yield temporary
        with open(temporary, "rb") as written:
            os.fchmod(written.fileno(), mode)
            os.fsync(written.fileno())
        os.replace(temporary, target)
        fsync_directory(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _new_temporary(directory: Path) -> tuple[Path, int]:
    while True:
        path = directory / f".aecli-{os.urandom(8).hex()}.tmp"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # Held as long as the writer lives, so that nobody takes the file for a leftover; somebody
        # may have done so just before.
        if _lock(descriptor) is not False and _is_at(path, descriptor):
            return path, descriptor
        os.close(descriptor)


def clean_temporaries(directory: Path) -> None:
    """Remove what killed runs left of `atomic_path` in `directory`; files being written stay."""
    with suppress(OSError):
        found = [name for name in os.listdir(directory) if _TEMPORARY.fullmatch(name)]
        for name in found:
            _remove_leftover(directory / name)


def _remove_leftover(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        if _lock(descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def is_temporary(name: str) -> bool:
    """Return whether `name` is one that `atomic_path` gives to files not yet complete."""
    return _TEMPORARY.fullmatch(name) is not None


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable, where its file system can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Lock:
    """Lock of a directory against a second run; the directory is made where it does not exist.

    The system lets go of the lock when its process ends, however it ends. Where the file system
    has no locks (some network mounts) there is no protection. Directories made here go again if
    they are still empty in the end.

    Raises:
        LockedError: another process holds it, and still does after `patience` seconds.
        OutputError: the directory cannot be made or written to.
    """

    def __init__(self, directory: Path, *, patience: float = 0.0) -> None:
        self.directory = directory
        self._patience = patience
        self._path = directory / LOCK
        self._created: list[Path] = []
        self._descriptor = -1

    def __enter__(self) -> Lock:
        try:
            self._created = _make(self.directory)
            self._descriptor = self._acquire()
        except OSError as error:
            self._unmake()
            raise output_error(self._path, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Still locked while it is removed: whoever opened it meanwhile sees that it is gone.
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._unmake()

    def _acquire(self) -> int:
        until = time.monotonic() + self._patience
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            if _lock(descriptor) is False:
                owner = os.read(descriptor, 300).decode(errors="replace").split()
                os.close(descriptor)
                if time.monotonic() >= until:
                    raise self._locked_error(owner)
                time.sleep(0.1)
                continue
            if _is_at(self._path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} {os.uname().nodename}\n".encode())
                return descriptor
            os.close(descriptor)

    def _locked_error(self, owner: list[str]) -> LockedError:
        pid, host = (*owner, "", "")[:2]
        where = "" if host in ("", os.uname().nodename) else f" on {host}"
        return LockedError(
            f"{self.directory} is being written by process {pid or 'unknown'}{where}",
            facts=("one run at a time may write a model directory; -m names another",),
            hint=f"ps -fp {pid}" if pid and not where else None,
        )

    def _unmake(self) -> None:
        with suppress(OSError):
            for directory in self._created:
                directory.rmdir()


def _lock(descriptor: int) -> bool | None:
    """Lock an open file; False: another process has it, None: there are no locks here."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _make(directory: Path) -> list[Path]:
    """Make a directory and its parents; return those that were not there, deepest first."""
    missing = [path for path in (directory, *directory.parents) if not os.path.exists(path)]
    directory.mkdir(parents=True, exist_ok=True)
    return missing


def _is_stream(target: Path) -> bool:
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def output_error(target: Path, error: OSError) -> OutputError:
    """Return the error of a `target` that could not be written, with what to check."""
    directory = target.parent
    quoted = shlex.quote(str(directory))
    reason, hint = {
        errno.ENOSPC: (f"no space left{_free(directory)}", f"df -h {quoted}"),
        errno.EDQUOT: ("the disk quota is used up", "quota -s"),
        errno.EFBIG: ("it is larger than a file may be here", "ulimit -f"),
        errno.EACCES: (f"no permission in {directory}", f"ls -ld {quoted}"),
        errno.EPERM: (f"no permission in {directory}", f"ls -ld {quoted}"),
        errno.EROFS: (f"{directory} is on a read-only file system", f"df -h {quoted}"),
        errno.EISDIR: ("it is a directory", f"ls -ld {shlex.quote(str(target))}"),
    }.get(error.errno or 0, (error.strerror or str(error), None))
    blocking = _file_above(target)
    if blocking is not None:
        reason, hint = f"{blocking} is a file", f"ls -ld {shlex.quote(str(blocking))}"
    elif not os.path.exists(directory):
        reason, hint = f"directory {directory} does not exist", f"mkdir -p {quoted}"
    return OutputError(f"cannot write {target}: {reason}", hint=hint)


def _free(directory: Path) -> str:
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return ""
    return f" on its file system ({free / 1e6:.1f} MB free)"


def _file_above(target: Path) -> Path | None:
    # os.path answers False where Path.exists raises: no permission, a name too long.
    above = (path for path in target.parents if os.path.exists(path))
    return next((path for path in above if not os.path.isdir(path)), None)
