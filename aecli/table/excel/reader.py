"""Read a sheet of an Excel or OpenDocument workbook, with the types of its cells."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import DataError, UsageError, nearest
from aecli.formatting import name_list, shell_name, size
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_types import is_plain_number, is_text
from aecli.table.cells.reading import without_texts
from aecli.table.cells.type_inference import infer_text
from aecli.table.column_names import unique_names
from aecli.table.excel.sheet_cells import (
    MAX_WHOLE_DOUBLE,
    Row,
    cell_text,
    column_names,
    header_position,
    is_empty,
)
from aecli.table.formats import open_bytes, reading, unreadable

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_HEAD_ROWS = 1_000
_CHUNK_ROWS = 16_384
_MAX_UNPACKED_BYTES = 1 << 30
_ENCRYPTED_PART = "EncryptedPackage".encode("utf-16-le")
_CELL_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.float64(),
    float: pa.float64(),
    dt.date: pa.timestamp("us"),
    dt.datetime: pa.timestamp("us"),
    dt.time: pa.time64("us"),
    dt.timedelta: pa.duration("us"),
}


class ExcelFile:
    """Reader of one sheet of a workbook, which is loaded into memory.

    A column whose cells are of one kind has its type. Other columns are text, and text is
    converted as in a CSV file.
    """

    format = "xlsx"
    text = True
    quotes_all = False

    def __init__(self, path: Path, name: str, options: ReadOptions, notes: list[str]) -> None:
        self.path = path
        self.name = name
        sheet = _open_sheet(path, name, options.sheet, notes)
        top, left = sheet.start or (0, 0)
        skipped = options.skip_rows
        if not isinstance(options.header, int):
            skipped = max(skipped, top)
        rows = islice(sheet.iter_rows(), skipped, None)
        head = list(islice(rows, _HEAD_ROWS))
        merged = [
            ((first[0] - skipped, first[1] - left), (last[0] - skipped, last[1] - left))
            for first, last in sheet.merged_cell_ranges or []
        ]
        start = header_position(head, options.header, merged)
        if start is None:
            raise _no_table_error(name, sheet)
        if options.header == "auto":
            notes += _header_notes(name, head, start)
        header = [""] * len(head[start])
        if options.header != "none":
            header = column_names(head, start, merged)
            start += 1
        self._row_numbers = array("L")
        body = enumerate(chain(head[start:], rows), start=skipped + start + 1)
        columns = self._read_columns(body, len(header))
        used = [at for at, name in enumerate(header) if name or columns[at].type != pa.null()]
        renamed = notes if options.header != "none" else []
        self.names = unique_names([header[at] for at in used], name, renamed)
        self._columns = dict(zip(self.names, (columns[at] for at in used), strict=True))
        self._types: dict[str, pa.DataType] = {}
        self.untyped = frozenset(self.names)
        self._nulls = frozenset(options.null_values)
        self.n_rows: int | None = len(self._row_numbers)

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of columns; text is inferred as in a CSV file."""
        for name in names:
            if name not in self._types:
                column = without_texts(self._columns[name], self._nulls)
                text = is_text(column.type)
                self._types[name] = infer_text(column, pa.null()) if text else column.type
        return {name: self._types[name] for name in names}

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, as text if a cast would be ambiguous."""
        for start in range(0, len(self._row_numbers), rows):
            columns = [_readable_as(self._columns[n].slice(start, rows), types[n]) for n in types]
            yield pa.RecordBatch.from_arrays(columns, list(types))

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the size of the columns in memory, in bytes."""
        return sum(int(self._columns[name].nbytes) for name in types)

    def row_location(self, row: int) -> str:
        """Return the location of a row, counted from 0, for messages."""
        return f"row {row + 1:,} (row {self._row_numbers[row]:,} of the sheet)"

    def _read_columns(self, rows: Iterable[tuple[int, Row]], width: int) -> list[pa.Array]:
        """Return the columns of numbered rows; blank rows are skipped if there are several."""
        pieces: list[list[pa.Array]] = [[] for _ in range(width)]
        numbered = ((number, row) for number, row in rows if width == 1 or not is_empty(row))
        while chunk := list(islice(numbered, _CHUNK_ROWS)):
            self._row_numbers.extend(number for number, _ in chunk)
            columns = zip(*(row for _, row in chunk), strict=True)
            for column, cells in zip(pieces, columns, strict=True):
                column.append(_array(cells))
        return [_joined(column) for column in pieces]


def _open_sheet(path: Path, name: str, wanted: str | None, notes: list[str]) -> CalamineSheet:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        message = f"{name} is a workbook, which needs python-calamine; it is not installed"
        raise UsageError(message, hint="pip install 'aecli[excel]'") from error
    try:
        with reading(name), open_bytes(path) as file:
            content = file.read(_MAX_UNPACKED_BYTES + 1)
        _require_bounded_size(content, name)
        if _ENCRYPTED_PART in content:
            message = f"{name} is protected by a password"
            raise DataError(message, hint="save it without a password, or as CSV")
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        if wanted is not None:
            return workbook.get_sheet_by_name(_sheet_name(workbook.sheet_names, name, wanted))
        return _first_sheet(workbook, name, notes)
    except CalamineError as error:
        raise unreadable(name, error) from error


