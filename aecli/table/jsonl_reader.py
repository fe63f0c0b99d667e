"""Read JSON Lines in blocks, with types that fit the values of all lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from aecli.errors import DataError
from aecli.formatting import show_line_command
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_types import is_list, is_text
from aecli.table.cells.type_inference import infer_times
from aecli.table.cells.type_joins import join_types
from aecli.table.column_names import unique_names
from aecli.table.encoding import (
    MAX_ROW_BYTES,
    bom_encoding,
    codec_name,
    encoding_error,
    long_row_error,
    open_text,
)
from aecli.table.formats import reading, unreadable

_JSON_BLOCK_BYTES = 4 << 20
_MAX_LEVELS = 100
_MAX_DIGITS = 300  # longer integers are beyond float64, and Python refuses to parse them
_FIRST_LONG_INTEGER = 2.0**63
_LONG_INTEGER = pa.decimal128(38, 0)
_INTEGERS = (pa.int64(), pa.uint64(), _LONG_INTEGER)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class JsonlFile:
    """Reader of one JSON Lines file; opening it reads all of it once.

    Keys may be absent from lines. Strings that are all dates or times are converted; a key whose
    values are of several kinds becomes text, and is `untyped` as in CSV. Integers beyond int64
    become uint64 or decimals.
    """

    format = "jsonl"
    text = True
    quotes_all = False

    def __init__(self, path: Path, name: str, options: ReadOptions, notes: list[str]) -> None:
        self.path = path
        self.name = name
        self.n_rows: int | None = 0
        self._bytes = 0
        with reading(name):
            self._encoding = bom_encoding(path) or codec_name(options.encoding)
        self._types: dict[str, pa.DataType] = {}
        self.untyped: set[str] = set()
        for block, line in self._blocks():
            self._add_types(_with_long_integers(self._read(block, {}, line), block))
        for key in [key for key, kind in self._types.items() if kind == _LONG_INTEGER]:
            if self._fits(key, pa.uint64()):
                self._types[key] = pa.uint64()
        unique = unique_names(list(self._types), name, notes)
        self._keys = dict(zip(unique, self._types, strict=True))
        self.names = list(self._keys)
        if not self.names:
            raise DataError(f"{name} has no columns", hint='lines such as {"a": 1, "b": "x"}')

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types that fit every value."""
        return {name: self._types[self._keys[name]] for name in names}

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, as those types if JSON supports them."""
        keys = {self._keys[name]: kind for name, kind in types.items()}
        for block, line in self._blocks():
            table = self._read(block, keys, line)
            for key in keys:
                if key not in table.schema.names:
                    table = table.append_column(key, pa.nulls(table.num_rows))
            table = table.select(list(keys)).rename_columns(list(types))
            yield from table.combine_chunks().to_batches(max_chunksize=rows)

    def memory_bytes(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the approximate size of the columns in memory, in bytes."""
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
            joined = _joined(known, kind)
            if joined is None:
                self.untyped.add(field.name)
            self._types[field.name] = joined or pa.string()

    def _fits(self, key: str, kind: pa.DataType) -> bool:
        try:
            for block, _ in self._blocks():
                _parsed(block, {key: kind})
        except pa.ArrowInvalid:
            return False
        return True

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield blocks of complete lines as UTF-8, with the number of the first line."""
        line, rest = 1, b""
        try:
            with reading(self.name), open_text(self.path, self._encoding) as stream:
                while chunk := stream.read(_JSON_BLOCK_BYTES):
                    lines, end, rest = (rest + chunk).rpartition(b"\n")
                    if end:
                        yield _checked_utf8(lines + end), line
                        line += lines.count(b"\n") + 1
                    if len(rest) > MAX_ROW_BYTES:
                        raise long_row_error(self.name, f"line {line:,}")
                if rest.strip():
                    yield _checked_utf8(rest), line
        except UnicodeDecodeError as error:
            explained = encoding_error(self.path, self.name, self._encoding)
            raise explained or unreadable(self.name, error) from error

    def _read(self, block: bytes, types: Mapping[str, pa.DataType], line: int) -> pa.Table:
        if not block.strip():
            return pa.table({})
        # Arrow's parser crashes on deep nesting.
        if _levels_at_most(block) <= _MAX_LEVELS:
            with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
                return _parsed(block, types)
        # Slower, but it accepts any mixture of types, and knows the line of an error.
        return self._read_slowly(block, types, line)

    def _read_slowly(self, block: bytes, types: Mapping[str, pa.DataType], first: int) -> pa.Table:
        rows = []
        for number, text in enumerate(block.split(b"\n"), start=first):
            if text.strip():
                rows.append(self._object(text, number))
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {name: [row.get(name) for row in rows] for name in names}
        texts = {name for name, kind in types.items() if is_text(kind)}
        table = pa.table(
            {name: (_texts if name in texts else _array)(columns[name]) for name in names}
        )
        if not types:
            self.untyped |= {
                name
                for name, values in columns.items()
                if is_text(table.schema.field(name).type)
                and not all(value is None or isinstance(value, str) for value in values)
            }
        return table

    def _object(self, text: bytes, line: int) -> dict[str, Any]:
        try:
            value = json.loads(text, parse_int=_integer)
            levels = _levels(value)
        except UnicodeDecodeError as error:
            explained = encoding_error(self.path, self.name, self._encoding)
            raise explained or unreadable(self.name, error) from error
        except RecursionError:
            value, levels = {}, _MAX_LEVELS + 1
        except json.JSONDecodeError as error:
            raise DataError(
                f"{self.name} line {line:,} is not JSON: {error}",
                facts=[repr(text[:60].decode(errors="replace"))],
                hint=show_line_command(self.name, line),
            ) from error
        if levels > _MAX_LEVELS:
            raise DataError(
                f"{self.name} line {line:,} nests more than {_MAX_LEVELS} arrays or objects",
                facts=[repr(text[:60].decode(errors="replace"))],
                hint="remove the nested values from the line",
            )
        if not isinstance(value, dict):
            raise DataError(
                f"{self.name} line {line:,} is a JSON {type(value).__name__}, not an object",
                hint='lines such as {"a": 1, "b": "x"}',
            )
        for key, cell in value.items() if b"\\u" in text else ():
            _require_characters(key, f"{self.name} line {line:,}: a key")
            _require_characters(cell, f"{self.name} line {line:,}: the value of {key!r}")
        return value


def _parsed(block: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the columns of `types` that the lines have; all columns if `types` is empty."""
    if types:
        return _read_json(block, types, "ignore")
    table = _read_json(block, {}, "infer")
    # Arrow drops time zones, and the difference between dates and times.
    times = {f.name: pa.string() for f in table.schema if pa.types.is_timestamp(f.type)}
    return _read_json(block, times, "infer") if times else table


