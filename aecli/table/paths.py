"""Find the files of a path, a glob or a folder, and copy pipes into files."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import unquote

from aecli.errors import DataError, OutputError, UsageError, nearest
from aecli.formatting import STANDARD_INPUT, check_file_command
from aecli.remote_files.path import RemotePath, location
from aecli.table.formats import format_by_name
from aecli.table.open_table_formats import require_plain_files
from aecli.table.remote_paths import find_remote

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
STDIN = "-"
_DESCRIPTORS = Path("/proc/self/fd")
_COPY_CHUNK = 1 << 20
_OFFICE_LOCK = "~$"


TableFile: TypeAlias = tuple[Path, Mapping[str, str | None]]
"""Path of a file of a table, and the values that folders named `key=value` give its rows."""


def path_arguments(data: Any) -> list[str]:
    """Return the paths, globs and folders that name a table.

    Raises:
        UsageError: the table is in memory, or there is none.
    """
    items = [data] if isinstance(data, (str, os.PathLike)) else data
    listed = isinstance(items, Sequence) and not isinstance(items, (bytes, bytearray))
    if not listed or not all(isinstance(item, (str, os.PathLike)) for item in items):
        raise UsageError(
            f"a {type(data).__module__}.{type(data).__qualname__} is not a table",
            facts=["tables are paths, globs, folders, -, or Arrow, pandas and polars tables"],
            hint="'data.parquet', or an Arrow table",
        )
    if not items:
        raise UsageError("no table is given", hint="aecli … data.csv")
    return [os.fspath(item) for item in items]


def find_files(paths: Sequence[str], notes: list[str]) -> list[TableFile]:
    """Return the files of paths, globs and folders, sorted by name within each.

    Hidden files of folders, names that begin with `_`, files without content and lock files of
    office programs are skipped; other skipped files of folders are counted in `notes`.

    Raises:
        DataError: a path does not exist, a glob matches nothing, a folder contains no table, a file
            belongs to a Delta, Hudi or Iceberg table, or a name is not valid UTF-8.
    """
    files = [file for text in paths for file in _expand(text, notes)]
    for path, _ in files:
        _require_utf8(path)
    return files


def _require_utf8(path: Path) -> None:
    """Check that Arrow can open a path."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        message = f"the name {os.fsencode(path).decode(errors='replace')} is not valid UTF-8"
        raise DataError(message, hint="rename the file") from error


def _expand(text: str, notes: list[str]) -> list[TableFile]:
    if not text:
        raise DataError("'' is not a file name", hint="aecli inspect data.parquet")
    path = location(text).expanduser()
    if isinstance(path, RemotePath):
        return _remote_files(path, notes)
    # os.path returns False where Path.exists raises: no permission, a name too long.
    if os.path.isdir(path):
        return _files_in_folder(path, notes)
    if os.path.exists(path):
        require_plain_files([path])
        return [(path, _partition_values(path, path.parent))]
    if not glob.has_magic(text):
        raise _missing_path_error(path, text)
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    named = [match for match in matches if match.is_file()]
    named = [match for match in named if _may_be_table(match)] or named
    require_plain_files(named)
    folder = _folder_of_glob(path)
    files: list[TableFile] = [(match, _partition_values(match, folder)) for match in named]
    if not files:
        files = [file for match in matches for file in _files_in_folder(match, notes)]
    if not files:
        raise DataError(f"no file matches {text}", hint=f"ls {path.parent}")
    return files


def _remote_files(path: RemotePath, notes: list[str]) -> list[TableFile]:
    folder, files, named = find_remote(path)
    tables: Sequence[Path] = files if named else _tables_of_folder(folder, files, notes)
    return [(file, _partition_values(file, folder)) for file in tables]


def files_below(text: str) -> list[tuple[Path, str]]:
    """Return the files of a path, a glob or a folder, each with its name below a folder.

    The folder is the one that is named, the part of a glob without wildcards, or that of the file.
    """
    path = location(text).expanduser()
    base: Path
    if isinstance(path, RemotePath):
        base, _, _ = find_remote(path)
    elif os.path.isdir(path):
        base = path
    else:
        base = path.parent if os.path.exists(path) else _folder_of_glob(path)
    return [(file, str(file.relative_to(base))) for file, _ in _expand(text, [])]


def _folder_of_glob(path: Path) -> Path:
    """Return the folders of a glob before its first wildcard."""
    return Path(*takewhile(lambda part: not glob.has_magic(part), path.parts[:-1]))


def _missing_path_error(path: Path, text: str) -> DataError:
    try:
        siblings = [entry.name for entry in os.scandir(path.parent) if entry.is_file()]
    except OSError:
        return DataError(
            f"{text} does not exist: there is no directory {path.parent}",
            hint=f"ls {shlex.quote(str(path.parent.parent))}",
        )
    near = nearest(path.name, siblings)
    suggestion = str(path.parent / near) if near else None
    return DataError(
        f"{text} does not exist" + (f"; did you mean {suggestion}?" if suggestion else ""),
        facts=[f"in {path.parent.resolve()}"],
        hint=suggestion or f"ls {path.parent}",
    )


