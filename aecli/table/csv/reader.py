"""Read a CSV file in blocks, with types that fit all cells of a column."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from aecli.errors import DataError
from aecli.formatting import show_line_command
from aecli.schema.read_options import ReadOptions
from aecli.table.cells.reading import without_texts
from aecli.table.cells.type_inference import infer_text
from aecli.table.column_names import unique_names
from aecli.table.csv.head import read_head, require_closed_quotes
from aecli.table.csv.quotes import may_end_in_quotes
from aecli.table.csv.stream import closed_rows, row_chunks
from aecli.table.encoding import (
    bom_encoding,
    codec_name,
    encoding_error,
    open_chunks,
    open_text,
    skip_bytes,
    text_lines,
)
from aecli.table.formats import is_compressed, reading

# Parsing is fastest within the processor's cache; inference has a cost per block and column.
_PARSED_BYTES, _INFERRED_BYTES, _MAX_BLOCK_BYTES = 1 << 20, 4 << 20, 16 << 20
_INFERRED_BYTES_PER_COLUMN, _MAX_INFERRED_BYTES = 1 << 12, 1 << 28
_WIDE_COLUMNS = 256
_PARSED_TYPES = (pa.int64(), pa.float64())
_OPEN_END = "\0"  # not the name of any column


class CsvFile:
    """Reader of one CSV file; the types of its columns are inferred from all rows."""

    format = "csv"
    text = True

    def __init__(self, path: Path, name: str, options: ReadOptions, notes: list[str]) -> None:
        self.path = path
        self.name = name
        self.n_rows: int | None = None
        self._types: dict[str, pa.DataType] = {}
        self._text_bytes = 0
        self._quotes_closed = False
        self._nulls = frozenset(options.null_values)
        with reading(name):
            encoding_by_bom = bom_encoding(path)
        self._encoding = codec_name(options.encoding)
        if encoding_by_bom and self._encoding == "utf-8":
            self._encoding = encoding_by_bom
            notes.append(f"{name} is {encoding_by_bom.upper()} by its byte-order mark")
        dialect = read_head(path, name, self._encoding, options)
        self._dialect = dialect
        self.has_header = dialect.names_line > 0
        self.header_may_be_data = dialect.header_may_be_data
        self.names = unique_names(dialect.names, name, notes)
        self.untyped = frozenset(self.names)
        self.quotes_all = dialect.quotes_all
        self.delimiter = dialect.delimiter
        notes.extend(f"{name}: {note}" for note in dialect.notes)

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the narrowest types that fit every cell; columns without values are null."""
        unknown = [name for name in names if name not in self._types]
        if unknown:
            types = {name: pa.null() for name in unknown}
            rows = text_bytes = 0
            wide_bytes = min(_INFERRED_BYTES_PER_COLUMN * len(self.names), _MAX_INFERRED_BYTES)
            for batch in self._batches(unknown, {}, max(_INFERRED_BYTES, wide_bytes)):
                for name, column in zip(unknown, batch.columns, strict=True):
                    types[name] = infer_text(without_texts(column, self._nulls), types[name])
                    if pa.types.is_string(types[name]):
                        text_bytes += column.nbytes
                rows += batch.num_rows
            self.n_rows = rows
            self._text_bytes += text_bytes
            self._types.update(types)
        return {name: self._types[name] for name in names}

    @property
    def inferred(self) -> tuple[dict[str, pa.DataType], int | None, int]:
        """What `types` found in the cells: types, number of rows, and bytes of text."""
        return self._types, self.n_rows, self._text_bytes

    @inferred.setter
    def inferred(self, facts: tuple[dict[str, pa.DataType], int | None, int]) -> None:
        self._types, self.n_rows, self._text_bytes = facts

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, at most `rows` rows at a time.

        All are text except plain integers and floats, which the parser converts if every cell is
        a number.
        """
        numbers = {name: kind for name, kind in types.items() if kind in _PARSED_TYPES}
        for batch in self._batches(list(types), numbers):
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the approximate size of the columns in memory, in bytes."""
        if self.n_rows is not None and all(name in self._types for name in types):
            return self.n_rows * 8 * len(types) + self._text_bytes
        # Short numbers take more space in memory than in the file, long ones less.
        return self.path.stat().st_size * (16 if is_compressed(self.path) else 2)

    def row_location(self, row: int) -> str:
        """Return the location of a data row, counted from 0, for messages."""
        line = self._line(row)
        return f"row {row + 1:,}" + (f" (line {line:,})" if line else "")

    def _batches(
        self,
        names: Sequence[str],
        numbers: Mapping[str, pa.DataType],
        block_bytes: int = _PARSED_BYTES,
    ) -> Iterator[pa.RecordBatch]:
        """Yield columns as `numbers` or text, null where missing, in blocks of the file."""
        ragged: list[Any] = []
        rows = 0
        # The last column is always read: an unclosed quote appears in the last cell of the file.
        last, cell = _OPEN_END if self._dialect.open_end else self.names[-1], None
        read = list(dict.fromkeys([*names, last]))
        try:
            with reading(self.name), self._rows() as stream:
                for batch in self._parsed(stream, read, numbers, ragged, block_bytes):
                    if batch.num_rows and last not in numbers:
                        cell = batch.column(last)[-1].as_py()
                    if last == _OPEN_END:
                        self._require_empty(batch.column(last), rows)
                    rows += batch.num_rows
                    yield batch if len(read) == len(names) else batch.select(list(names))
        except (DataError, UnicodeDecodeError) as error:
            raise self._explained(error, ragged) from error
        plain = self._encoding == "utf-8" and not is_compressed(self.path)
        if self._dialect.rewritten:
            return
        if may_end_in_quotes(self.path, self._dialect.delimiter, cell, plain=plain):
            self._require_closed_quotes()

    @contextmanager
    def _rows(self) -> Iterator[Any]:
        """Open the rows as a stream for Arrow."""
        with open_text(self.path, self._encoding) as text:
            skip_bytes(text, self._dialect.rows_at)
            yield self._rewritten(text) if self._dialect.rewritten else text

    def _rewritten(self, stream: Any) -> Any:
        """Return the rows as a stream for Arrow."""
        dialect = self._dialect
        rows = dialect.rows(text_lines(stream, self.name))
        rows = closed_rows(rows, self.name, dialect.lines_above)
        return open_chunks(row_chunks(rows, dialect.delimiter), stream)

    def _require_empty(self, fields: pa.Array, before: int) -> None:
        """Raise for text after the last named field; `before` rows precede."""
        if fields.null_count == len(fields):
            return
        row = pc.index(fields.is_valid(), True).as_py()
        line = self._line(before + row)
        raise DataError(
            f"{self.name}, {self.row_location(before + row)} has {len(self.names) + 1:,} fields, "
            f"the header has {len(self.names):,}",
            facts=[f"the last one is {_shortened(fields[row].as_py())}, in other rows it is empty"],
            hint=show_line_command(self.name, line) if line else "--skip-rows 1",
        )

    def _require_closed_quotes(self) -> None:
        if not self._quotes_closed:
            require_closed_quotes(self.path, self.name, self._encoding, self._dialect.delimiter)
            self._quotes_closed = True

    def _parsed(
        self,
        stream: Any,
        names: Sequence[str],
        numbers: Mapping[str, pa.DataType],
        ragged: list[Any],
        block_bytes: int,
    ) -> Iterator[pa.RecordBatch]:
        def refuse(row: Any) -> str:
            if self._dialect.is_skipped(row.text, row.actual_columns):
                return "skip"
            ragged.append(row)
            return "error"

        rows = 0
        types = {name: numbers.get(name, pa.string()) for name in names}
        try:
            with self._open_csv(stream, types, refuse, block_bytes) as reader:
                for batch in reader:
                    rows += batch.num_rows
                    yield self._without_padding(batch)
        except pa.ArrowInvalid as error:
            message = "" if ragged else str(error)  # it may contain the text of a ragged row
            if "Empty CSV" in message:
                return
            long_row = "straddling" in message and block_bytes < _MAX_BLOCK_BYTES
            if not (long_row or (numbers and "conversion error" in message)):
                raise
        else:
            return
        # A row is longer than a block, or a cell does not fit its column's type: read all as text.
        with self._rows() as again:
            for batch in self._parsed(again, names, {}, ragged, _MAX_BLOCK_BYTES):
                yield batch.slice(min(rows, batch.num_rows))
                rows -= min(rows, batch.num_rows)

    def _without_padding(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._dialect.width > 1 or not pa.types.is_string(batch.schema.types[0]):
            return batch
        return batch.filter(_not_padding(batch.column(0)))

    def _open_csv(
        self,
        stream: Any,
        types: Mapping[str, pa.DataType],
        refuse: Callable[[Any], str],
        block_bytes: int,
    ) -> pacsv.CSVStreamingReader:
        wide = len(self.names) > _WIDE_COLUMNS
        return pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                column_names=[*self.names, _OPEN_END] if self._dialect.open_end else self.names,
                block_size=max(_MAX_BLOCK_BYTES, block_bytes) if wide else block_bytes,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self._dialect.delimiter,
                newlines_in_values=True,
                # A blank line is a row with a missing cell if there is one column.
                ignore_empty_lines=len(self.names) > 1,
                invalid_row_handler=refuse,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                # A quoted cell is text: "" is not missing.
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _explained(self, error: Exception, ragged: Sequence[Any]) -> Exception:
        if not os.path.isfile(self.path):
            return error  # it was removed in the meantime
        straddling = "straddling" in str(error.__cause__)
        try:
            if not self._dialect.rewritten and (straddling or (ragged and '"' in ragged[0].text)):
                self._require_closed_quotes()
        except DataError as open_quote:
            return open_quote
        except UnicodeDecodeError:
            pass  # a better error follows
        if ragged:
            return self._ragged_error(ragged[0])
        not_decoded = encoding_error(self.path, self.name, self._encoding)
        if not_decoded is not None:
            return not_decoded
        if straddling:
            return DataError(
                f"cannot read {self.name}: a row is longer than 16 MB",
                hint="--delimiter, if its fields are separated by another character",
            )
        return error

    def _ragged_error(self, row: Any) -> DataError:
        dialect = self._dialect
        split = f"fields are split at {dialect.delimiter!r}"
        if dialect.misfit is not None:
            width, option = dialect.misfit
            return DataError(
                f"{self.name} line {dialect.names_line:,} has {len(self.names):,} fields, "
                f"the rows below it have {width:,}",
                facts=[_shortened(dialect.delimiter.join(dialect.names)), split],
                hint=option,
            )
        line = self._line(None)
        where = f" line {line:,}" if line else (f" row {row.number:,}" if row.number else "")
        named = self.has_header and row.expected_columns == len(self.names)
        others = "the header has" if named else "most rows have"
        return DataError(
            f"{self.name}{where} has {row.actual_columns:,} fields, "
            f"{others} {row.expected_columns:,}",
            facts=[_shortened(row.text), split],
            hint=show_line_command(self.name, line) if line else "--delimiter ';'",
        )

    def _line(self, row: int | None) -> int | None:
        """Return the line of a data row, counted from 0; of the first ragged row for None."""
        width, dialect = self._dialect.width, self._dialect
        try:
            with open_text(self.path, self._encoding) as stream:
                skip_bytes(stream, dialect.rows_at)
                count = 0
                for parsed_row in dialect.rows(text_lines(stream, self.name)):
                    cells = parsed_row.cells or ([""] if width == 1 else [])
                    if not cells or (
                        0 not in parsed_row.quoted and dialect.is_skipped(cells[0], len(cells))
                    ):
                        continue
                    if (row is None and len(cells) != width) or count == row:
                        return dialect.lines_above + parsed_row.start + 1
                    count += 1
        except (UnicodeDecodeError, pa.ArrowException, OSError):
            return None
        return None


def lacks_headers(readers: Sequence[object]) -> bool:
    """Return whether some files of a table have no header, and the others' may be data."""
    files = [reader for reader in readers if isinstance(reader, CsvFile)]
    named = [file for file in files if file.has_header]
    distinct = {tuple(file.names) for file in named}
    return (
        0 < len(named) < len(files) == len(readers)
        and len(distinct) == len(named)
        and all(file.header_may_be_data for file in named)
    )


def _not_padding(cells: pa.Array) -> pa.Array:
    return pc.invert(pc.match_substring_regex(cells, r"^[\x00\x1a]+$")).fill_null(True)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
