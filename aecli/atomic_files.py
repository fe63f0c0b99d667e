"""Replace files atomically, and report write errors."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shlex
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from aecli.errors import AecliError, AecliWarning, ModelError, OutputError
from aecli.formatting import check_file_command
from aecli.regular_files import open_regular
from aecli.remote_files.path import OBJECT_STORES, RemotePath
from aecli.remote_files.status import RemoteFileError

_TEMPORARY = re.compile(r"\.aecli-[0-9a-f]{16}\.tmp")
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Error numbers of file systems without locks."""
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES)
"""Error numbers of a directory that cannot be synced because of its file system or mode."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield an empty file in the target's directory; rename it to `target` after the block.

    The content is on disk before the rename. The new file has the mode of the file that it
    replaces, else 0666 & ~umask, whatever the block does. Symbolic links are followed. If the block
    raises, `target` is unchanged. A device or named pipe cannot be replaced and is yielded itself.
    A remote file is replaced by uploading a temporary file, which is yielded.

    Raises:
        OutputError: the file cannot be written; a closed pipe raises `BrokenPipeError`.
    """
    if isinstance(target, RemotePath):
        with _uploaded(target) as temporary:
            yield temporary
        return
    try:
        if _is_stream(target):
            yield target
            return
        real = Path(os.path.realpath(target))
        with _temporary_path(real, like=real) as (temporary, _):
            yield temporary
    except BrokenPipeError:
        raise
    except OSError as error:
        # Arrow raises OSErrors about its input too, without an error number.
        if error.errno is None:
            raise
        raise output_error(target, error) from error


def write_file(
    target: Path, content: bytes, *, like: Path | None = None, commits: bool = True
) -> None:
    """Replace a file atomically by `content`; a symbolic link is replaced, not followed.

    Args:
        target: the file.
        content: its new content.
        like: a file whose mode the new one gets; 0666 & ~umask if it does not exist.
        commits: whether the rename completes a save, so that later errors are warnings.

    Raises:
        OutputError: the file cannot be written; with `commits`, `target` is unchanged.
    """
    if isinstance(target, RemotePath):
        with _uploaded(target) as temporary:
            temporary.write_bytes(content)
        return
    try:
        with (
            _temporary_path(target, like=like or target, commits=commits) as (_, descriptor),
            open(descriptor, "wb", closefd=False) as file,
        ):
            file.write(content)
    except OSError as error:
        raise output_error(target, error) from error


@contextmanager
def _uploaded(target: RemotePath) -> Iterator[Path]:
    """Yield an empty file in a temporary folder; upload it to `target` after the block."""
    with tempfile.TemporaryDirectory(prefix="aecli-upload-") as folder:
        temporary = Path(folder, target.name)
        try:
            target.require_writable()
            temporary.touch()
            yield temporary
            target.upload(temporary)
        except RemoteFileError as error:
            raise output_error(target, error) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.errno is None:
                raise
            raise output_error(temporary, error) from error


@contextmanager
def _temporary_path(
    target: Path, *, like: Path, commits: bool = True
) -> Iterator[tuple[Path, int]]:
    """Yield a new file and its descriptor; rename it to `target` after the block."""
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    clean_temporaries(target.parent)
    replaced = _status(like)
    temporary, descriptor = _new_temporary(target.parent, replaced)
    try:
        # Before the block: its writer may replace the file by one with another mode.
        mode = stat.S_IMODE((replaced or os.fstat(descriptor)).st_mode)
        yield temporary, descriptor
        with open(temporary, "rb") as written:
            _copy_owner(written.fileno(), replaced)
            os.fchmod(written.fileno(), mode)
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        with suppress(OSError):
            os.close(descriptor)
        raise
    with warn_after_commit(target) if commits else nullcontext():
        os.close(descriptor)
    with warn_after_commit(target) if commits else nullcontext():
        fsync_directory(target.parent)