def _require_bounded_size(content: bytes, name: str) -> None:
    """Raise if a workbook is too large for memory; a few kilobytes may decompress to that."""
    unpacked = len(content)
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = max(unpacked, sum(part.file_size for part in archive.infolist()))
    if unpacked > _MAX_UNPACKED_BYTES:
        raise DataError(
            f"{name} decompresses to over {size(_MAX_UNPACKED_BYTES)}; a workbook is read into "
            "memory",
            hint="save the sheet as CSV, which is read in batches",
        )


def _sheet_name(names: Sequence[str], file: str, wanted: str) -> str:
    """Return the sheet for `--sheet`: by its name, else by its position."""
    if wanted in names:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    near = nearest(wanted, names)
    raise DataError(
        f"{file} has no sheet {wanted!r}" + (f"; did you mean {near!r}?" if near else ""),
        facts=[f"its sheets: {name_list([repr(name) for name in names])}"],
        hint=f"--sheet {shell_name(near or names[0])}",
    )


def _first_sheet(workbook: CalamineWorkbook, file: str, notes: list[str]) -> CalamineSheet:
    """Return the first visible sheet that has cells."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    visible = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
    ]
    for name in visible:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.start is not None:
            others = name_list([repr(other) for other in visible if other != name])
            if others:
                notes.append(f"{file}: sheet {name!r} is read; other sheets: {others}")
            return sheet
    names = name_list([repr(name) for name in workbook.sheet_names])
    raise DataError(
        f"{file} has no visible sheet with cells",
        facts=[f"its sheets: {names}"],
        hint="--sheet NAME, if the table is in a hidden sheet",
    )


def _header_notes(file: str, head: Sequence[Row], start: int) -> list[str]:
    """Return notes for the user on the header."""
    notes = []
    if titles := sum(not is_empty(row) for row in head[:start]):
        notes.append(f"{file}: rows above the column names, skipped: {titles:,}")
    if not any(isinstance(cell, str) and cell for cell in head[start]):
        notes.append(f"{file}: the column names have no text; --header none, if they are a row")
    return notes


def _no_table_error(file: str, sheet: CalamineSheet) -> DataError:
    if sheet.end is None:
        return DataError(f"{file}: sheet {sheet.name!r} is empty", hint="another --sheet")
    return DataError(
        f"{file}: sheet {sheet.name!r} ends in row {sheet.end[0] + 1:,}, above its table",
        hint="a smaller --header or --skip-rows",
    )


def _array(cells: Row) -> pa.Array:
    """Return cells as an array of their type, or of text if they have several types."""
    values = [None if cell == "" else cell for cell in cells]
    kinds = {_CELL_TYPES.get(kind, pa.string()) for kind in {*map(type, values)} - {type(None)}}
    if not kinds:
        return pa.nulls(len(values))
    if len(kinds) > 1:
        return _texts(values)
    kind = kinds.pop()
    if pa.types.is_timestamp(kind):
        midnight = dt.time()
        values = [dt.datetime.combine(v, midnight) if type(v) is dt.date else v for v in values]
    return pa.array(values, kind)


def _joined(pieces: Sequence[pa.Array]) -> pa.Array:
    """Return the pieces of a column as one array of the narrowest common type."""
    kinds = {piece.type for piece in pieces} - {pa.null()}
    if len(kinds) > 1:
        pieces = [_texts(piece.to_pylist()) for piece in pieces]
        kinds = {pa.string()}
    kind = kinds.pop() if kinds else pa.null()
    column = pa.chunked_array([piece.cast(kind) for piece in pieces], kind).combine_chunks()
    if pa.types.is_floating(kind) and _all_true(pc.equal(pc.round(column), column)):
        exact = _all_true(pc.less_equal(pc.abs(column), MAX_WHOLE_DOUBLE))
        return column.cast(pa.int64()) if exact else column
    if pa.types.is_timestamp(kind):
        days = column.cast(pa.date32(), safe=False)
        return days if _all_true(pc.equal(days.cast(kind), column)) else column
    return column


def _all_true(array: pa.Array) -> bool:
    return bool(pc.all(array).as_py())


def _readable_as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return cells as `kind` if the conversion keeps their meaning, else as text."""
    source, types = column.type, pa.types
    numbers = all(types.is_boolean(k) or is_plain_number(k) for k in (source, kind))
    dates = all(types.is_date(k) or types.is_timestamp(k) for k in (source, kind))
    same = source == kind or is_text(source) or types.is_null(source)
    if same or types.is_null(kind) or numbers or dates:
        return column
    return _texts(column.to_pylist())


def _texts(cells: Iterable[Any]) -> pa.Array:
    return pa.array([cell_text(cell) for cell in cells], pa.string())
