"""Read and write objects on S3, Google Cloud Storage and Azure with Arrow's file systems."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from aecli.remote_files.status import (
    RemoteFileError,
    RemoteStatus,
    missing_file,
    remote_error,
)

ANONYMOUS = "anonymous@"
_ETAG, _LAST_CHANGE = ("ETag", "etag"), ("Last-Modified", "timeCreated")
"""Names of the metadata of S3 and Azure, and of Google Cloud."""
_CONNECT_SECONDS, _REQUEST_SECONDS, _S3_ATTEMPTS = 10, 60, 3
_RANGE_BYTES = 16 << 20
_SOURCES_OF_CREDENTIALS = {
    "s3": "AWS_PROFILE, AWS_ACCESS_KEY_ID, or s3://anonymous@BUCKET/… for a public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or gs://anonymous@BUCKET/… for a public bucket",
    "abfs": "AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY, or az login",
}


class ObjectStore:
    """Objects of one bucket, or of one container of an Azure account.

    Args:
        scheme: s3, gs, abfs or abfss.
        authority: the bucket, which `anonymous@` may precede, or `CONTAINER@ACCOUNT…`.
    """

    def __init__(self, scheme: str, authority: str) -> None:
        self._scheme = scheme.replace("abfss", "abfs")
        self._authority = authority
        self._address = f"{scheme}://"
        bucket = authority.removeprefix(ANONYMOUS)
        self._bucket = bucket.partition("@")[0] if self._scheme == "abfs" else bucket

    def status(self, name: str) -> RemoteStatus:
        """Return the status of an object, or of a prefix of others."""
        with self._errors(name):
            return _status(self._files.get_file_info(self._key(name)))

    def open(self, name: str) -> tuple[Any, RemoteStatus]:
        """Open an object for random access as an Arrow file."""
        with self._errors(name):
            file = self._files.open_input_file(self._key(name))
            facts = file.metadata() or {}
            etag, changed = (
                next((facts[name].decode(errors="replace") for name in names if name in facts), "")
                for names in (_ETAG, _LAST_CHANGE)
            )
            return file, RemoteStatus(file.size(), _nanoseconds(changed), etag)

    def download(self, name: str, file: BinaryIO, most: int | None = None) -> RemoteStatus:
        """Copy an object into a local file by ranges, each of which is retried."""
        source, status = self.open(name)
        end = status.size if most is None else min(status.size, most)
        with source:
            for start in range(0, end, _RANGE_BYTES):
                with self._errors(name):
                    data = source.read(min(_RANGE_BYTES, end - start))
                file.write(data)
        return status

    def files_below(self, folder: str) -> list[tuple[str, RemoteStatus]]:
        """Return the objects whose names begin with a folder's."""
        base = self._key(folder)
        with self._errors(folder):
            infos = self._files.get_file_info(
                fs.FileSelector(base, allow_not_found=True, recursive=True)
            )
        files = [info for info in infos if info.type == fs.FileType.File]
        return [(folder + info.path[len(base) :], _status(info)) for info in files]

    def upload(self, local: str, name: str) -> None:
        """Replace an object by a local file, in one call of Arrow that no signal interrupts.

        Arrow's streams publish what was written so far when an exception closes them.
        """
        key, disk = self._key(name), fs.LocalFileSystem()
        with self._errors(name):
            before = self._files.get_file_info(key)
        try:
            with self._errors(name):
                fs.copy_files(
                    local, key, source_filesystem=disk, destination_filesystem=self._files
                )
                written = self._files.get_file_info(key).size
            if written != os.path.getsize(local):
                raise RemoteFileError(errno.EIO, f"only {written or 0:,} bytes arrived", name)
        except OSError:
            self._remove_truncated(key, before, os.path.getsize(local))
            raise

    def delete(self, name: str) -> None:
        """Delete an object."""
        key = self._key(name)
        with self._errors(name):
            _status(self._files.get_file_info(key))  # Azure's client has no error of its own for it
            self._files.delete_file(key)

    def require_writable(self, name: str) -> None:
        """Check that the bucket exists, if it may be read."""
        address = self._address + name
        try:
            info = self._files.get_file_info(self._bucket)
        except (OSError, pa.ArrowException) as error:
            refused = remote_error(error, address, _SOURCES_OF_CREDENTIALS[self._scheme])
            if refused.errno != errno.EACCES:
                raise refused from error
            return  # writing may be permitted although reading is not
        if info.type == fs.FileType.NotFound:
            raise RemoteFileError(errno.ENXIO, "its bucket does not exist", address)

    def _remove_truncated(self, key: str, before: Any, size: int) -> None:
        with suppress(OSError, pa.ArrowException):
            now = self._files.get_file_info(key)
            changed = (now.type, now.size, now.mtime_ns) != (
                before.type, before.size, before.mtime_ns,
            )  # fmt: skip
            if changed and now.type == fs.FileType.File and now.size != size:
                self._files.delete_file(key)

    def _key(self, name: str) -> str:
        """Return the name that Arrow uses: the bucket and the key."""
        return self._bucket + name.removeprefix(self._authority)

    @property
    def _files(self) -> Any:
        anonymous = self._authority.startswith(ANONYMOUS)
        match self._scheme:
            case "s3":
                return _s3_files(self._bucket, anonymous, *map(os.environ.get, _S3_VARIABLES))
            case "gs":
                return _google_files(anonymous, *map(os.environ.get, _GOOGLE_VARIABLES))
        account = self._authority.partition("@")[2].partition(".")[0]
        return _azure_files(account, *map(os.environ.get, _AZURE_VARIABLES))

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            self.require_writable(name)
            raise missing_file(self._address + name) from error
        except (OSError, pa.ArrowException) as error:
            help = _SOURCES_OF_CREDENTIALS[self._scheme]
            raise remote_error(error, self._address + name, help) from error


