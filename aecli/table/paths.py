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
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote

from aecli.errors import DataError, OutputError, UsageError, nearest
from aecli.formatting import STANDARD_INPUT, check_file_command
from aecli.table.formats import format_by_name
from aecli.table.open_table_formats import require_plain_files

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
STDIN = "-"
_DESCRIPTORS = Path("/proc/self/fd")
_COPY_CHUNK = 1 << 20
_OFFICE_LOCK = "~$"


FoundFile: TypeAlias = tuple[Path, Mapping[str, str | None]]
"""Path of a file of a table, and the cells that folders called `key=value` give its rows."""


def find_files(paths: Sequence[str], notes: list[str]) -> list[FoundFile]:
    """Return the files of paths, globs and folders, sorted by name within each.

    Hidden files of folders, those whose names begin with `_`, empty files and the locks of office
    programs are not tables; other files of folders that are not tables are mentioned in `notes`.

    Raises:
        DataError: a path does not exist, a glob matches nothing, a folder holds no table, or a file
            belongs to a Delta, Hudi or Iceberg table, or its name is no UTF-8.
    """
    files = [file for text in paths for file in _expand(text, notes)]
    for path, _ in files:
        _require_utf8(path)
    return files


def _require_utf8(path: Path) -> None:
    """Check that a path is one that Arrow can open."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        message = f"the name {os.fsencode(path).decode(errors='replace')} is no UTF-8"
        raise DataError(message, hint="rename it") from error


def _expand(text: str, notes: list[str]) -> list[FoundFile]:
    if "://" in text:
        raise DataError(
            f"{text} is on another machine; aecli reads local files",
            hint="download it first, or pipe it in: … | aecli … -",
        )
    if not text:
        raise DataError("'' names no file", hint="aecli inspect data.parquet")
    path = Path(text).expanduser()
    # os.path answers False where Path.exists raises: no permission, a name too long.
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
    folder = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts[:-1]))
    files: list[FoundFile] = [(match, _partition_values(match, folder)) for match in named]
    if not files:
        files = [file for match in matches for file in _files_in_folder(match, notes)]
    if not files:
        raise DataError(f"no file matches {text}", hint=f"ls {path.parent}")
    return files


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


def _files_in_folder(folder: Path, notes: list[str]) -> list[FoundFile]:
    require_plain_files([folder])
    if any(folder.glob("weights-*.safetensors")):
        raise DataError(
            f"{folder} is a model directory, not a table",
            hint=f"aecli inspect -m {shlex.quote(str(folder))}",
        )
    files = sorted(_visible_files(folder))
    require_plain_files(files)
    tables = [path for path in files if format_by_name(path)]
    # Files without a suffix, such as Spark's part-00000, count where no file has a known one.
    tables = tables or [path for path in files if not path.suffix]
    if not tables:
        others = ", ".join(sorted({path.suffix for path in files}))
        raise DataError(
            f"folder {folder} holds no table",
            facts=[f"it holds {len(files):,} other files ({others})" if files else "it is empty"],
            hint=f"ls {folder}",
        )
    formats = {format_by_name(path) for path in tables}
    if len(formats) > 1:
        raise DataError(
            f"folder {folder} holds files of different formats: "
            + ", ".join(sorted(str(format) for format in formats)),
            hint=f"'{folder}/*{tables[0].suffix}'",
        )
    if len(tables) < len(files):
        notes.append(f"{len(files) - len(tables):,} files of {folder} are no tables: left out")
    return [(path, _partition_values(path, folder)) for path in tables]


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
    """Return the cells of a file by its folders called `key=value`.

    Those below `folder` count, and those right above it, up to one of another name.
    """
    above = takewhile(_is_partition, reversed(Path(os.path.abspath(folder)).parts))
    below = filter(_is_partition, path.relative_to(folder).parts[:-1])
    # A name that is no UTF-8 would fit in no Arrow column.
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
        DataError: one of them is empty, or a device such as /dev/zero.
        OutputError: there is no space for a copy.
        UsageError: one of them is a terminal.
    """
    return {path: Spool(path) for path in dict.fromkeys(paths) if _is_stream(path)}


def _is_stream(path: Path) -> bool:
    mode = os.stat(path).st_mode
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


class Spool:
    """Copy of standard input or a pipe in a temporary file, which lives as long as this object.

    Args:
        path: of the pipe or device; None for standard input.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.name = STANDARD_INPUT if path is None else str(path)
        # Without a name where /proc can still open it: nothing is left behind even by `kill -9`.
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
                "standard input is a terminal; - reads what is piped in",
                hint="aecli … - < data.csv",
            )
        _require_end(sys.stdin.buffer, STANDARD_INPUT)
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115  # what fails later is no error of opening it
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise DataError(message, hint=check_file_command(str(path))) from error
    with stream:
        if stream.isatty():
            raise UsageError(f"{path} is a terminal", hint="aecli … - < data.csv")
        _require_end(stream, str(path))
        yield stream


def _require_end(stream: BinaryIO, name: str) -> None:
    """Refuse devices other than the null device, since most of them never end."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:  # a stream of Python alone has no file descriptor
        return
    device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    if device and status.st_rdev != os.stat(os.devnull).st_rdev:
        raise DataError(f"{name} is a device, not a table", hint="a file or a pipe")
