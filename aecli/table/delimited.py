"""Read CSV and TSV files in constant memory, with types that come from every value."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from aecli.errors import DataError, UsageError
from aecli.table.inference import TypeFinder
from aecli.table.located import first_bytes, opened
from aecli.table.reader import Types, distinct

BLOCK_BYTES = 16 << 20
"""Bytes parsed at a time; pyarrow's default of 1 MB is five times slower on 2,000 columns."""

DELIMITERS = ",\t;|"
BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
COUNTS = re.compile(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)")
CONVERSION = re.compile(
    r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to ([^:]+): invalid value '(.*)'",
    re.DOTALL,
)


class CsvReader:
    """Read delimited text files that have the same header."""

    def __init__(self, paths: Sequence[Path], encoding: str, delimiter: str | None) -> None:
        self._paths = list(paths)
        head = first_bytes(self._paths[0])
        marked = [name for mark, name in BYTE_ORDER_MARKS.items() if head.startswith(mark)]
        self._encoding = marked[0] if marked else _known_encoding(encoding)
        self._delimiter = delimiter or _sniffed(self._decoded(head), self._paths[0])
        self._header = self._header_of(self._paths[0])
        self.names, self.notes = distinct(self._header)
        for path in self._paths[1:]:
            self._require_same_header(path)
        self._types: dict[str, pa.DataType] = {}

    def schema(self, names: Sequence[str], types: Types) -> pa.Schema:
        """Return the schema of the named columns; types not dictated come from every value."""
        unknown = [name for name in names if name not in types and name not in self._types]
        if unknown:
            self._infer(unknown)
        found = self._types | dict(types)
        return pa.schema([pa.field(name, found[name]) for name in names])

    def batches(self, names: Sequence[str], types: Types, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, of at most `rows` rows each."""
        schema = self.schema(names, types)
        wanted = {field.name: field.type for field in schema}
        for batch in self._parsed(wanted):
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)

    def n_rows(self) -> int | None:
        """Return None: only a pass can tell."""
        return None

    def memory_bytes(self) -> int | None:
        """Return the size of the files, six times for packed ones."""
        return sum(
            path.stat().st_size * (6 if path.suffix in (".gz", ".zst") else 1)
            for path in self._paths
        )

    def _infer(self, names: Sequence[str]) -> None:
        finders = {name: TypeFinder() for name in names}
        for batch in self._parsed(dict.fromkeys(names, pa.string())):
            for name, finder in finders.items():
                finder.add(batch.column(name))
        self._types |= {name: finder.type() for name, finder in finders.items()}

    def _parsed(self, types: Types) -> Iterator[pa.RecordBatch]:
        options = pacsv.ConvertOptions(
            column_types=dict(types),
            # Without a column the rows are still to be counted.
            include_columns=list(types) or self.names[:1],
            strings_can_be_null=True,
        )
        schema = pa.schema(list(types.items()))
        for path in self._paths:
            try:
                with opened(path) as stream, self._open(stream, options) as reader:
                    for batch in reader:
                        yield batch.select(list(types)).cast(schema) if types else batch
            except (pa.ArrowInvalid, UnicodeError, OSError) as error:
                raise self._explained(path, error, types) from error

    def _open(
        self, stream: pa.NativeFile, options: pacsv.ConvertOptions | None
    ) -> pacsv.CSVStreamingReader:
        renamed = self.names != self._header if options else False
        return pacsv.open_csv(
            stream,
            # One thread: only then do errors name the row.
            read_options=pacsv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                encoding=self._encoding,
                column_names=self.names if renamed else None,
                skip_rows=1 if renamed else 0,
            ),
            parse_options=pacsv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=options,
        )

    def _header_of(self, path: Path) -> list[str]:
        # The header alone: the first block's values may not fit the types that pyarrow would guess.
        text = self._decoded(first_bytes(path))
        record = next(csv.reader(text.splitlines(keepends=True), delimiter=self._delimiter), [])
        if not record:
            raise DataError(f"{path.name} has no header", hint="a first line of column names")
        return record

    def _require_same_header(self, path: Path) -> None:
        header = self._header_of(path)
        if header == self._header:
            return
        first = self._paths[0]
        for lacking, has in (
            (path, set(self._header) - set(header)),
            (first, set(header) - set(self._header)),
        ):
            if has:
                fact = f"{lacking.name} lacks {', '.join(sorted(has)[:8])}"
                break
        else:
            fact = "the same columns in another order"
        raise DataError(
            f"{first} and {path} have different headers",
            facts=[fact],
            hint=f"leave {path.name} out, or read the files one by one",
        )

    def _decoded(self, head: bytes) -> str:
        text = head.decode(self._encoding, errors="replace").removeprefix("\ufeff")
        # The last line may be cut.
        return text if len(text.splitlines()) < 2 else text[: text.rfind("\n") + 1] or text

    def _explained(self, path: Path, error: Exception, types: Types) -> DataError:
        text = str(error)
        if found := COUNTS.search(text):
            return _ragged(path, found)
        if found := CONVERSION.search(text):
            return self._misfit(path, found)
        if isinstance(error, UnicodeError) or "UTF8" in text:
            return self._misread(path)
        fact = (text.splitlines() or ["damaged"])[0][:160]
        return DataError(f"{path.name} cannot be read as CSV", facts=[fact], hint=f"head {path}")

    def _misfit(self, path: Path, found: re.Match[str]) -> DataError:
        column, row, kind, value = found.groups()
        where = f", line {row}" if row else ""
        name = self.names[int(column)]
        wanted = "a number" if kind in ("double", "int64") else f"a {kind}"
        return DataError(
            f"{path.name}{where}: column {name!r} holds {value[:60]!r}, which is not {wanted}",
            facts=["the model was trained on another type in this column"],
            hint=f"correct the cell, or leave it empty for a missing {name}",
        )

    def _misread(self, path: Path) -> DataError:
        offset, line, byte = _first_misfit(path, self._encoding)
        return DataError(
            f"{path.name} is not {self._encoding}: byte 0x{byte:02x} at offset {offset:,}, "
            f"line {line:,}",
            hint="--encoding latin-1 (or cp1252, utf-16, …)",
        )


def _ragged(path: Path, found: re.Match[str]) -> DataError:
    row, expected, got = found.groups()
    where = f", line {int(row):,}" if row else ""
    return DataError(
        f"{path.name}{where}: {got} fields where the header has {expected}",
        facts=["a delimiter inside an unquoted text is the usual reason"],
        hint=f"sed -n {row}p {path}" if row else f"head {path}",
    )


def _known_encoding(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise UsageError(
            f"--encoding {encoding!r} is no encoding", hint="--encoding utf-8, latin-1 or cp1252"
        ) from error


def _sniffed(text: str, path: Path) -> str:
    """Return the delimiter that cuts the first lines into the most, and equally many, fields."""
    if ".tsv" in path.suffixes:
        return "\t"
    lines = text.splitlines(keepends=True)[:50]
    best, most = ",", 1
    for delimiter in DELIMITERS:
        widths = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        if widths and min(widths) == max(widths) > most:
            best, most = delimiter, widths[0]
    if most > 1:
        return best
    # No delimiter cuts all lines alike, as in a ragged file: the header decides.
    counts = {delimiter: lines[0].count(delimiter) for delimiter in DELIMITERS} if lines else {}
    return max(counts, key=lambda delimiter: counts[delimiter]) if any(counts.values()) else ","


def _first_misfit(path: Path, encoding: str) -> tuple[int, int, int]:
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, line = 0, 1
    with opened(path) as stream:
        while block := stream.read(1 << 20):
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                start = max(0, error.start)
                return offset + start, line + error.object[:start].count(b"\n"), error.object[start]
            offset += len(block)
    return offset, line, 0
