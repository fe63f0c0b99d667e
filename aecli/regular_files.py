"""Open regular files without following links; files in a model directory are not trusted."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from contextlib import AbstractContextManager, suppress
from io import BufferedIOBase
from pathlib import Path

from aecli.errors import ModelError
from aecli.remote_files.path import RemotePath

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor; the last component may not be a link.

    Raises:
        ModelError: it is a link, a pipe, a device, a directory or a socket.
        OSError: it cannot be opened.
    """
    require_regular(path)
    # A pipe that replaces the file at this moment must not block.
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise not_regular_error(path, mode)
    return descriptor


def require_regular(path: Path) -> None:
    """Check that a path is a regular file or does not exist.

    Raises:
        ModelError: it is a link, a pipe, a device, a directory or a socket.
        OSError: its status cannot be read.
    """
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise not_regular_error(path, mode)


def not_regular_error(path: Path, mode: int) -> ModelError:
    """Return the error of a path whose `st_mode` is not that of a regular file."""
    kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
    return ModelError(
        f"{path} is {kind}; a model directory may contain regular files only",
        facts=("aecli neither read it nor wrote to it",),
        hint=f"ls -l {shlex.quote(str(path))}",
    )


def open_to_read(path: Path, most: int | None = None) -> AbstractContextManager[BufferedIOBase]:
    """Open a regular file, or a copy of a remote one or of its first `most` bytes, to read it.

    Raises:
        ModelError: it is a link, a pipe, a device, a directory or a socket.
        OSError: it cannot be opened.
    """
    return path.copied(most) if isinstance(path, RemotePath) else open(open_regular(path), "rb")


def require_openable(path: Path) -> None:
    """Check that a regular file can be opened, or that a remote one exists.

    Raises:
        ModelError: it is a link, a pipe, a device, a directory or a socket.
        OSError: it cannot be opened.
    """
    if isinstance(path, RemotePath):
        path.remote_status()
    else:
        os.close(open_regular(path))


def read_regular(path: Path, limit: int) -> bytes:
    """Return the first `limit + 1` bytes of a regular file.

    Raises:
        ModelError: it is a link, a pipe, a device, a directory or a socket.
        OSError: it cannot be read.
    """
    with open_to_read(path, limit + 1) as file:
        size = os.fstat(file.fileno()).st_size
        return file.read(min(size, limit) + 1)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file as 64 hexadecimal digits.

    Raises:
        ModelError: it is a link, a pipe, a device, a directory or a socket.
        OSError: it cannot be read.
    """
    with open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
