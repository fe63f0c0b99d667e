"""Open files, detect their format and compression, and report those that cannot be read."""

from __future__ import annotations

import io
import os
import re
import shlex
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Literal

import pyarrow as pa

from aecli.errors import DataError, UsageError, nearest
from aecli.formatting import STANDARD_INPUT, check_file_command, shell_name
from aecli.remote_files.path import RemotePath, location, shown_address
from aecli.remote_files.status import lost_connection

Format = Literal["parquet", "csv", "arrow", "jsonl", "xlsx"]

SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

PARQUET_MAGIC = b"PAR1"

_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_MAGIC: dict[bytes, Format] = {
    PARQUET_MAGIC: "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
}
_ZIP, _OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_FOREIGN = {
    _ZIP: "a zip archive",
    _OLD_OFFICE: "a document of an old Office format",
    b"<?xml": "XML",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"FEA1": "a Feather file of version 1",
    b"PARE": "an encrypted Parquet file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"%PDF": "a PDF",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
}
_HTML = (b"<!doctype html", b"<html", b"<table")
_GIT_LFS = b"version https://git-lfs"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DETECTED_BYTES = 4096


def format_by_name(path: PurePath) -> Format | None:
    """Return the format by a file's suffix, None for an unknown suffix."""
    suffix = path.suffix.lower()
    if suffix in COMPRESSIONS:
        suffix = PurePath(path.stem).suffix.lower()
    return "xlsx" if suffix in WORKBOOK_SUFFIXES else SUFFIXES.get(suffix)


def open_file(path: Path) -> Any:
    """Open a file, on disk or a remote one, for random access as an Arrow file."""
    return path.open_random() if isinstance(path, RemotePath) else pa.OSFile(str(path), "rb")


def open_bytes(path: Path) -> Any:
    """Open a file as an Arrow stream of its bytes, decompressed if necessary."""
    stream = open_file(path)
    compression = _compression(stream.read(4))
    stream.seek(0)
    return pa.CompressedInputStream(stream, compression) if compression else stream


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors of reading the table `name` into a DataError that names it."""
    try:
        yield
    except pa.ArrowMemoryError as error:
        match = re.search(r"of size (\d+) failed", str(error))
        if match is None or int(match[1]) <= _memory_bytes():
            raise
        raise DataError(
            f"cannot read {name}: one of its parts needs {int(match[1]):,} bytes of memory",
            facts=["its lengths are damaged, or its batches are too large for this machine"],
            hint=check_file_command(name),
        ) from error
    except (pa.ArrowException, EOFError) as error:
        raise unreadable(name, error) from error
    except OSError as error:
        error = lost_connection(error) or error
        if error.errno is not None and error.strerror:
            message = f"cannot read {name}: {error.strerror}"
            raise DataError(message, hint=check_file_command(name)) from error
        raise unreadable(name, error) from error


def _memory_bytes() -> int:
    """Return the size of this machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def unreadable(name: str, error: BaseException) -> DataError:
    """Return the error of a damaged file, with the first line of the reader's message."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return DataError(
        f"cannot read {name}: it is damaged or incomplete",
        facts=[reason],
        hint=check_file_command(name) + ("" if name == STANDARD_INPUT else ", and copy it again"),
    )


def is_compressed(path: Path) -> bool:
    """Return whether a file is compressed with gzip or zstd, by its content."""
    with open(path, "rb") as file:
        return _compression(file.read(4)) is not None


def detect_format(path: Path, name: str, option: str) -> Format:
    """Return a file's format: `option` if it is not "auto", else by name, else by content.

    Raises:
        DataError: the file is empty, or its format is not supported.
    """
    with reading(name), open_bytes(path) as stream:
        head = stream.read(_DETECTED_BYTES)
    if not head.strip():
        raise DataError(f"{name} is empty", hint="a file with a header and at least one row")
    if option != "auto":
        return option  # type: ignore[return-value]  # the options allow no other value
    by_name = format_by_name(path)
    if _is_workbook(path, head, by_name):
        return "xlsx"
    _require_table(head, name)
    foreign = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
    # Text files are often named .xls.
    if foreign is None and by_name not in (None, "xlsx"):
        return by_name
    for magic, format in _MAGIC.items():
        if head.startswith(magic):
            return format
    if foreign is not None or (b"\0" in head and not head.startswith(_UTF_16)):
        raise DataError(
            f"{name} is {foreign or 'not a known table format'}",
            facts=["aecli reads Parquet, CSV, Arrow, JSON Lines and workbooks such as .xlsx"],
            hint="convert it to Parquet or CSV first",
        )
    return _text_format(head.removeprefix(b"\xef\xbb\xbf").lstrip(), name)


def _require_table(head: bytes, name: str) -> None:
    """Raise for content that a failed download often leaves under the name of a table."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:32].lower().startswith(_HTML):
        raise DataError(
            f"{name} is an HTML page, not a table",
            facts=[f"it begins with {text[:32].splitlines()[0].decode(errors='replace')!r}"],
            hint="download the table itself, or save the page's table as CSV",
        )
    if text.startswith(_GIT_LFS):
        raise DataError(
            f"{name} is a Git LFS pointer, not the table itself",
            hint="git lfs pull",
        )


