"""Read files of web servers: by ranges where the server supports them."""

from __future__ import annotations

import errno
import http.client
import io
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import pyarrow as pa

from aecli.remote_files.status import (
    RemoteFileError,
    RemoteStatus,
    missing_file,
    replaced_file,
)

_SECONDS, _WEB_ATTEMPTS, _PAUSE_SECONDS = 20, 3, 0.25
_READ_BYTES = 1 << 20
_BUFFER = 1 << 16
_SAFE = "/%:@+~!$&'()*,;="
_RANGE = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")
_BUSY = (
    http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.BAD_GATEWAY,
    http.HTTPStatus.SERVICE_UNAVAILABLE, http.HTTPStatus.GATEWAY_TIMEOUT,
)  # fmt: skip
_MAY_PASS = (errno.ENOTCONN, errno.EAGAIN)

Content = TypeVar("Content")


class WebServer:
    """Files of a web server, which are only read.

    Args:
        scheme: http or https.
        query: the part of the address after `?`, which may contain a credential.
    """

    def __init__(self, scheme: str, query: str) -> None:
        self._scheme = scheme
        self._query = query

    def status(self, name: str) -> RemoteStatus:
        """Return the status of a file, with one request for its first byte."""
        return self._request(name, _status, range(1))

    def open(self, name: str) -> tuple[Any, RemoteStatus]:
        """Open a file for random access as an Arrow file."""
        status = self.status(name)
        raw = _RangeFile(self, name, status)
        return pa.PythonFile(io.BufferedReader(raw, _BUFFER), mode="r"), status

    def download(self, name: str, file: BinaryIO, most: int | None = None) -> RemoteStatus:
        """Copy a file into a local one, from its start again if the connection is lost."""

        def copy(answer: Any) -> RemoteStatus:
            status = _status(answer)
            file.seek(0)
            file.truncate()
            while chunk := self._read(answer, name, _left(file, most)):
                file.write(chunk)
            if status.size not in (-1, file.tell()) and file.tell() != most:
                raise _lost_connection(self._shown(name))
            return status

        return self._request(name, copy)

    def files_below(self, folder: str) -> list[tuple[str, RemoteStatus]]:
        """Return an empty list, because web servers do not list files."""
        return []

    def upload(self, local: str, name: str) -> None:
        """Raise, because files of web servers are only read."""
        self.require_writable(name)

    def delete(self, name: str) -> None:
        """Raise, because files of web servers are only read."""
        self.require_writable(name)

    def require_writable(self, name: str) -> None:
        """Raise, because files of web servers are only read."""
        reason = "addresses of web servers are only read"
        raise RemoteFileError(errno.EROFS, reason, self._shown(name))

    def read_range(self, name: str, part: range, opened: RemoteStatus) -> bytes:
        """Return a range of the bytes of a file that had the status `opened`.

        Raises:
            RemoteFileError: it was replaced, or the connection was lost repeatedly.
        """

        def read(answer: Any) -> bytes:
            if opened.differs(_status(answer)):
                raise replaced_file(self._shown(name))
            data = self._read(answer, name, len(part))
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT or len(data) != len(part):
                raise _lost_connection(self._shown(name))
            return data

        return self._request(name, read, part)

    def _request(
        self, name: str, read: Callable[[Any], Content], part: range | None = None
    ) -> Content:
        """Return what `read` makes of an answer; ask again after a failure that may pass."""
        attempt = 1
        while True:
            try:
                with self._answer(name, part) as answer:
                    return read(answer)
            except RemoteFileError as error:
                if error.errno not in _MAY_PASS or attempt == _WEB_ATTEMPTS:
                    raise
            time.sleep(attempt * _PAUSE_SECONDS)
            attempt += 1

    @contextmanager
    def _answer(self, name: str, part: range | None) -> Iterator[Any]:
        query = f"?{self._query}" if self._query else ""
        headers = {"User-Agent": "aecli", "Accept-Encoding": "identity"}
        if part is not None:
            headers["Range"] = f"bytes={part.start}-{part.stop - 1}"
        address = f"{self._scheme}://{quote(name, safe=_SAFE)}{query}"
        with self._failures(name):
            answer = _open(urllib.request.Request(address, headers=headers))
        with answer:
            yield answer

    def _read(self, answer: Any, name: str, most: int) -> bytes:
        """Return the next bytes of an answer, at most `most`; none at its end."""
        with self._failures(name):
            data: bytes = answer.read(most)
        return data

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        """Turn the failures of a request, and those of its connection, into errors for the user."""
        try:
            yield
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, self._shown(name)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None)
            cause = reason if isinstance(reason, Exception) else error
            raise connection_error(cause, self._shown(name)) from error

    def _shown(self, name: str) -> str:
        return f"{self._scheme}://{name}"


class _RangeFile(io.RawIOBase):
    """File of a web server for random access, each read of which is a request."""

    def __init__(self, server: WebServer, name: str, status: RemoteStatus) -> None:
        self._server = server
        self._name = name
        self._status = status
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._status.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._status.size, self._position + len(buffer))
        if end <= self._position:
            return 0
        data = self._server.read_range(self._name, range(self._position, end), self._status)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _status(answer: Any) -> RemoteStatus:
    total = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    size = total[1] if total else answer.headers.get("Content-Length", "-1")
    try:
        changed = parsedate_to_datetime(answer.headers.get("Last-Modified", "")).timestamp()
    except (ValueError, TypeError):
        changed = 0.0
    return RemoteStatus(
        size=int(size) if size.removeprefix("-").isdecimal() else -1,
        modified=int(changed) * 1_000_000_000,
        etag=answer.headers.get("ETag", ""),
        ranges=total is not None,
    )


def _open(request: urllib.request.Request) -> Any:
    """Return the answer to a request, also the one that a file ends before the range."""
    try:
        return urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        outside = error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        if outside and _RANGE.fullmatch(error.headers.get("Content-Range", "")):
            return error
        raise


def _left(file: BinaryIO, most: int | None) -> int:
    return _READ_BYTES if most is None else min(_READ_BYTES, most - file.tell())


def _refusal(code: int, name: str) -> OSError:
    """Return the error of an answer such as 404 Not Found."""
    if code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return missing_file(name)
    denied = code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN)
    number = errno.EACCES if denied else errno.EAGAIN if code in _BUSY else errno.EIO
    # The text of the answer is the server's, and the one of a redirect has its target.
    phrase = {status.value: f" {status.phrase}" for status in http.HTTPStatus}.get(code, "")
    redirect = ", a redirect that is not followed" if 300 <= code < 400 else ""
    return RemoteFileError(number, f"the server answers {code}{phrase}{redirect}", name)


def connection_error(error: Exception, name: str) -> RemoteFileError:
    """Return the error of a request without an answer, or of a body that cannot be read."""
    if isinstance(error, TimeoutError):
        return RemoteFileError(errno.ENOTCONN, "no answer in time", name)
    invalid = not isinstance(error, OSError) and isinstance(error, ValueError)
    if invalid or isinstance(error, http.client.InvalidURL):
        return RemoteFileError(errno.EINVAL, "its address is not valid", name)
    reason = getattr(error, "strerror", None)
    untrusted = isinstance(error, ssl.SSLCertVerificationError)
    passing = isinstance(error, (http.client.HTTPException, ConnectionError, ssl.SSLError))
    if passing and not untrusted:
        return _lost_connection(name, reason)
    return RemoteFileError(errno.EHOSTUNREACH, reason or str(error), name)


def _lost_connection(name: str, reason: str | None = None) -> RemoteFileError:
    return RemoteFileError(errno.ENOTCONN, reason or "the connection was lost", name)
