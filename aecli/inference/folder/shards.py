"""Divide a table into its files, each with the name of its output in a folder."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from aecli.errors import DataError, UsageError
from aecli.inference.loaded_model import LoadedModel
from aecli.model_directory.spec_file import is_model
from aecli.remote_files.path import RemotePath, location
from aecli.table.arrow_reader import is_arrow_table
from aecli.table.formats import COMPRESSIONS, SUFFIXES, WORKBOOK_SUFFIXES, output_format
from aecli.table.output_cells import csv_cells
from aecli.table.paths import STDIN, Spool, files_below, path_arguments
from aecli.table.source import Data, Source

_PART = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """File of a table: its rows, its name below its folder, and the file to write.

    `size` in bytes, `modified`, nanoseconds since 1970, and the ETag of a remote file identify its
    content.
    """

    source: Source
    name: str
    output: Path
    size: int
    modified: int
    etag: str = ""


def is_folder(output: str) -> bool:
    """Return whether an output is a folder: it exists as one, or its name ends with a slash."""
    return output.endswith("/") or os.path.isdir(output)


def parse_part(text: str) -> tuple[int, int]:
    """Return the number of a part, from 0, and the number of parts, of a text such as 1/20.

    Raises:
        UsageError: it is not such a text, or the number is greater than that of the parts.
    """
    match = _PART.fullmatch(text)
    number, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= parts:
        raise UsageError(
            f"--shard {text} is not a part K/N of the files, with K from 1 to N",
            hint="--shard 1/20",
        )
    return number - 1, parts


def table_arguments(data: Data, folder: str) -> list[str]:
    """Return the paths, globs and folders of a table that is written to a folder.

    Raises:
        UsageError: the table is in memory or standard input.
    """
    if is_arrow_table(data) or data == STDIN:
        what = "standard input" if isinstance(data, str) else "a table in memory"
        raise UsageError(
            f"-o {folder} writes one file per input file, and {what} is not a file",
            hint=f"-o {shlex.quote(os.path.join(folder, 'rows.parquet'))}",
        )
    return path_arguments(data)


def find_shards(
    source: Source, arguments: Sequence[str], folder: Path, to: str | None
) -> list[Shard]:
    """Return the files of a table in order, each with its output.

    Args:
        source: the table, whose types are those of all files.
        arguments: the paths, globs and folders that it was opened with.
        folder: the folder of the outputs.
        to: their format; None: that of the input, or Parquet where that cannot be written.

    Raises:
        UsageError: a file is a pipe, two outputs have the same name, or the folder is a model or
            overlaps the table's.
        DataError: a file no longer exists.
    """
    pipe = next((spool for spool in source.spools if isinstance(spool, Spool)), None)
    if pipe is not None:
        raise UsageError(
            f"-o {folder}/ writes one file per input file, and {pipe.name} is a pipe",
            hint=f"-o {shlex.quote(str(folder / 'rows.parquet'))}",
        )
    files = [file for text in arguments for file in files_below(text)]
    names = dict(files)
    tables = [location(text).expanduser() for text in arguments]
    _check_folder(folder, [table for table in tables if table not in names])
    shards = []
    for part in source.parts():
        path = part.paths[0]
        name, status = names[path], _status(path)
        if ".." in PurePath(name).parts:
            raise UsageError(
                f"-o {folder}/ would write outside of it: {path} is {name} below its folder",
                hint="a folder or a glob without ..",
            )
        output = folder / _output_name(PurePath(name), to)
        shards.append(Shard(part, name, output, status.st_size, status.st_mtime_ns, _etag(path)))
    _require_distinct(shards)
    return shards


def require_whole_series(model: LoadedModel, shards: Sequence[Shard]) -> None:
    """Raise if a model of windows would lose windows whose rows are in two files.

    Raises:
        DataError: the rows of a series are in several files.
    """
    window, group = model.spec.network.window, model.spec.options.windows.group
    if window == 1 or len(shards) == 1:
        return
    one_file = "-o rows.parquet writes the windows of all files into one file"
    if not group:
        raise DataError(
            f"windows of {window} rows would cross the {len(shards):,} files of the table",
            facts=["the model has one series, and each file would lose the windows of its end"],
            hint=one_file,
        )
    first: dict[tuple[object, ...], str] = {}
    for shard in shards:
        for key in _series_keys(shard.source, group):
            other = first.setdefault(key, shard.name)
            if other != shard.name:
                shown = ", ".join(f"{name} {value}" for name, value in zip(group, key, strict=True))
                raise DataError(
                    f"the series of {shown} is in {other} and in {shard.name}",
                    facts=[f"windows of {window} rows would cross these files"],
                    hint=one_file,
                )


def _series_keys(source: Source, group: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for batch in source.select(group).batches():
        # As in CSV: Python's times have no nanoseconds.
        columns = [csv_cells(batch.column(name)).to_pylist() for name in group]
        yield from dict.fromkeys(zip(*columns, strict=True))


def _check_folder(folder: Path, tables: Sequence[Path]) -> None:
    if is_model(folder):
        raise UsageError(f"-o {folder} is a model directory", hint="-o out/")
    real = _real(folder)
    for table in tables:
        read = _real(table)
        if real == read or read in real.parents:
            raise UsageError(
                f"the output folder {folder} is in the folder of the table, {table}",
                facts=["the next command would read its own output"],
                hint=f"-o {shlex.quote(str(read.parent / 'out') + '/')}",
            )


def _real(path: Path) -> Path:
    """Return a path without symbolic links; an address as it is."""
    return path if isinstance(path, RemotePath) else Path(os.path.realpath(path))


def _output_name(name: PurePath, to: str | None) -> PurePath:
    """Return the name of an output: that of its input, with another suffix for another format."""
    known = {*SUFFIXES, *COMPRESSIONS, *WORKBOOK_SUFFIXES}
    stem = name
    while stem.suffix.lower() in known:
        stem = stem.with_suffix("")
    if to is not None:
        return stem.with_name(f"{stem.name}.{to}")
    try:
        output_format(name.name, None)
    except UsageError:
        return stem.with_name(f"{stem.name}.parquet")
    return name


def _require_distinct(shards: Sequence[Shard]) -> None:
    first: dict[Path, Path] = {}
    for shard in shards:
        path = shard.source.paths[0]
        if _real(shard.output) == _real(path):
            raise UsageError(
                f"the output {shard.output} is also the input", hint="-o with another folder"
            )
        if shard.output in first:
            other = first[shard.output]
            raise UsageError(
                f"{other} and {path} would both be written to {shard.output}",
                hint="two commands with two folders",
            )
        first[shard.output] = path


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise DataError(f"{path} no longer exists", hint=f"ls {path.parent}") from error


def _etag(path: Path) -> str:
    return path.remote_status().etag if isinstance(path, RemotePath) else ""
