"""Say what every format's reader offers, and bind one to selected columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from aecli.errors import DataError

BATCH_ROWS = 65_536

Types = Mapping[str, pa.DataType]


class Reader(Protocol):
    """Read one table of one or several files; every pass gives the same rows in the same order."""

    names: list[str]
    notes: list[str]

    def schema(self, names: Sequence[str], types: Types) -> pa.Schema:
        """Return the schema of the named columns; `types` dictates some of their types."""
        ...

    def batches(self, names: Sequence[str], types: Types, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, of at most `rows` rows each."""
        ...

    def n_rows(self) -> int | None:
        """Return the number of rows where it is known without a pass."""
        ...

    def memory_bytes(self) -> int | None:
        """Return about how much memory the whole table takes as Arrow."""
        ...


class TableReader:
    """Read an Arrow table in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.names, self.notes = distinct(table.schema.names)
        self._table = table.rename_columns(self.names)

    def schema(self, names: Sequence[str], types: Types) -> pa.Schema:
        """Return the schema of the named columns; `types` dictates some of their types."""
        return dictated(pa.schema([self._table.schema.field(name) for name in names]), types)

    def batches(self, names: Sequence[str], types: Types, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns, of at most `rows` rows each."""
        schema = self.schema(names, types)
        for batch in self._table.select(list(names)).to_batches(max_chunksize=rows):
            yield conformed(batch, schema, "the table")

    def n_rows(self) -> int | None:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def memory_bytes(self) -> int | None:
        """Return how much memory the table takes."""
        return int(self._table.nbytes)


def distinct(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names made unique (`a`, `a_2`) and non-empty, and a note for each that was changed."""
    taken = set(names)
    seen: set[str] = set()
    result, notes = [], []
    for position, name in enumerate(names, start=1):
        chosen = name or f"column_{position}"
        number = 2
        while chosen in seen or (chosen != name and chosen in taken):
            chosen = f"{name or f'column_{position}'}_{number}"
            number += 1
        if chosen != name:
            what = f"the second column named {name!r}" if name else f"column {position}, unnamed,"
            notes.append(f"{what} is called {chosen!r}")
        seen.add(chosen)
        result.append(chosen)
    return result, notes


def dictated(schema: pa.Schema, types: Types) -> pa.Schema:
    """Return the schema with the dictated types in place."""
    return pa.schema([pa.field(f.name, types.get(f.name, f.type)) for f in schema])


def conformed(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    """Return the batch with the columns and types of `schema`.

    Raises:
        DataError: a value cannot be said in the type.
    """
    arrays = [_cast(batch.column(position), field, name) for position, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else batch


def _cast(array: pa.Array, field: pa.Field, name: str) -> pa.Array:
    if array.type == field.type:
        return array
    try:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        # Numbers read as doubles may round beyond 2**53; everything else must be exact.
        safe = not (pa.types.is_integer(array.type) and pa.types.is_floating(field.type))
        return array.cast(field.type, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column {field.name!r} of {name} cannot be read as {field.type}",
            facts=[f"it is {array.type}: {str(error).splitlines()[0][:120]}"],
            hint=f"convert {field.name!r} to {field.type}",
        ) from error
