"""Fill the missing cells of Arrow columns with a model's answers, and leave all others alone."""

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
from aecli.features.layout import NUMERIC
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
from aecli.table.cells.reading import spelled


class Filler:
    """Imputation of the features of a table's batches, in the table's own types.

    Numbers lie within the range of the training rows, and a category is one of the training rows
    with a slot of its own. `formats` are the spellings of values in columns of text.

    Attributes:
        filled: counts the missing cells that were filled, by column.
        unfilled: counts those that were not.
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
        """Return a batch without missing features, but for the rows that are not `covered`.

        Args:
            batch: `n_rows` rows of the whole table.
            cells: the same rows as the model reads them, `(n_rows, n_cells)`.
            outputs: the decoder's outputs `(n_rows, n_outputs)`.
            covered: `(n_rows,)`, False where there is no answer.

        Raises:
            DataError: an answer does not fit the type that the column has here.
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
        missing = self._holes(column, array) if part is None else np.isnan(cells[:, part])
        holes = missing & covered[:, None]
        rows = np.flatnonzero(holes.any(axis=1))
        self.filled[column.name] += int(holes.sum())
        self.unfilled[column.name] += int(missing.sum() - holes.sum())
        if not len(rows):
            return array
        answers = self._as_table_type(column, self._inverse.column(column, outputs[rows]))
        if column.kind == "vector":
            return _with_elements(array, rows, holes[rows], answers)
        if pa.types.is_dictionary(array.type):
            return _with_entries(column, array, rows, answers)
        return _replaced(array, rows, answers)

    def _holes(self, column: Column, array: pa.Array) -> npt.NDArray[np.bool_]:
        """Return where a constant column, which has no cells, is missing: `(n_rows, size)`."""
        if column.kind == "vector" and is_list(array.type):
            values = vector_values(array, column.size)
            if values is not None:
                return np.isnan(values) | (np.isinf(values) & self._infinite)
        holes = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
        if self._infinite and pa.types.is_floating(array.type):
            holes |= np.isinf(number_values(array))
        missing: npt.NDArray[np.bool_] = holes[:, None]
        return missing

    def _as_table_type(self, column: Column, answers: pa.Array) -> pa.Array:
        type, format = self._types[column.name], self._formats.get(column.name)
        if format is not None:
            return spelled(answers, format).cast(type)
        if pa.types.is_dictionary(answers.type):
            answers = answers.dictionary_decode()
        try:
            return convert(answers, type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _unfit(column, type) from error


def _converts_to(column: Column, type: pa.DataType) -> bool:
    """Return whether the table's type can hold answers; whole numbers are rounded first."""
    stored = parse_type(column.type)
    if is_list(type) and is_list(stored):
        stored, type = stored.value_type, type.value_type
    if column.kind not in NUMERIC or not (is_plain_number(stored) and is_plain_number(type)):
        return False
    if pa.types.is_integer(type) or pa.types.is_floating(stored):
        return True
    return bool(pa.types.is_decimal(stored) and pa.types.is_decimal(type))


def _replaced(array: pa.Array, rows: Indices, answers: pa.Array) -> pa.Array:
    places = np.arange(len(array))
    places[rows] = len(array) + np.arange(len(rows))
    return pa.concat_arrays([array, answers]).take(pa.array(places))


def _with_entries(
    column: Column, array: pa.DictionaryArray, rows: Indices, answers: pa.Array
) -> pa.Array:
    """Fill a dictionary array; its dictionary keeps its order and gets the values it lacks."""
    known = array.dictionary
    lacking = answers.unique().filter(pc.invert(pc.is_in(answers.unique(), value_set=known)))
    dictionary = pa.concat_arrays([known, lacking]) if len(lacking) else known
    codes = pc.index_in(answers, value_set=dictionary)
    try:
        indices = _replaced(array.indices, rows, codes.cast(array.indices.type))
    except pa.ArrowInvalid as error:
        raise _unfit(column, array.type) from error
    return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=array.type.ordered)


def _with_elements(array: pa.Array, rows: Indices, holes: Mask, answers: pa.Array) -> pa.Array:
    """Fill the elements of vectors that are missing: `holes` `(n_chosen, size)`, of `rows`."""
    size = holes.shape[1]
    present = array.is_valid().to_numpy(zero_copy_only=False)
    flat = array.flatten()
    places = (np.cumsum(present) - 1)[:, None] * size + np.arange(size)
    own = np.arange(len(rows) * size).reshape(-1, size) + len(flat)
    places[rows] = np.where(holes, own, places[rows])
    empty = ~present
    empty[rows] = False
    elements = pa.concat_arrays([flat, answers.flatten()])
    taken = elements.take(pa.array(places.reshape(-1), mask=np.repeat(empty, size)))
    lists = pa.FixedSizeListArray.from_arrays(taken, size, mask=pa.array(empty))
    return lists if lists.type == array.type else lists.cast(array.type)


def _unfit(column: Column, type: pa.DataType) -> DataError:
    return DataError(
        f"column {column.name!r} is {type_name(type)} here and {column.type} in the model: its "
        "missing cells cannot be filled",
        hint=f"convert {column.name!r} to {column.type}",
    )