def _files_in_folder(folder: Path, notes: list[str]) -> list[TableFile]:
    require_plain_files([folder])
    if any(folder.glob("weights-*.safetensors")):
        raise DataError(
            f"{folder} is a model directory, not a table",
            hint=f"aecli inspect -m {shlex.quote(str(folder))}",
        )
    files = sorted(_visible_files(folder))
    require_plain_files(files)
    tables = _tables_of_folder(folder, files, notes)
    return [(path, _partition_values(path, folder)) for path in tables]


def _tables_of_folder(folder: Path, files: Sequence[Path], notes: list[str]) -> Sequence[Path]:
    """Return the files of a folder that are tables, which must have one format."""
    tables = [path for path in files if format_by_name(path)]
    # Files without a suffix, such as Spark's part-00000, are tables if no file has a known one.
    tables = tables or [path for path in files if not path.suffix]
    if not tables:
        others = ", ".join(sorted({path.suffix for path in files}))
        raise DataError(
            f"folder {folder} contains no table",
            facts=[f"it has {len(files):,} other files ({others})" if files else "it is empty"],
            hint=check_file_command(str(folder)),
        )
    formats = {format_by_name(path) for path in tables}
    if len(formats) > 1:
        raise DataError(
            f"folder {folder} contains files of different formats: "
            + ", ".join(sorted(str(format) for format in formats)),
            hint=f"'{folder}/*{tables[0].suffix}'",
        )
    if len(tables) < len(files):
        notes.append(f"{len(files) - len(tables):,} files of {folder} are not tables: skipped")
    return tables


def _visible_files(folder: Path) -> list[Path]:
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        paths = [Path(root, name) for name in names if not name.startswith((".", "_"))]
        files += [path for path in paths if path.is_file() and _may_be_table(path)]
    return files


def _may_be_table(path: Path) -> bool:
    return path.stat().st_size > 0 and not path.name.startswith(_OFFICE_LOCK)


def _partition_values(path: Path, folder: Path) -> dict[str, str | None]:
    """Return the values of a file by its folders named `key=value`.

    These are the folders below `folder`, and those directly above it with such a name.
    """
    absolute = folder if isinstance(folder, RemotePath) else Path(os.path.abspath(folder))
    above = takewhile(_is_partition, reversed(absolute.parts))
    below = filter(_is_partition, path.relative_to(folder).parts[:-1])
    # Arrow columns cannot contain names that are not UTF-8.
    names = (os.fsencode(name).decode(errors="replace") for name in (*reversed([*above]), *below))
    pairs = [name.split("=", 1) for name in names]
    return {
        unquote(key): None if value == NULL_PARTITION else unquote(value) for key, value in pairs
    }


def _is_partition(name: str) -> bool:
    return "=" in name and not name.startswith("=")


def spool_streams(paths: Sequence[Path]) -> dict[Path, Spool]:
    """Return copies of pipes, whose bytes can be read only once.

    Raises:
        DataError: a pipe is empty, or is a device such as /dev/zero.
        OutputError: there is not enough space for a copy.
        UsageError: it is a terminal.
    """
    streams = (path for path in dict.fromkeys(paths) if not isinstance(path, RemotePath))
    return {path: Spool(path) for path in streams if _is_stream(path)}


def _is_stream(path: Path) -> bool:
    mode = os.stat(path).st_mode
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


class Spool:
    """Copy of standard input or a pipe in a temporary file, deleted with this object.

    Args:
        path: of the pipe or device; None for standard input.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.name = STANDARD_INPUT if path is None else str(path)
        # Without a name if /proc can still open it: not even `kill -9` leaves a file.
        named = not _DESCRIPTORS.is_dir()
        create = tempfile.NamedTemporaryFile if named else tempfile.TemporaryFile
        try:
            with _open_stream(path) as stream:
                self._file = create(prefix="aecli-stdin-")
                shutil.copyfileobj(stream, self._file, _COPY_CHUNK)
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot spool {self.name} into {tempfile.gettempdir()}: {error.strerror}",
                hint="TMPDIR=/a/larger/disk aecli …",
            ) from error
        weakref.finalize(self, self._file.close)
        if os.fstat(self._file.fileno()).st_size == 0:
            raise DataError(f"{self.name} is empty", hint="aecli … - < data.csv")
        self.path = Path(self._file.name) if named else _DESCRIPTORS / str(self._file.fileno())


@contextmanager
def _open_stream(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "standard input is a terminal; - reads from a pipe",
                hint="aecli … - < data.csv",
            )
        _require_end(sys.stdin.buffer, STANDARD_INPUT)
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115  # later errors have other messages
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise DataError(message, hint=check_file_command(str(path))) from error
    with stream:
        if stream.isatty():
            raise UsageError(f"{path} is a terminal", hint="aecli … - < data.csv")
        _require_end(stream, str(path))
        yield stream


def _require_end(stream: BinaryIO, name: str) -> None:
    """Raise for devices other than the null device, since most are endless."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:  # a pure Python stream has no file descriptor
        return
    device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    if device and status.st_rdev != os.stat(os.devnull).st_rdev:
        raise DataError(f"{name} is a device, not a table", hint="a file or a pipe")
