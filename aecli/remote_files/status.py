"""Status of a remote file, and the errors of reading and writing one."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

_SECOND = 1_000_000_000


@dataclass(frozen=True)
class RemoteStatus:
    """Status of a remote file: size in bytes, time of change in nanoseconds since 1970, ETag.

    The ETag is empty where the server does not send one; `ranges` says whether parts of the file
    can be read. A folder is a prefix of other names.
    """

    size: int
    modified: int = 0
    etag: str = ""
    folder: bool = False
    ranges: bool = True

    def differs(self, other: RemoteStatus) -> bool:
        """Return whether two statuses are of different contents, by what both of them have.

        Times that differ by less than a second are the same, because some answers are rounded.
        """
        if -1 < self.size != other.size > -1:
            return True
        if self.etag and other.etag:
            return self.etag != other.etag
        dated = self.modified > 0 < other.modified
        return dated and abs(self.modified - other.modified) >= _SECOND


class RemoteStore(Protocol):
    """Server of files, which are named by their addresses without the scheme."""

    def status(self, name: str) -> RemoteStatus:
        """Return the status of a file or folder; raise FileNotFoundError if there is none."""

    def open(self, name: str) -> tuple[Any, RemoteStatus]:
        """Open a file for random access as an Arrow file; return also its status."""

    def download(self, name: str, file: BinaryIO, most: int | None = None) -> RemoteStatus:
        """Copy a file, or only its first `most` bytes, into a local one; return its status."""

    def files_below(self, folder: str) -> list[tuple[str, RemoteStatus]]:
        """Return the files of a folder and of its folders by name."""

    def upload(self, local: str, name: str) -> None:
        """Replace a file by a local one; it does not change before its content is complete."""

    def delete(self, name: str) -> None:
        """Delete a file; raise FileNotFoundError if there is none."""

    def require_writable(self, name: str) -> None:
        """Check before a long computation that a file could be written."""


class RemoteFileError(OSError):
    """Failure of a server, a connection or a permission; its `strerror` is for the user."""


def replaced_file(name: str) -> RemoteFileError:
    """Return the error of a file whose content is not the same as before."""
    return RemoteFileError(errno.ESTALE, "it was replaced while it was being read", name)


def missing_file(name: str) -> FileNotFoundError:
    """Return the error of a file that does not exist."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


_CREDENTIALS = (
    "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "UNRECOGNIZED_CLIENT",
    "INVALID_CLIENT_TOKEN_ID", "EXPIRED_TOKEN", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION",
    "HTTP response code 403", "HTTP response code 401", "ExpiredToken", "PERMISSION_DENIED",
    "UNAUTHENTICATED", "Could not create a OAuth2", "DefaultAzureCredential",
    "AuthenticationFailed", "AuthorizationFailure",
)  # fmt: skip
_CONNECTION = (
    "NETWORK_CONNECTION", "REQUEST_TIMEOUT", "SLOW_DOWN", "SERVICE_UNAVAILABLE", "INTERNAL_FAILURE",
    "curlCode", "Couldn't", "Could not connect", "Could not resolve", "UNAVAILABLE",
    "DEADLINE_EXCEEDED", "Fail to get a new connection", "Retry policy exhausted",
)  # fmt: skip
_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "HTTP response code 301")
_BUCKET = ("NO_SUCH_BUCKET", "ContainerNotFound", "The specified bucket does not exist")
_REASON = re.compile(r"(?:curlCode: \d+, )([^;(]*)")


def remote_error(error: BaseException, name: str, help: str) -> OSError:
    """Return the error of Arrow's client of an object store, with a reason for the user.

    Args:
        error: the exception of Arrow.
        name: address of the file.
        help: what gives the store's client its credentials.
    """
    if isinstance(error, RemoteFileError):
        return error
    text = _without_queries(" ".join(str(error).split()))
    if any(word in text for word in _BUCKET):
        return RemoteFileError(errno.ENXIO, "its bucket does not exist", name)
    if any(word in text for word in _REGION):
        reason = "its bucket is in a region other than AWS_REGION"
        return RemoteFileError(errno.EREMOTE, reason, name)
    if any(word in text for word in _CREDENTIALS):
        return RemoteFileError(errno.EACCES, f"access denied; credentials: {help}", name)
    if any(word in text for word in _CONNECTION):
        found = _REASON.search(text)
        reason = found[1].strip() if found else "no connection to the store"
        return RemoteFileError(errno.ENOTCONN, reason, name)
    return RemoteFileError(errno.EIO, _without_request(text)[:200], name)


def lost_connection(error: OSError) -> OSError | None:
    """Return the error of a server behind an error of Arrow; None for one of another kind."""
    known = any(word in str(error) for word in ("AWS Error", "google::cloud", "Azure"))
    return remote_error(error, "", "those of the store") if known else None


def _without_queries(text: str) -> str:
    """Return a message without the queries of its addresses, which may have a signature."""
    return re.sub(r"\?[^\s'\"]*=[^\s'\"]*", "?…", text)


def _without_request(text: str) -> str:
    """Return a message without the identifier of its request."""
    return re.sub(r" \(Request ID: [^)]*\)", "", text)
