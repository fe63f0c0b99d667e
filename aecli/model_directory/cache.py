"""Keep the files of remote models on disk, by their SHA-256, so that each is downloaded once."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from aecli.errors import AecliError
from aecli.regular_files import read_regular
from aecli.remote_files.path import RemotePath
from aecli.schema.model_spec import StoredFile


def read_cached(path: RemotePath, part: StoredFile) -> bytes:
    """Return at most one byte more than the size of a remote model's file; a copy stays on disk.

    Only content with the SHA-256 of the spec is taken from disk or stored there.

    Raises:
        OSError: the file cannot be read.
    """
    copy = cache_folder() / part.sha256
    with suppress(OSError, AecliError):
        content = read_regular(copy, part.size)
        if hashlib.sha256(content).hexdigest() == part.sha256:
            return content
    content = read_regular(path, part.size)
    if hashlib.sha256(content).hexdigest() == part.sha256:
        with suppress(OSError):  # a model can be read without the cache
            _store(copy, content)
    return content


def cache_folder() -> Path:
    """Return the folder of the copies, `$XDG_CACHE_HOME/aecli/models`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "aecli", "models")


def _store(copy: Path, content: bytes) -> None:
    """Write a copy that only this user can read, under its name when it is complete."""
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = copy.with_name(f".{copy.name[:16]}-{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(copy)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