def _status(info: Any) -> RemoteStatus:
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError
    folder = info.type == fs.FileType.Directory
    return RemoteStatus(info.size or 0, info.mtime_ns or 0, folder=folder)


def _nanoseconds(time: str) -> int:
    """Return a time in nanoseconds since 1970; 0 where the text is not ISO 8601."""
    try:
        return int(datetime.fromisoformat(time).timestamp()) * 1_000_000_000
    except ValueError:
        return 0


_S3_VARIABLES = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_NO_SIGN_REQUEST", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN",
)  # fmt: skip


@lru_cache
def _s3_files(
    bucket: str,
    anonymous: bool,
    endpoint_of_s3: str | None,
    endpoint: str | None,
    region: str | None,
    default_region: str | None,
    unsigned: str | None,
    *credentials: str | None,
) -> Any:
    """Return the file system of S3; the variables are arguments because they may change."""
    override = endpoint_of_s3 or endpoint
    chosen = region or default_region
    if not (chosen or override or credentials[0]):
        with suppress(OSError, pa.ArrowException):
            chosen = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        anonymous=anonymous or (unsigned or "").lower() in ("1", "true", "yes"),
        region=chosen,
        endpoint_override=override,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_S3_ATTEMPTS),
    )


_GOOGLE_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "CLOUD_STORAGE_EMULATOR_ENDPOINT",
)  # fmt: skip


@lru_cache
def _google_files(
    anonymous: bool, credentials: str | None, emulator: str | None, endpoint: str | None
) -> Any:
    """Return the file system of Google Cloud, or of an emulator, which needs no credentials."""
    scheme, _, host = (emulator or endpoint or "").rstrip("/").rpartition("://")
    return fs.GcsFileSystem(
        anonymous=anonymous or bool(host),
        endpoint_override=host or None,
        scheme=scheme or ("http" if host else "https"),
        retry_time_limit=timedelta(seconds=_CONNECT_SECONDS),
    )


_AZURE_VARIABLES = (
    "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
)  # fmt: skip


@lru_cache
def _azure_files(
    account: str,
    default_account: str | None,
    key: str | None,
    token: str | None,
    connection: str | None,
) -> Any:
    """Return the file system of an account, which the connection string may describe."""
    parts = dict(part.partition("=")[::2] for part in (connection or "").split(";"))
    described = parts.get("AccountName") or _azure_account(parts.get("BlobEndpoint", ""))
    if connection and not described:
        raise RemoteFileError(errno.EACCES, "no account in AZURE_STORAGE_CONNECTION_STRING")
    name = account or described or default_account
    if not name:
        raise RemoteFileError(errno.EACCES, "no account: AZURE_STORAGE_ACCOUNT is not set")
    options: dict[str, str] = {}
    if described == name:
        options = _azure_endpoints(name, parts)
        if {"AccountKey", "SharedAccessSignature"} & parts.keys():
            key, token = parts.get("AccountKey"), parts.get("SharedAccessSignature")
    if key:
        options["account_key"] = key
    elif token:
        options["sas_token"] = "?" + token.removeprefix("?")
    return fs.AzureFileSystem(name, **options)


def _azure_account(endpoint: str) -> str:
    """Return the account in the address of a server of Azure; empty if there is none."""
    host = urlsplit(endpoint).hostname or ""
    return host.partition(".")[0] if ".blob." in host else ""


def _azure_endpoints(account: str, parts: dict[str, str]) -> dict[str, str]:
    """Return options of the file system for the servers that a connection string names.

    A server has the account in its name, or, like an emulator, in the path of its address.
    """
    protocol = parts.get("DefaultEndpointsProtocol", "https")
    suffix = parts.get("EndpointSuffix", "core.windows.net")
    blob = parts.get("BlobEndpoint") or f"{protocol}://{account}.blob.{suffix}"
    dfs = parts.get("DfsEndpoint") or blob.replace(".blob.", ".dfs.", 1)
    found: dict[str, str] = {}
    for service, url in (("blob", urlsplit(blob)), ("dfs", urlsplit(dfs))):
        in_name = url.netloc.startswith(f"{account}.")
        found[f"{service}_storage_scheme"] = url.scheme
        found[f"{service}_storage_authority"] = url.netloc[len(account) if in_name else 0 :]
    return found
