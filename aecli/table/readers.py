"""Open the reader of each file of a table by its format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from aecli.errors import DataError
from aecli.formatting import count
from aecli.remote_files.path import RemotePath
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_reader import BinaryFile, open_arrow
from aecli.table.csv.reader import CsvFile, lacks_headers
from aecli.table.downloads import REMOTE_THREADS
from aecli.table.excel.reader import ExcelFile
from aecli.table.format_options import require_fitting_options
from aecli.table.formats import detect_format
from aecli.table.jsonl_reader import JsonlFile
from aecli.table.parquet_reader import open_parquet

TableReader: TypeAlias = BinaryFile | CsvFile | JsonlFile | ExcelFile
"""Reader of a file or of a table in memory; its batches may differ from the requested types."""


def open_readers(
    paths: Sequence[Path], names: Sequence[str], options: ReadOptions, notes: list[str]
) -> list[TableReader]:
    """Return the readers of files; messages for the user are added to `notes`.

    Raises:
        DataError: a file is empty or damaged, or has no columns.
        UsageError: an option does not fit the format of a file.
    """
    notes_by_file: list[list[str]] = [[] for _ in paths]
    files = list(zip(paths, names, notes_by_file, strict=True))
    readers = _readers(files, options)
    if lacks_headers(readers):
        options = options.model_copy(update={"header": "none"})
        for file_notes in notes_by_file:
            file_notes.clear()
        readers = _readers(files, options)
        notes_by_file[0].append(
            "the first lines are data, not names: columns are called column_1, …"
        )
    notes.extend(merged_notes(notes_by_file, names))
    return readers


def _readers(
    files: Sequence[tuple[Path, str, list[str]]], options: ReadOptions
) -> list[TableReader]:
    """Return the readers of files: of remote ones several at a time, as they wait for answers."""

    def opened(file: tuple[Path, str, list[str]]) -> TableReader:
        path, name, notes = file
        return _reader(path, name, options, notes)

    if not any(isinstance(path, RemotePath) for path, _, _ in files):
        return list(map(opened, files))
    threads = ThreadPoolExecutor(REMOTE_THREADS)
    try:
        return list(threads.map(opened, files))
    finally:
        threads.shutdown(cancel_futures=True)


def merged_notes(notes_by_file: Sequence[Sequence[str]], names: Sequence[str]) -> Iterator[str]:
    """Yield the notes on files; notes that differ only in numbers become one."""
    first: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for file_notes, name in zip(notes_by_file, names, strict=True):
        for note in file_notes:
            kind = re.sub(r"\d[\d,]*", "0", note.removeprefix(name))
            first.setdefault(kind, (note, name))
            counts[kind] += 1
    for kind, (note, name) in first.items():
        others = f"{name} and {count(counts[kind] - 1, 'more file')}"
        yield note if counts[kind] == 1 else others + note.removeprefix(name)


def no_columns_error(name: str) -> DataError:
    """Return the error of a table without columns."""
    return DataError(f"{name} has no columns", hint="a table with at least one column")


def _reader(path: Path, name: str, options: ReadOptions, notes: list[str]) -> TableReader:
    reader = _open_reader(path, name, options, notes)
    if not reader.names:
        raise no_columns_error(name)
    return reader


def _open_reader(path: Path, name: str, options: ReadOptions, notes: list[str]) -> TableReader:
    # All other remote files have been copied.
    remote = isinstance(path, RemotePath)
    format = "parquet" if remote else detect_format(path, name, options.format)
    require_fitting_options(format, name, options)
    match format:
        case "parquet":
            return open_parquet(path, name, notes)
        case "arrow":
            return open_arrow(path, name, notes)
        case "jsonl":
            return JsonlFile(path, name, options, notes)
        case "csv":
            return CsvFile(path, name, options, notes)
        case "xlsx":
            return ExcelFile(path, name, options, notes)
