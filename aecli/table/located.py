"""Find the files that a user means, and what format they have."""

from __future__ import annotations

import atexit
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from aecli.errors import DataError, UsageError, nearest

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
PACKED = (".gz", ".zst")
SNIFFED_BYTES = 1 << 16

StrPath = str | os.PathLike[str]


def located(data: StrPath | Sequence[StrPath]) -> list[Path]:
    """Return the files that `data` names, folders and globs expanded, each in sorted order.

    Raises:
        DataError: nothing is there, or a folder holds no table.
    """
    named = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    if not named:
        raise UsageError("no table is named", hint="aecli inspect data.parquet")
    return [path for name in named for path in _expanded(os.fspath(name))]


def _expanded(name: str) -> list[Path]:
    path = Path(name)
    if name == "-":
        return [spooled(sys.stdin.buffer)]
    if path.is_dir():
        return _tables_in(path)
    if path.exists():
        return [path] if path.is_file() else [_spooled_pipe(path)]
    if any(character in name for character in "*?["):
        found = sorted(Path(match) for match in glob.glob(name, recursive=True))
        files = [file for file in found if file.is_file()]
        if files:
            return files
        raise DataError(f"no file matches {name!r}", hint=f"ls {path.parent}")
    raise _not_found(path)


def _tables_in(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and format_by_name(path)
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        and path.stat().st_size
    )
    if not files:
        raise DataError(
            f"the folder {folder} holds no table",
            facts=[f"looked for {', '.join(FORMATS)}, also with .gz or .zst"],
            hint="name a file, a folder of Parquet files, or a glob",
        )
    return files


def _not_found(path: Path) -> DataError:
    folder = path.parent
    if not folder.is_dir():
        return DataError(f"{path} does not exist, nor does its folder", hint=f"ls {folder.parent}")
    near = nearest(path.name, [entry.name for entry in folder.iterdir()])
    hint = f"{folder / near}" if near else f"ls {folder}"
    return DataError(f"{path} does not exist", hint=hint)


def _spooled_pipe(path: Path) -> Path:
    with path.open("rb") as pipe:
        return spooled(pipe)


def spooled(stream: BinaryIO) -> Path:
    """Copy a stream, which can be read once, to a temporary file that goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="aecli-stdin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / "standard input"
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return target


def format_by_name(path: Path) -> str | None:
    """Return the format that a file's name says, None where it says none."""
    suffix = path.suffix.lower()
    if suffix in PACKED:
        suffix = Path(path.stem).suffix.lower()
    return FORMATS.get(suffix)


def format_of(path: Path) -> str:
    """Return the format of a file, by its name or else by its first bytes.

    Raises:
        DataError: it is empty, or of no format that is read here.
    """
    found = format_by_name(path)
    if found:
        return found
    head = first_bytes(path)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        return "jsonl"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{path.name} is of no format that aecli reads",
            facts=["it reads Parquet, CSV and TSV, Arrow and Feather, JSON lines"],
            hint="--format csv if it is one of these by another name",
        )
    return "csv"


def first_bytes(path: Path) -> bytes:
    """Return the first 64 KB of a file, unpacked.

    Raises:
        DataError: the file is empty, may not be read, or is damaged.
    """
    try:
        with opened(path) as stream:
            head: bytes = stream.read(SNIFFED_BYTES)
    except PermissionError as error:
        raise DataError(f"{path} may not be read", hint=f"chmod +r {path}") from error
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(
            f"{path} cannot be read", facts=[reason[:160]], hint=f"file {path}"
        ) from error
    if not head:
        raise DataError(f"{path.name} is empty", hint="a table with a header and rows")
    return head


def opened(path: Path) -> pa.NativeFile:
    """Open a file for reading from its start, unpacked if its bytes say it is packed."""
    with path.open("rb") as file:
        magic = file.read(4)
    packing = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}.get(magic[:2])
    return pa.input_stream(str(path), compression=packing)
