"""Open the reader of each file of a table by its format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from aecli.errors import DataError
from aecli.formatting import count
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_reader import BinaryFile, open_arrow
from aecli.table.csv.reader import CsvFile, lacks_headers
from aecli.table.excel.reader import ExcelFile
from aecli.table.format_options import require_fitting_options
from aecli.table.formats import detect_format
from aecli.table.jsonl_reader import JsonlFile
from aecli.table.parquet_reader import open_parquet

TableReader: TypeAlias = BinaryFile | CsvFile | JsonlFile | ExcelFile
"""Reader of a file, or of a table in memory; its batches may have other types than asked for."""


def open_readers(
    paths: Sequence[Path], names: Sequence[str], options: ReadOptions, notes: list[str]
) -> list[TableReader]:
    """Return the readers of files; `notes` receives what a person should know.

    Raises:
        DataError: a file is empty or damaged, or has no columns.
        UsageError: an option does not fit the format of a file.
    """
    found: list[list[str]] = [[] for _ in paths]
    files = list(zip(paths, names, found, strict=True))
    readers = [_reader(path, name, options, own) for path, name, own in files]
    if lacks_headers(readers):
        options = options.model_copy(update={"header": "none"})
        for own in found:
            own.clear()
        readers = [_reader(path, name, options, own) for path, name, own in files]
        found[0].append("first lines hold data and no names: columns are called column_1 and so on")
    notes.extend(_one_of_each_kind(found, names))
    return readers


def _one_of_each_kind(found: Sequence[Sequence[str]], names: Sequence[str]) -> Iterator[str]:
    """Yield the notes on files; one stands for all that differ from it in numbers alone."""
    first: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for own, name in zip(found, names, strict=True):
        for note in own:
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
    format = detect_format(path, name, options.format)
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