def _read_json(block: bytes, types: Mapping[str, pa.DataType], others: str) -> pa.Table:
    explicit = pa.schema([(name, _json_type(kind)) for name, kind in types.items()])
    return pajson.read_json(
        pa.BufferReader(block),
        read_options=pajson.ReadOptions(block_size=len(block) + 1),
        parse_options=pajson.ParseOptions(
            explicit_schema=explicit if types else None, unexpected_field_behavior=others
        ),
    )


def _checked_utf8(block: bytes) -> bytes:
    # Arrow's parser accepts invalid UTF-8.
    if not block.isascii():
        block.decode()
    return block


def _levels_at_most(block: bytes) -> int:
    """Return an upper bound on the nesting depth; brackets in text are counted too."""
    brackets = np.frombuffer(block.translate(None, _NO_BRACKETS), np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    return int(np.cumsum(steps).max(initial=0))


def _levels(value: Any) -> int:
    """Return the nesting depth of arrays and objects."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _require_characters(value: Any, what: str) -> None:
    """Raise if text in a value has an unpaired surrogate, which cannot be encoded."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} has half of a surrogate pair, which is not a character",
            facts=[f"escaped as \\u{ord(error.object[error.start]):04x}"],
            hint="write the character itself, as UTF-8",
        ) from error


def _with_long_integers(table: pa.Table, block: bytes) -> pa.Table:
    """Return a table with exact decimals for integers that were read as float64."""
    for position, (field, column) in enumerate(zip(table.schema, table.columns, strict=True)):
        if pa.types.is_floating(field.type):
            most = pc.max(pc.abs(column)).as_py()
            if most is not None and most >= _FIRST_LONG_INTEGER:
                with suppress(pa.ArrowInvalid):
                    exact = _parsed(block, {field.name: _LONG_INTEGER})
                    table = table.set_column(position, field.name, exact.column(field.name))
    return table


def _joined(known: pa.DataType, kind: pa.DataType) -> pa.DataType | None:
    if known != kind and known in _INTEGERS and kind in _INTEGERS:
        return _LONG_INTEGER
    return join_types(known, kind)


def _array(values: list[Any]) -> pa.Array:
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array(values)
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {int}:
        with suppress(pa.ArrowInvalid, OverflowError):
            return pa.array(values, _LONG_INTEGER)
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values])
    return _texts(values)


def _texts(values: list[Any]) -> pa.Array:
    plain = (value is None or isinstance(value, str) for value in values)
    texts = [v if as_is else json.dumps(v) for v, as_is in zip(values, plain, strict=True)]
    return pa.array(texts, pa.string())


def _json_type(kind: pa.DataType) -> pa.DataType:
    """Return the type to read if Arrow's JSON reader does not support `kind`."""
    types = pa.types
    if is_list(kind):
        return pa.list_(_json_type(kind.value_type))
    if types.is_dictionary(kind):
        return _json_type(kind.value_type)
    zoned = types.is_timestamp(kind) and kind.tz is not None
    if zoned or (types.is_temporal(kind) and not types.is_timestamp(kind)):
        return pa.int64() if types.is_duration(kind) else pa.string()
    return pa.string() if is_text(kind) else kind
