"""Paths of remote files: addresses that are used like paths on disk."""

from __future__ import annotations

import os
import re
import shlex
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path, PosixPath
from typing import Any, BinaryIO, Self

from aecli.errors import AecliWarning, UsageError
from aecli.remote_files.status import RemoteStatus, RemoteStore, replaced_file

OBJECT_STORES = ("s3", "gs", "abfs", "abfss")
WEB = ("https", "http")
_SCHEME_AND_REST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_MODES = {False: stat.S_IFREG | 0o644, True: stat.S_IFDIR | 0o755}


class RemotePath(PosixPath):
    """Address of a remote file or folder, such as `s3://bucket/day=1/rows.parquet`.

    Names, parents and joins are those of a path. The methods of a path on disk that are defined
    here ask the server; others are not supported. An address does not show its query, which may
    contain a credential.
    """

    query = ""
    _status: RemoteStatus | None = None

    def __str__(self) -> str:
        text = super().__str__()
        scheme, colon, rest = text.partition(":/")
        # A path relative to a folder has no scheme.
        return f"{scheme}://{rest}" if colon and scheme == self.parts[0][:-1] else text

    def __eq__(self, other: object) -> bool:
        same_query = isinstance(other, RemotePath) and other.query == self.query
        return same_query and super().__eq__(other)

    def __hash__(self) -> int:
        return hash((str(self), self.query))

    def __reduce__(self) -> tuple[Callable[[str], Path], tuple[str]]:
        return location, (f"{self}?{self.query}" if self.query else str(self),)

    @property
    def scheme(self) -> str:
        """Return the scheme, such as s3."""
        return self.parts[0].removesuffix(":")

    @property
    def _address(self) -> str:
        return str(self).partition("://")[2]

    @property
    def _store(self) -> RemoteStore:
        return _store(self.scheme, self.parts[1], self.query)

    def known(self, status: RemoteStatus) -> Self:
        """Return this path with its status, which is not asked for again."""
        self._status = status
        return self

    def remote_status(self) -> RemoteStatus:
        """Return the status when the file was found, or the present one of another file.

        Raises:
            FileNotFoundError: there is neither a file nor a folder.
            RemoteFileError: the server does not answer, or refuses.
        """
        return self._status or self._store.status(self._address)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size, time of change and type as those of a file on disk."""
        status = self.remote_status()
        seconds = status.modified // 1_000_000_000
        fields = (_MODES[status.folder], 0, 0, 1, 0, 0, status.size, seconds, seconds, seconds)
        return os.stat_result(fields, {"st_mtime_ns": status.modified})

    def lstat(self) -> os.stat_result:
        """Return the same as `stat`: there are no links."""
        return self.stat()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is a file or a folder."""
        try:
            self.remote_status()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there are files below this address."""
        return self.exists() and self.remote_status().folder

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is a file."""
        return self.exists() and not self.remote_status().folder

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def resolve(self, strict: bool = False) -> Self:
        """Return this address."""
        return self

    def files_below(self) -> list[RemotePath]:
        """Return the files of a folder and of its folders, sorted, with their status.

        Keys with `//`, `/./` or `/../`, which paths cannot have, are left out with a warning.

        Raises:
            RemoteFileError: they cannot be listed.
        """
        scheme = self.scheme
        found = self._store.files_below(self._address)
        others = [name for name, _ in found if not {"", ".", ".."}.isdisjoint(name.split("/"))]
        if others:
            warnings.warn(
                f"{scheme}://{others[0]} is left out: its key has //, /./ or /../"
                + (f"; {len(others) - 1:,} more" if others[1:] else ""),
                AecliWarning,
                stacklevel=2,
            )
        return sorted(
            RemotePath(f"{scheme}:/{name}").known(each)
            for name, each in found
            if name not in others
        )

    def iterdir(self) -> Iterator[RemotePath]:  # type: ignore[override]  # paths of this class
        """Yield the files directly in a folder."""
        return (path for path in self.files_below() if path.parent == self)

    def open_random(self) -> Any:
        """Open the file for random access, as an Arrow file.

        Raises:
            FileNotFoundError: it does not exist.
            RemoteFileError: it was replaced since it was found or opened, or the server refuses.
        """
        file, status = self._store.open(self._address)
        self._require_same(status)
        return file

    def download(self, file: BinaryIO) -> None:
        """Copy the content into an open file on disk.

        Raises:
            FileNotFoundError: it does not exist.
            RemoteFileError: it was replaced since it was found, or the connection was lost.
            OSError: the copy cannot be written.
        """
        self._require_same(self._store.download(self._address, file))

    def _require_same(self, status: RemoteStatus) -> None:
        """Remember the status; raise if it differs from the one before."""
        before = self._status
        if before is None:
            self._status = status
            return
        if before.differs(status):
            raise replaced_file(str(self))
        modified = before.modified or status.modified
        self._status = RemoteStatus(status.size, modified, status.etag, ranges=status.ranges)

    def require_unchanged(self) -> None:
        """Check after reading that the file is the one that was opened.

        Raises:
            FileNotFoundError: it does not exist any more.
            RemoteFileError: it was replaced, or the server refuses.
        """
        self.open_random().close()

    @contextmanager
    def copied(self, most: int | None = None) -> Iterator[BufferedIOBase]:
        """Yield the present content, or only its first `most` bytes, as a file on disk.

        Raises:
            FileNotFoundError: it does not exist.
            RemoteFileError: the server refuses, or the connection was lost.
        """
        with tempfile.TemporaryFile(prefix="aecli-download-") as file:
            self._store.download(self._address, file, most)
            file.seek(0)
            yield file

    def read_bytes(self) -> bytes:
        """Return the present content."""
        with self.copied() as file:
            return file.read()

    def upload(self, local: Path) -> None:
        """Replace the file by one on disk; it does not change before its content is complete.

        Raises:
            RemoteFileError: it cannot be written; it is unchanged, or does not exist.
        """
        self._store.upload(str(local), self._address)

    def require_writable(self) -> None:
        """Check before a long computation that the bucket exists.

        Raises:
            RemoteFileError: it does not, or the server only reads.
        """
        self._store.require_writable(self._address)

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the file."""
        try:
            self._store.delete(self._address)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Check that files can be written: a folder exists with its files."""
        self.require_writable()


