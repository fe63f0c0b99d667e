"""Read JSON lines in blocks, with types that hold the values of all lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson

from aecli.errors import DataError
from aecli.formatting import show_line_command
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_types import is_list, is_text
from aecli.table.encoding import bom_encoding, codec_name, encoding_error, open_text
from aecli.table.formats import reading, unreadable
from aecli.table.type_inference import infer_times, join_types

_JSON_BLOCK_BYTES = 4 << 20


class JsonlFile:
    """Reader of one file of JSON objects, one a line; opening it reads all of it once.

    Keys may be absent from lines. Strings that are all dates or times are converted; a key whose
    values are of several kinds becomes text, `untyped` as in CSV.
    """

    format = "jsonl"
    text = True
    quotes_all = False

    def __init__(self, path: Path, name: str, options: ReadOptions) -> None:
        self.path = path
        self.name = name
        self.n_rows: int | None = 0
        self._bytes = 0
        with reading(name):
            self._encoding = bom_encoding(path) or codec_name(options.encoding)
        self._types: dict[str, pa.DataType] = {}
        self.untyped: set[str] = set()
        for block, line in self._blocks():
            self._add_types(self._read(block, {}, line))
        self.names = list(self._types)
        if not self.names:
            raise DataError(f"{name} has no columns", hint='lines such as {"a": 1, "b": "x"}')

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types that hold every value."""
        return {name: self._types[name] for name in names}

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, of those types where JSON has them."""
        for block, line in self._blocks():
            table = self._read(block, types, line)
            for name in types:
                if name not in table.schema.names:
                    table = table.append_column(name, pa.nulls(table.num_rows))
            yield from table.select(list(types)).combine_chunks().to_batches(max_chunksize=rows)

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the approximate bytes that the columns take in memory."""
        return self._bytes * len(types) // len(self.names)

    def row_location(self, row: int) -> str:
        """Return the location of a row, counted from 0, for messages."""
        return f"line {row + 1:,}"

    def _add_types(self, table: pa.Table) -> None:
        self.n_rows = (self.n_rows or 0) + table.num_rows
        self._bytes += table.nbytes
        for field, column in zip(table.schema, table.columns, strict=True):
            known = self._types.get(field.name, pa.null())
            kind = field.type
            if is_text(kind) and not is_text(known):
                kind = infer_times(column.combine_chunks())
            joined = join_types(known, kind)
            if joined is None:
                self.untyped.add(field.name)
            self._types[field.name] = joined or pa.string()

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield blocks of complete lines as UTF-8, with the number of the first line."""
        line, rest = 1, b""
        try:
            with reading(self.name), open_text(self.path, self._encoding) as stream:
                while chunk := stream.read(_JSON_BLOCK_BYTES):
                    lines, end, rest = (rest + chunk).rpartition(b"\n")
                    if end:
                        yield lines + end, line
                        line += lines.count(b"\n") + 1
                if rest.strip():
                    yield rest, line
        except UnicodeDecodeError as error:
            explained = encoding_error(self.path, self.name, self._encoding)
            raise explained or unreadable(self.name, error) from error

    def _read(self, block: bytes, types: Mapping[str, pa.DataType], line: int) -> pa.Table:
        if not block.strip():
            return pa.table({})
        explicit = pa.schema([(name, _json_type(kind)) for name, kind in types.items()])
        options = pajson.ParseOptions(
            explicit_schema=explicit if types else None,
            unexpected_field_behavior="ignore" if types else "infer",
        )
        try:
            return pajson.read_json(
                pa.BufferReader(block),
                read_options=pajson.ReadOptions(block_size=len(block) + 1),
                parse_options=options,
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Slower, but it accepts any mixture of types, and knows the line of an error.
            return self._read_slowly(block, line)

    def _read_slowly(self, block: bytes, first: int) -> pa.Table:
        rows = []
        for number, text in enumerate(block.split(b"\n"), start=first):
            if text.strip():
                rows.append(self._object(text, number))
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {name: [row.get(name) for row in rows] for name in names}
        table = pa.table({name: _array(values) for name, values in columns.items()})
        for name, values in columns.items():
            texts = pa.types.is_string(table.schema.field(name).type)
            if texts and not all(value is None or isinstance(value, str) for value in values):
                self.untyped.add(name)
        return table

    def _object(self, text: bytes, line: int) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except UnicodeDecodeError as error:
            explained = encoding_error(self.path, self.name, self._encoding)
            raise explained or unreadable(self.name, error) from error
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(
                f"{self.name} line {line:,} is no JSON: {error}",
                facts=[repr(text[:60].decode(errors="replace"))],
                hint=show_line_command(self.name, line),
            ) from error
        if not isinstance(value, dict):
            raise DataError(
                f"{self.name} line {line:,} is a JSON {type(value).__name__}, no object",
                hint='lines such as {"a": 1, "b": "x"}',
            )
        return value


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _json_type(kind: pa.DataType) -> pa.DataType:
    """Return the type to read where Arrow's JSON reader does not know `kind` itself."""
    types = pa.types
    if is_list(kind):
        return pa.list_(_json_type(kind.value_type))
    if types.is_dictionary(kind):
        return _json_type(kind.value_type)
    zoned = types.is_timestamp(kind) and kind.tz is not None
    if zoned or (types.is_temporal(kind) and not types.is_timestamp(kind)):
        return pa.int64() if types.is_duration(kind) else pa.string()
    return pa.string() if is_text(kind) else kind
