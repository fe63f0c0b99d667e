"""Find the remote files of an address, a glob or a folder on an object store."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import takewhile

from aecli.errors import DataError, nearest
from aecli.formatting import check_file_command
from aecli.remote_files.path import WEB, RemotePath
from aecli.table.formats import reading
from aecli.table.open_table_formats import require_plain_remote_files


def find_remote(path: RemotePath) -> tuple[RemotePath, list[RemotePath], bool]:
    """Return the folder of an address, its files with content, and whether the files are named.

    The folder is the address itself, that of the file, or the part of a glob without wildcards. A
    glob of folders does not name their files. Files of folders whose names, or those of folders in
    them, begin with a point or `_` are left out as on disk.

    Raises:
        DataError: nothing is there, or the server refuses or does not answer.
    """
    with reading(str(path)):
        try:
            status = path.remote_status()
        except FileNotFoundError as error:
            if path.scheme not in WEB and glob.has_magic(str(path)):
                return _of_glob(path)
            raise _missing_error(path) from error
        if not status.folder:
            return path.parent, [path.known(status)], True
        listed = path.files_below()
        files = [file for file in listed if _is_visible(file, path)]
        _require_tables(path, files, listed)
        return path, files, False


def _require_tables(
    folder: RemotePath, files: Sequence[RemotePath], listed: Sequence[RemotePath]
) -> None:
    """Raise for the folder of a model, and for files of a table of another kind."""
    require_plain_remote_files(files, listed)
    if any(file.parent == folder and file.match("weights-*.safetensors") for file in files):
        raise DataError(
            f"{folder} is a model directory, not a table",
            hint=f"aecli inspect -m {shlex.quote(str(folder))}",
        )


def _of_glob(path: RemotePath) -> tuple[RemotePath, list[RemotePath], bool]:
    plain = list(takewhile(lambda part: not glob.has_magic(part), path.parts[:-1]))
    if len(plain) < 2:
        raise DataError(f"{path}: a bucket's name has no wildcards", hint="s3://BUCKET/*.parquet")
    folder, pattern = RemotePath(*plain), path.parts[len(plain) :]
    listed = folder.files_below()
    named = [file for file in listed if _matches(file.relative_to(folder).parts, pattern)]
    files = [file for file in named if file.stat().st_size] or named
    if not named:
        files = [
            file
            for file in listed
            for parent in file.parents
            if len(parent.parts) > len(plain)
            and _matches(parent.parts[len(plain) :], pattern)
            and _is_visible(file, parent)
        ]
    require_plain_remote_files(files, listed)
    if not files:
        raise DataError(f"no file matches {path}", hint=check_file_command(str(folder)))
    return folder, files, bool(named)


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a glob; `**` is any number of folders.

    As on disk, a wildcard does not match the point of a hidden name.
    """
    if not pattern:
        return not names
    first, *rest = pattern
    if first == "**":
        visible = len(list(takewhile(lambda name: not name.startswith("."), names)))
        if not rest:
            return visible == len(names) > 0
        return any(_matches(names[skipped:], rest) for skipped in range(visible + 1))
    if not names or names[0].startswith(".") > first.startswith("."):
        return False
    return fnmatchcase(names[0], first) and _matches(names[1:], rest)


def _is_visible(file: RemotePath, folder: RemotePath) -> bool:
    parts = file.relative_to(folder).parts
    return file.stat().st_size > 0 and not any(part.startswith((".", "_")) for part in parts)


def _missing_error(path: RemotePath) -> DataError:
    siblings = []
    if path.scheme not in WEB and len(path.parts) > 2:
        siblings = [file.name for file in path.parent.files_below() if file.parent == path.parent]
    near = nearest(path.name, siblings)
    suggestion = str(path.parent / near) if near else None
    shown = path if path.scheme in WEB or len(path.parts) == 2 else path.parent
    return DataError(
        f"{path} does not exist" + (f"; did you mean {suggestion}?" if suggestion else ""),
        hint=suggestion or check_file_command(str(shown)),
    )
