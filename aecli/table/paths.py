"""Find the files of a path, a glob or a folder, and copy standard input into a file."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from aecli.errors import DataError, OutputError, UsageError, nearest
from aecli.table.formats import format_by_name

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
STDIN = "-"
_DESCRIPTORS = Path("/proc/self/fd")
_COPY_CHUNK = 1 << 20


FoundFile: TypeAlias = tuple[Path, Mapping[str, str | None]]
"""Path of a file of a table, and the cells that folders called `key=value` give its rows."""


def find_files(paths: Sequence[str], notes: list[str]) -> list[FoundFile]:
    """Return the files of paths, globs and folders, sorted by name within each.

    Hidden and empty files of folders, and those whose names begin with `_`, are not tables; other
    files that are not tables are mentioned in `notes`.

    Raises:
        DataError: a path does not exist, a glob matches nothing, or a folder holds no table.
    """
    return [file for text in paths for file in _expand(text, notes)]


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
        return [(path, {})]
    if not glob.has_magic(text):
        raise _missing_path_error(path, text)
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    files: list[FoundFile] = [(match, {}) for match in matches if match.is_file()]
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
    if (folder / "_delta_log").is_dir():
        raise DataError(
            f"{folder} is a Delta table, whose folder also holds rows that were deleted",
            hint="export it to Parquet first",
        )
    if any(folder.glob("weights-*.safetensors")):
        raise DataError(
            f"{folder} is a model directory, not a table",
            hint=f"aecli inspect -m {shlex.quote(str(folder))}",
        )
    files = sorted(_visible_files(folder))
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
    return [(path, _partition_values(path.relative_to(folder))) for path in tables]


def _visible_files(folder: Path) -> list[Path]:
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        paths = [Path(root, name) for name in names if not name.startswith((".", "_"))]
        files += [path for path in paths if path.is_file() and path.stat().st_size > 0]
    return files


def _partition_values(path: Path) -> dict[str, str | None]:
    pairs = [part.split("=", 1) for part in path.parts[:-1] if "=" in part]
    return {key: None if value == _NULL_PARTITION else unquote(value) for key, value in pairs}


class Spool:
    """Copy of standard input in a temporary file, which lives as long as this object."""

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "standard input is a terminal; - reads what is piped in",
                hint="aecli … - < data.csv",
            )
        # Without a name where /proc can still open it: nothing is left behind even by `kill -9`.
        named = not _DESCRIPTORS.is_dir()
        create = tempfile.NamedTemporaryFile if named else tempfile.TemporaryFile
        try:
            self._file = create(prefix="aecli-stdin-")
            shutil.copyfileobj(sys.stdin.buffer, self._file, _COPY_CHUNK)
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot spool standard input into {tempfile.gettempdir()}: {error.strerror}",
                hint="TMPDIR=/a/larger/disk aecli …",
            ) from error
        weakref.finalize(self, self._file.close)
        if os.fstat(self._file.fileno()).st_size == 0:
            raise DataError("standard input is empty", hint="aecli … - < data.csv")
        self.path = Path(self._file.name) if named else _DESCRIPTORS / str(self._file.fileno())
