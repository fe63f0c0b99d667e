"""Reject files of Delta, Hudi and Iceberg tables, whose folders also contain deleted rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePath

from aecli.errors import DataError

_DELTA, _HUDI, _ICEBERG = "_delta_log", ".hoodie", "metadata"
_TABLE_NAMES = {_DELTA: "a Delta table", _HUDI: "a Hudi table", _ICEBERG: "an Iceberg table"}
_ICEBERG_METADATA = "*.metadata.json*"


def require_plain_files(paths: Iterable[Path]) -> None:
    """Check that no file belongs to the folder of a Delta, Hudi or Iceberg table.

    A single folder is allowed instead of files, if it is not the folder of such a table.

    Raises:
        DataError: a file belongs to such a table; the hint is a command to export its rows.
    """
    checked: set[Path] = set()
    parents: set[Path] = set()
    for path in paths:
        if path.parent in parents and not path.is_symlink():
            continue
        parents.add(path.parent)
        # First the path as given, so that the error shows it.
        for location in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
            for folder in (location, *location.parents):
                if folder in checked:
                    break
                checked.add(folder)
                if log := _log_folder(folder):
                    raise _refusal(path, folder, log)


def require_plain_remote_files(files: Iterable[PurePath], listed: Iterable[PurePath]) -> None:
    """Check that no file belongs to the folder of such a table, by the names that are listed.

    Raises:
        DataError: a file belongs to one.
    """
    logs = {folder: log for name in listed for folder, log in _logs_above(name)}
    for file in files:
        folder = next((folder for folder in file.parents if folder in logs), None)
        if folder is not None:
            log = logs[folder]
            raise DataError(
                f"{folder} is {_TABLE_NAMES[log]}, whose folder also contains deleted rows",
                facts=[f"{log} lists the valid rows; aecli does not read it"],
                hint="write its rows to another folder as Parquet, with the program that made it",
            )


def _logs_above(name: PurePath) -> Iterator[tuple[PurePath, str]]:
    """Yield the folders of tables that a listed name shows, each with its log."""
    if fnmatch(name.name, _ICEBERG_METADATA) and name.parent.name == _ICEBERG:
        yield name.parent.parent, _ICEBERG
    for folder in name.parents:
        if folder.name in (_DELTA, _HUDI):
            yield folder.parent, folder.name


def _log_folder(folder: Path) -> str | None:
    """Return the name of the folder that lists the valid files of a table, None without one."""
    for log in (_DELTA, _HUDI):
        if os.path.isdir(folder / log):
            return log
    return _ICEBERG if _iceberg_metadata(folder) else None


def _iceberg_metadata(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder / _ICEBERG)
    except OSError:
        return []
    return [name for name in names if fnmatch(name, _ICEBERG_METADATA)]


def _refusal(path: Path, folder: Path, log: str) -> DataError:
    inside = folder in _current_folders()
    shown = str(folder) if inside or path.is_absolute() else os.path.relpath(folder)
    facts = [] if os.path.abspath(path) == str(folder) else [f"{path} belongs to it"]
    facts.append(f"{os.path.join(shown, log)} lists the valid rows; aecli does not read it")
    # A copy inside the table's folder would be rejected too.
    copy = str(folder.parent / "rows") if inside else "rows"
    return DataError(
        f"{shown} is {_TABLE_NAMES[log]}, whose folder also contains deleted rows",
        facts=facts,
        hint=_export_command(folder, shown, log, copy),
    )


def _current_folders() -> list[Path]:
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return []
    return [here, *here.parents]


def _export_command(folder: Path, shown: str, log: str, copy: str) -> str:
    if log == _HUDI:
        return (
            f"spark.read.format('hudi').load({shown!r}).write.parquet({copy!r}) in PySpark, "
            f"and read {copy}"
        )
    table, scan = shown, "delta_scan"
    if log == _ICEBERG:
        scan = "iceberg_scan"
        if not os.path.exists(folder / _ICEBERG / "version-hint.text"):
            table = os.path.join(shown, _ICEBERG, max(_iceberg_metadata(folder), key=_version))
    query = f"copy (select * from {scan}({_sql_text(table)})) to {_sql_text(copy + '.parquet')}"
    quoted = re.sub(r'([\\$`"])', r"\\\1", query)
    return f'duckdb -c "{quoted}", and read {copy}.parquet'


def _version(name: str) -> tuple[int, str]:
    """Return the sort key of Iceberg's metadata files: `v10…` follows `v9…`."""
    number = re.match(r"v?(\d{1,18})", name)
    return (int(number[1]) if number else -1, name)


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
