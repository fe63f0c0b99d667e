"""Read Arrow batches as cells: one row-major float32 matrix, NaN for missing, -1 for unseen."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import DataError
from aecli.features.layout import Layout, lay_out
from aecli.features.text.characters import CharacterCodes
from aecli.features.text.reader import TextReader
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import hashable, number_values, vector_values
from aecli.table.exact_numbers import differences
from aecli.table.scaling import FAR

Cells = npt.NDArray[np.float32]

# A float64 tile of all numbers fits the shared cache while it is scaled and transposed. Smaller
# tiles have few rows, and so more calls of NumPy.
TILE_BYTES = 1 << 22


class CellReader:
    """Reader of the model's columns as cells of shape `(n_rows, n_cells)`."""

    def __init__(self, columns: Sequence[Column], *, nonfinite: str = "error") -> None:
        self.layout: Layout = lay_out(columns)
        self.nonfinite = nonfinite
        numeric = self.layout.numeric
        self._center = np.array([c for column in numeric for c in column.center])
        self._scale = np.array([s for column in numeric for s in column.scale])
        self._origins = [
            None if column.origin is None else Fraction(column.origin) for column in numeric
        ]
        self._codes = [
            {value: code for code, value in enumerate(column.categories)}
            for column in self.layout.category
        ]
        self._texts = {c.name: TextReader(c.encoder) for c in numeric if c.kind == "text"}
        self._characters = [CharacterCodes(column) for column in self.layout.characters]

    def read(
        self,
        batch: pa.RecordBatch,
        out: Cells | None = None,
        *,
        table: str = "the table",
        before: int = 0,
    ) -> Cells:
        """Return the cells of a batch, written to `out` of shape `(n_rows, n_cells)` if given.

        Messages refer to `table`, of which `before` rows precede.

        Raises:
            DataError: a number is infinite and `nonfinite` is "error".
        """
        where = self.layout
        if out is None:
            out = np.empty((batch.num_rows, where.cells), dtype=np.float32)
        self._read_numbers(batch, out[:, : where.numbers], table, before)
        for position, column in enumerate(where.boolean, start=where.numbers):
            out[:, position] = _booleans(batch.column(column.name))
        first = where.numbers + where.booleans
        for position, column in enumerate(where.category):
            codes = self._codes[position]
            array = batch.column(column.name)
            out[:, first + position] = _category_codes(array, codes, column.has_other)
        first += len(where.category)
        for column, characters in zip(where.characters, self._characters, strict=True):
            cells = characters.read(batch.column(column.name))
            out[:, first : first + column.length] = cells
            first += column.length
        return out

    def _read_numbers(self, batch: pa.RecordBatch, out: Cells, table: str, before: int) -> None:
        sources: list[npt.NDArray[Any]] = []
        cells: list[int] = []
        first = 0
        for column, origin in zip(self.layout.numeric, self._origins, strict=True):
            array, own = batch.column(column.name), range(first, first + column.size)
            first += column.size
            if column.kind == "text":
                self._scale_vectors(
                    self._texts[column.name].read(array), out[:, own.start : own.stop], own
                )
                continue
            cells += own
            if column.kind == "vector":
                sources.extend(_vectors(array, column).T)
            elif origin is not None:
                sources.append(differences(array, origin))
            else:
                sources.append(number_values(array))
        where = slice(None) if len(cells) == first else cells
        self._scale_numbers(sources, out, where, table, before)

    def _scale_vectors(self, vectors: Cells, out: Cells, cells: range) -> None:
        """Write the vectors of texts, which are finite and small, to their cells `out`."""
        where = slice(cells.start, cells.stop)
        np.subtract(vectors, self._center[where].astype(np.float32), out=out)
        out /= self._scale[where].astype(np.float32)

    def _scale_numbers(
        self,
        sources: list[npt.NDArray[Any]],
        out: Cells,
        where: slice | list[int],
        table: str,
        before: int,
    ) -> None:
        """Write numbers, a source for each of the cells `where`, to the cells `out` of all."""
        center, scale = self._center[where, None], self._scale[where, None]
        rows = max(16, TILE_BYTES // (8 * max(1, len(sources))))
        tile = np.empty((len(sources), rows))
        for start in range(0, len(out) if sources else 0, rows):
            stop = min(start + rows, len(out))
            part = tile[:, : stop - start]
            for index, source in enumerate(sources):
                part[index] = source[start:stop]
            self._handle_infinite(part, where, table, before + start)
            with np.errstate(over="ignore"):  # clipped below
                part -= center
                part /= scale
            np.clip(part, -FAR, FAR, out=part)
            out[start:stop, where] = part.T

    def _handle_infinite(
        self, part: npt.NDArray[np.float64], where: slice | list[int], table: str, before: int
    ) -> None:
        infinite = np.isinf(part)
        if not infinite.any():
            return
        if self.nonfinite == "missing":
            part[infinite] = np.nan
            return
        cell, row = (int(index) for index in np.argwhere(infinite)[0])
        column = self.layout.columns[np.array(self.layout.column_of)[where][cell]]
        raise DataError(
            f"column {column.name!r} of {table} contains an infinite number in row "
            f"{before + row + 1:,}",
            hint="train with --nonfinite missing to treat infinite numbers as missing",
        )


def _vectors(array: pa.Array, column: Column) -> npt.NDArray[np.float64]:
    values = vector_values(array, column.size)
    if values is None:
        raise DataError(
            f"column {column.name!r} contains a list whose length is not {column.size:,}",
            hint=f"make every list {column.size:,} long, or null",
        )
    return values


def _booleans(array: pa.Array) -> npt.NDArray[np.float64]:
    values = array.cast(pa.uint8()) if pa.types.is_boolean(array.type) else array
    return values.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]  # pyarrow is untyped


def _category_codes(array: pa.Array, codes: dict[Any, int], has_other: bool) -> Cells:
    if not pa.types.is_dictionary(array.type):
        array = hashable(array).dictionary_encode()
    unknown = len(codes) if has_other else -1
    known_codes = [
        np.nan if value is None or value != value else _code(value, codes, unknown)
        for value in array.dictionary.to_pylist()
    ]
    table = np.array([*known_codes, np.nan], dtype=np.float32)
    indices = pc.fill_null(array.indices.cast(pa.int64()), len(known_codes))
    cells: Cells = table[indices.to_numpy(zero_copy_only=False)]
    return cells


def _code(value: Any, codes: dict[Any, int], unknown: int) -> int:
    """Return a value's code; a text that is not in the training rows is stripped first."""
    if value not in codes and isinstance(value, str):
        value = value.strip()
    return codes.get(value, unknown)
