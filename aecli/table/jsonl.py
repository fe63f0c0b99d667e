"""Read JSON lines in constant memory, with types that come from every line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pajson

from aecli.errors import DataError
from aecli.table.inference import TypeFinder, wider
from aecli.table.located import first_bytes, opened
from aecli.table.reader import Types, conformed, dictated, distinct
from aecli.table.types import is_text

BLOCK_BYTES = 16 << 20

ROW = re.compile(r"in row (\d+)")


class JsonlReader:
    """Read files of one JSON object per line; a key that a line lacks is a missing cell."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        for path in self._paths:
            first_bytes(path)
        self._found = self._whole_schema()
        self.names, self.notes = distinct(self._found.names)

    def schema(self, names: Sequence[str], types: Types) -> pa.Schema:
        """Return the schema of the named columns; `types` dictates some of their types."""
        return dictated(pa.schema([self._found.field(name) for name in names]), types)

    def batches(self, names: Sequence[str], types: Types, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, of at most `rows` rows each."""
        schema = self.schema(names, types)
        # Text that holds numbers or times is parsed as text first: JSON has no type for it.
        written = pa.schema([self._written.field(name) for name in names])
        for path, block, first in self._blocks():
            for batch in self._parsed(path, block, first, written).to_batches(rows):
                yield conformed(batch, schema, path.name)

    def n_rows(self) -> int | None:
        """Return None: only a pass can tell."""
        return None

    def memory_bytes(self) -> int | None:
        """Return the size of the files, six times for packed ones."""
        return sum(
            path.stat().st_size * (6 if path.suffix in (".gz", ".zst") else 1)
            for path in self._paths
        )

    def _whole_schema(self) -> pa.Schema:
        kinds: dict[str, pa.DataType] = {}
        finders: dict[str, TypeFinder] = {}
        for path, block, first in self._blocks():
            table = self._parsed(path, block, first, None)
            for field, column in zip(table.schema, table.columns, strict=True):
                kind = pa.string() if pa.types.is_timestamp(field.type) else field.type
                kinds[field.name] = wider(kinds.get(field.name, pa.null()), kind)
                if pa.types.is_timestamp(field.type) or is_text(field.type):
                    finder = finders.setdefault(field.name, TypeFinder())
                    for chunk in column.chunks:
                        finder.add(chunk.cast(pa.string()))
        self._written = pa.schema(list(kinds.items()))
        timely = {
            name: finder.type()
            for name, finder in finders.items()
            if is_text(kinds[name]) and pa.types.is_temporal(finder.type())
        }
        return dictated(self._written, timely)

    def _blocks(self) -> Iterator[tuple[Path, bytes, int]]:
        """Yield whole lines of about a block's size, and the number of the first line."""
        for path in self._paths:
            rest, line = b"", 1
            with opened(path) as stream:
                while True:
                    piece = stream.read(BLOCK_BYTES)
                    cut = len(rest + piece) if not piece else (rest + piece).rfind(b"\n") + 1
                    block, rest = (rest + piece)[:cut], (rest + piece)[cut:]
                    if block.strip():
                        yield path, block, line
                    line += block.count(b"\n")
                    if not piece:
                        break

    def _parsed(self, path: Path, block: bytes, first: int, schema: pa.Schema | None) -> pa.Table:
        options = pajson.ParseOptions(
            explicit_schema=schema,
            unexpected_field_behavior="ignore" if schema is not None else "infer",
        )
        # One block: a line is never cut, and the row in an error counts from the block's first line.
        whole = pajson.ReadOptions(use_threads=True, block_size=len(block) + 1)
        try:
            return pajson.read_json(io.BytesIO(block), whole, options)
        except pa.ArrowInvalid as error:
            text = str(error).splitlines()[0]
            row = ROW.search(text)
            where = f", line {first + int(row[1]):,}" if row else ""
            raise DataError(
                f"{path.name}{where} is no JSON object like the others",
                facts=[text[:160]],
                hint="one JSON object per line, each key with one type",
            ) from error