def _status(path: Path) -> os.stat_result | None:
    """Return the status of a regular file, None for anything else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _copy_owner(descriptor: int, replaced: os.stat_result | None) -> None:
    """Give a new file the owner of the file it replaces, where the system permits it."""
    new = os.fstat(descriptor)
    if replaced is not None and (new.st_uid, new.st_gid) != (replaced.st_uid, replaced.st_gid):
        with suppress(PermissionError):
            os.fchown(descriptor, replaced.st_uid, replaced.st_gid)


@contextmanager
def warn_after_commit(saved: Path) -> Iterator[None]:
    """Turn an error into a warning: `saved` has its new content already."""
    try:
        yield
    except (OSError, AecliError) as error:
        message = f"{saved} is saved, but a later step failed: {error}"
        warnings.warn(message, AecliWarning, stacklevel=4)


def _new_temporary(directory: Path, replaced: os.stat_result | None) -> tuple[Path, int]:
    # The new file may not be readable by users who cannot read the old one.
    mode = 0o666 if replaced is None else 0o600
    while True:
        path = directory / f".aecli-{os.urandom(8).hex()}.tmp"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        # Locked until the writer ends, so that no other run removes the file as a leftover; a run
        # may have removed it just before the lock.
        if lock_descriptor(descriptor) is not False and is_at(path, descriptor):
            return path, descriptor
        os.close(descriptor)


def clean_temporaries(directory: Path) -> None:
    """Remove the temporary files of killed runs in `directory`, not those being written."""
    leftovers: list[str] = []
    with suppress(OSError):
        leftovers = [name for name in os.listdir(directory) if is_temporary(name)]
    for name in leftovers:
        # An entry of another user, or one that is not a file, must not stop the loop.
        with suppress(OSError, ModelError):
            _remove_leftover(directory / name)


def _remove_leftover(path: Path) -> None:
    descriptor = open_regular(path, os.O_RDWR)
    try:
        if lock_descriptor(descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def is_temporary(name: str) -> bool:
    """Return whether `name` is the name of a temporary file of `atomic_path`."""
    return _TEMPORARY.fullmatch(name) is not None


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable, where its file system supports it.

    Raises:
        OSError: the sync failed although the file system supports it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise


def lock_descriptor(descriptor: int) -> bool | None:
    """Lock an open file; False: another process has the lock, None: locks are not supported."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return True


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file still has this name."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _is_stream(target: Path) -> bool:
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def output_error(target: Path, error: OSError) -> OutputError:
    """Return the error of a `target` that could not be written, with a command to check it."""
    if isinstance(target, RemotePath):
        what = f"cannot write {target}: {error.strerror or error}"
        if error.errno == errno.EROFS:
            stores = ", ".join(f"{name}://" for name in OBJECT_STORES)
            return OutputError(what, hint=f"a path on disk, or an address of {stores}")
        return OutputError(what, hint=check_file_command(str(target.parent)))
    directory = target.parent
    quoted = shlex.quote(str(directory))
    reason, hint = {
        errno.ENOSPC: (f"no space left{_free(directory)}", f"df -h {quoted}"),
        errno.EDQUOT: ("the disk quota is used up", "quota -s"),
        errno.EFBIG: ("it exceeds the limit on file sizes", "ulimit -f"),
        errno.EACCES: (f"no permission in {directory}", f"ls -ld {quoted}"),
        errno.EPERM: (f"no permission in {directory}", f"ls -ld {quoted}"),
        errno.EROFS: (f"{directory} is on a read-only file system", f"df -h {quoted}"),
        errno.EISDIR: ("it is a directory", f"ls -ld {shlex.quote(str(target))}"),
    }.get(error.errno or 0, (error.strerror or str(error), None))
    blocking = _file_above(target)
    if blocking is not None:
        reason, hint = f"{blocking} is a file", f"ls -ld {shlex.quote(str(blocking))}"
    elif error.errno == errno.ENOENT and not os.path.exists(directory):
        reason, hint = f"directory {directory} does not exist", f"mkdir -p {quoted}"
    return OutputError(f"cannot write {target}: {reason}", hint=hint)


def _free(directory: Path) -> str:
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return ""
    return f" on its file system ({free / 1e6:.1f} MB free)"


def _file_above(target: Path) -> Path | None:
    # os.path.exists returns False where Path.exists raises: no permission, a name too long.
    above = (path for path in target.parents if os.path.exists(path))
    return next((path for path in above if not os.path.isdir(path)), None)