@lru_cache
def _store(scheme: str, authority: str, query: str) -> RemoteStore:
    if scheme in WEB:
        from aecli.remote_files.web import WebServer

        return WebServer(scheme, query)
    from aecli.remote_files.object_store import ObjectStore

    return ObjectStore(scheme, authority)


def shown_address(text: str) -> str:
    """Return a path as it is given, or an address without the query, for messages."""
    path = location(text)
    return str(path) if isinstance(path, RemotePath) else text


def path_on_disk(text: str | os.PathLike[str], option: str) -> Path:
    """Return the path of a file that an option reads or writes only on disk.

    Raises:
        UsageError: it is an address.
    """
    path = location(text)
    if isinstance(path, RemotePath):
        raise UsageError(
            f"{option} {path} is an address; this file has to be on disk",
            hint=f"{option} {shlex.quote(path.name)}",
        )
    return path


def location(text: str | os.PathLike[str]) -> Path:
    """Return the path that a text names: on disk, or of a remote file if it is an address.

    Raises:
        UsageError: its scheme is not supported, or it has a password or no bucket.
    """
    if isinstance(text, RemotePath):
        return text
    match = _SCHEME_AND_REST.match(os.fspath(text))
    if match is None:
        return Path(text)
    scheme, rest = match[1].lower(), match[2]
    if scheme not in (*OBJECT_STORES, *WEB):
        raise UsageError(
            f"{scheme}:// addresses are not supported",
            facts=[f"supported: {', '.join(f'{name}://' for name in (*OBJECT_STORES, *WEB))}"],
            hint="download it first, or use a pipe: … | aecli … -",
        )
    query = ""
    if scheme in WEB:
        rest, _, query = rest.partition("#")[0].partition("?")
    authority = rest.partition("/")[0]
    user = authority.rpartition("@")[0]
    if user and (scheme in WEB or ":" in user):
        raise UsageError(
            f"{scheme}://…@{authority.rpartition('@')[2]}: credentials are not part of an address",
            facts=["they would be in the history of the shell, in messages and in models"],
            hint="AWS_PROFILE=NAME aecli …, or the variables of another store",
        )
    if not authority:
        raise UsageError(f"{scheme}:// names no bucket", hint=f"{scheme}://BUCKET/rows.parquet")
    path = RemotePath(f"{scheme}:/{rest}")
    path.query = query
    return path
