"""Fill the missing values of Arrow columns with a model's reconstruction; change nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyFloats, Indices, Mask
from aecli.errors import DataError
from aecli.features.inverse import InverseColumns
from aecli.features.layout import NUMERIC, TEXTS
from aecli.features.reader import Cells
from aecli.schema.model_spec import Column
from aecli.schema.text_format import TextFormat
from aecli.table.arrow_types import (
    decoded_type,
    is_list,
    is_plain_number,
    number_values,
    parse_type,
    type_name,
    vector_values,
)
from aecli.table.cells.conversion import convert
from aecli.table.cells.reading import formatted_texts


class Filler:
    """Imputation of the features of a table's batches, in the table's own types.

    Numbers are within the range of the training rows, and a category is one of the categories
    of the training rows. `formats` are the formats of values in text columns.

    Attributes:
        filled: number of filled values, by column.
        unfilled: number of missing values that were not filled.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        schema: pa.Schema,
        formats: Mapping[str, TextFormat] | None = None,
        *,
        infinite_is_missing: bool = False,
    ) -> None:
        present = [column for column in columns if column.name in schema.names]
        types = {column.name: decoded_type(schema.field(column.name).type) for column in present}
        direct = {c.name: types[c.name] for c in present if _converts_to(c, types[c.name])}
        self._inverse = InverseColumns(columns, bounded=True, named=True, types=direct)
        self._columns = {column.name: column for column in present}
        self._types = types
        self._formats = formats or {}
        self._infinite = infinite_is_missing
        ends = np.cumsum(self._inverse.layout.widths, dtype=np.int64).tolist()
        names = [column.name for column in self._inverse.layout.columns]
        starts = [0, *ends][: len(ends)]
        bounds = zip(names, starts, ends, strict=True)
        self._slices = {name: slice(start, end) for name, start, end in bounds}
        self.filled: Counter[str] = Counter()
        self.unfilled: Counter[str] = Counter()

    def fill(
        self, batch: pa.RecordBatch, cells: Cells, outputs: AnyFloats, covered: Mask
    ) -> pa.RecordBatch:
        """Return a batch without missing features, except in rows that are not `covered`.

        Args:
            batch: `n_rows` rows of the whole table.
            cells: the same rows as read by the model, `(n_rows, n_cells)`.
            outputs: the decoder's outputs `(n_rows, n_outputs)`.
            covered: `(n_rows,)`, False for rows without outputs.

        Raises:
            DataError: a value does not fit the type of the column in this table.
        """
        arrays = [
            self._filled(self._columns[name], array, cells, outputs, covered)
            if name in self._columns
            else array
            for name, array in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)

    def _filled(
        self, column: Column, array: pa.Array, cells: Cells, outputs: AnyFloats, covered: Mask
    ) -> pa.Array:
        part = self._slices.get(column.name)
        missing = self._missing(column, array) if part is None else np.isnan(cells[:, part])
        if column.kind in TEXTS:
            missing = missing[:, :1]
        fillable = missing & covered[:, None]
        rows = np.flatnonzero(fillable.any(axis=1))
        if not len(rows):
            self.unfilled[column.name] += int(missing.sum())
            return array
        fills = self._as_table_type(column, self._inverse.column(column, outputs[rows]))
        filled = int(fillable.sum()) - fills.null_count  # texts may be null
        self.filled[column.name] += filled
        self.unfilled[column.name] += int(missing.sum()) - filled
        if column.kind == "vector":
            return _with_elements(array, rows, fillable[rows], fills)
        if pa.types.is_dictionary(array.type):
            return _with_entries(column, array, rows, fills)
        return _replaced(array, rows, fills)

    def _missing(self, column: Column, array: pa.Array) -> npt.NDArray[np.bool_]:
        """Return where a constant column, which has no cells, is missing: `(n_rows, size)`."""
        if column.kind == "vector" and is_list(array.type):
            values = vector_values(array, column.size)
            if values is not None:
                return np.isnan(values) | (np.isinf(values) & self._infinite)
        is_null = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
        if self._infinite and pa.types.is_floating(array.type):
            is_null |= np.isinf(number_values(array))
        missing: npt.NDArray[np.bool_] = is_null[:, None]
        return missing

    def _as_table_type(self, column: Column, fills: pa.Array) -> pa.Array:
        type, format = self._types[column.name], self._formats.get(column.name)
        if format is not None:
            return formatted_texts(fills, format).cast(type)
        if pa.types.is_dictionary(fills.type):
            fills = fills.dictionary_decode()
        try:
            return convert(fills, type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _unfit(column, type) from error


def _converts_to(column: Column, type: pa.DataType) -> bool:
    """Return whether the table's type fits the reconstruction; integers are rounded first."""
    stored = parse_type(column.type)
    if is_list(type) and is_list(stored):
        stored, type = stored.value_type, type.value_type
    if column.kind not in NUMERIC or not (is_plain_number(stored) and is_plain_number(type)):
        return False
    if pa.types.is_integer(type) or pa.types.is_floating(stored):
        return True
    return bool(pa.types.is_decimal(stored) and pa.types.is_decimal(type))


def _replaced(array: pa.Array, rows: Indices, fills: pa.Array) -> pa.Array:
    indices = np.arange(len(array))
    indices[rows] = len(array) + np.arange(len(rows))
    return pa.concat_arrays([array, fills]).take(pa.array(indices))


def _with_entries(
    column: Column, array: pa.DictionaryArray, rows: Indices, fills: pa.Array
) -> pa.Array:
    """Fill a dictionary array; new values are appended to its dictionary."""
    known = array.dictionary
    lacking = fills.unique().filter(pc.invert(pc.is_in(fills.unique(), value_set=known)))
    dictionary = pa.concat_arrays([known, lacking]) if len(lacking) else known
    codes = pc.index_in(fills, value_set=dictionary)
    try:
        indices = _replaced(array.indices, rows, codes.cast(array.indices.type))
    except pa.ArrowInvalid as error:
        raise _unfit(column, array.type) from error
    return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=array.type.ordered)


def _with_elements(array: pa.Array, rows: Indices, missing: Mask, fills: pa.Array) -> pa.Array:
    """Fill the missing elements of vectors: `missing` is `(n_chosen, size)` for the `rows`."""
    size = missing.shape[1]
    present = array.is_valid().to_numpy(zero_copy_only=False)
    flat = array.flatten()
    indices = (np.cumsum(present) - 1)[:, None] * size + np.arange(size)
    fill_indices = np.arange(len(rows) * size).reshape(-1, size) + len(flat)
    indices[rows] = np.where(missing, fill_indices, indices[rows])
    null = ~present
    null[rows] = False
    elements = pa.concat_arrays([flat, fills.flatten()])
    taken = elements.take(pa.array(indices.reshape(-1), mask=np.repeat(null, size)))
    lists = pa.FixedSizeListArray.from_arrays(taken, size, mask=pa.array(null))
    return lists if lists.type == array.type else lists.cast(array.type)


def _unfit(column: Column, type: pa.DataType) -> DataError:
    return DataError(
        f"column {column.name!r} is {type_name(type)} here and {column.type} in the model: its "
        "missing values cannot be filled",
        hint=f"convert {column.name!r} to {column.type}",
    )