def output_format(output: str, option: str | None) -> tuple[str, str | None]:
    """Return the format (tsv is a format of its own) and the compression of an output.

    Raises:
        UsageError: the output is not a file name, or its format is not supported.
    """
    if not output or "\0" in output:
        raise UsageError(f"-o {output!r} is not a file name", hint="-o latents.parquet")
    path = location(output)
    suffix = path.suffix.lower()
    compression = COMPRESSIONS.get(suffix)
    inner = PurePath(path.stem).suffix.lower() if compression else suffix
    if output == "-":
        return option or "csv", None
    _require_file_name(output)
    format = option or ("tsv" if inner in (".tsv", ".tab") else SUFFIXES.get(inner))
    if format is None and _is_special(path):
        message = f"cannot write {output}: a device or a pipe needs a format"
        raise UsageError(message, hint=f"-o {output} --to csv")
    if format is None:
        near = nearest(inner, list(SUFFIXES)) or ".parquet"
        reason = f"unknown format {inner}" if inner else "its name has no suffix for a format"
        raise UsageError(
            f"cannot write {output}: {reason}",
            facts=["formats: .parquet, .csv, .tsv, .arrow, .feather, .jsonl (text also .gz, .zst)"],
            hint=f"-o {path.with_suffix(near)}",
        )
    if compression and format in ("parquet", "arrow"):
        raise UsageError(
            f"cannot write {output}: {format} files are compressed internally",
            hint=f"-o {path.with_suffix('')}",
        )
    return format, compression


def _require_file_name(output: str) -> None:
    path = location(output)
    bucket = isinstance(path, RemotePath) and len(path.parts) == 2
    if not (bucket or output.endswith("/") or os.path.isdir(output)):
        return
    reason = "it is a directory" if os.path.isdir(output) else "its name is that of a directory"
    hint = f"-o {shlex.quote(str(path / 'latents.parquet'))}"
    raise UsageError(f"cannot write {shown_address(output)}: {reason}", hint=hint)


def _is_special(path: PurePath) -> bool:
    # /dev/stdout may be redirected to a regular file.
    return str(path).startswith("/dev/") or (os.path.exists(path) and not os.path.isfile(path))


def _is_workbook(path: Path, head: bytes, by_name: Format | None) -> bool:
    if head.startswith(_OLD_OFFICE) or (by_name == "xlsx" and head.startswith(_ZIP)):
        return True
    if not head.startswith(_ZIP):
        return False
    try:
        with open_bytes(path) as stream, zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
            names = archive.namelist()
            sheets = "mimetype" in names and b"spreadsheet" in archive.read("mimetype")
    except (zipfile.BadZipFile, OSError):
        return False
    return sheets or any(name.startswith("xl/workbook") for name in names)


def _compression(head: bytes) -> str | None:
    return next((kind for magic, kind in _COMPRESSED.items() if head.startswith(magic)), None)


def _text_format(text: bytes, name: str) -> Format:
    if text.startswith(b"["):
        raise DataError(
            f"{name} looks like a JSON array; aecli reads JSON Lines, one object per line",
            hint=f"jq -c '.[]' {shell_name(name)} > rows.jsonl, or --format csv",
        )
    return "jsonl" if text.startswith(b"{") else "csv"
