"""Convert network outputs back to Arrow columns with their names, types and units.

Residuals are the differences of the columns as read and these, in the same units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyFloats, Floats
from aecli.features.layout import Layout, lay_out
from aecli.features.reader import Cells
from aecli.features.text.characters import CharacterCodes
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import (
    category_values,
    decoded_type,
    number_values,
    parse_type,
    vector_values,
)
from aecli.table.decimal_grid import on_grid
from aecli.table.exact_numbers import differences, sums

DAY = 86_400_000
"""Milliseconds per day; the values of a date64 are milliseconds of whole days."""

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class InverseColumns:
    """Inverse of the features: outputs `(n_rows, n_outputs)` to one Arrow array per column.

    With `bounded`, numbers are clipped to the range of the training rows. With `named`, the class
    of rare categories is never predicted. `types` replace those of the training table.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        bounded: bool = False,
        named: bool = False,
        types: Mapping[str, pa.DataType] | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.bounded = bounded
        self.named = named
        self.layout: Layout = lay_out(columns)
        self.types = {column.name: parse_type(column.type) for column in columns} | dict(
            types or {}
        )
        for column in columns:
            if column.text_format is not None and column.text_format.booleans is not None:
                self.types[column.name] = pa.string()
        self._slices = _output_slices(self.layout)

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of reconstructed rows, in training table order."""
        return pa.schema([(column.name, self.types[column.name]) for column in self.columns])

    def arrays(self, outputs: AnyFloats) -> list[pa.Array]:
        """Return one array of `n_rows` per column; integers rounded, categories by argmax."""
        return [self.column(column, outputs) for column in self.columns]

    def part(self, column: Column, outputs: AnyFloats) -> AnyFloats:
        """Return the outputs `(n_rows, n_slots)` of a varying column."""
        return outputs[:, self._slices[column.name]]

    def column(self, column: Column, outputs: AnyFloats) -> pa.Array:
        """Return the array of one column."""
        kind = self.types[column.name]
        if column.constant:
            return _constant(column, kind, len(outputs))
        part = self.part(column, outputs)
        if column.kind == "boolean":
            return spelled_booleans(pa.array(part[:, 0] > 0), column)
        if column.kind == "category":
            values = category_values([*column.categories, *[None] * column.has_other], kind)
            slots = part[:, : len(column.categories)] if self.named else part
            return as_type(values.take(pa.array(slots.argmax(axis=1))), kind)
        if column.kind == "characters":
            characters = CharacterCodes(column)
            return as_type(characters.texts(characters.most_likely(part)), kind)
        with np.errstate(over="ignore"):  # an overflow is clipped to the type's range
            units = part * np.array(column.scale) + np.array(column.center)
        if column.kind == "text":
            return as_type(column.encoder.decode(units, decoded_type(kind)), kind)
        if self.bounded:
            units = np.clip(units, column.low, column.high)
        if column.kind == "vector":
            flat = _numbers(on_grid(units, column.decimals).reshape(-1), kind.value_type)
            if pa.types.is_fixed_size_list(kind):
                return pa.FixedSizeListArray.from_arrays(flat, column.size)
            return pa.FixedSizeListArray.from_arrays(flat, column.size).cast(kind)
        return _numbers(on_grid(units[:, 0], column.decimals), kind, column.origin)


def _output_slices(where: Layout) -> dict[str, slice]:
    slices: dict[str, slice] = {}
    start = 0
    for column, width in zip(where.columns, where.output_widths, strict=True):
        slices[column.name] = slice(start, start + width)
        start += width
    return slices


def spelled_booleans(truth: pa.Array, column: Column) -> pa.Array:
    """Return booleans in the texts of the training table."""
    if column.text_format is None or column.text_format.booleans is None:
        return truth
    false, true = column.text_format.booleans
    return pc.if_else(truth, true, false)


def _constant(column: Column, kind: pa.DataType, rows: int) -> pa.Array:
    if column.kind in ("boolean", "category", "characters"):
        values = category_values([column.mode], kind)
        return as_type(values.take(pa.array(np.zeros(rows, int))), kind)
    values = np.tile(np.array(column.low), (rows, 1))
    if column.kind == "vector":
        flat = _numbers(values.reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, column.size).cast(kind)
    return _numbers(values[:, 0], kind, column.origin)


def as_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values as a type, which may be a dictionary type."""
    return (
        values.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else values.cast(kind)
    )


def _numbers(
    values: npt.NDArray[np.float64], kind: pa.DataType, origin: str | None = None
) -> pa.Array:
    if origin is not None and not pa.types.is_floating(kind):
        return sums(values, Fraction(origin), kind)
    if origin is not None:
        values = values + float(Fraction(origin))
    if pa.types.is_floating(kind):
        # Values beyond a narrow float's range are clipped, and never infinite.
        limit = float(np.finfo(kind.to_pandas_dtype()).max)
        narrow = np.clip(values, -limit, limit).astype(kind.to_pandas_dtype())
        return pa.array(narrow + narrow.dtype.type(0))  # −0 becomes 0
    if pa.types.is_decimal(kind):
        return _decimals(values, kind)
    if pa.types.is_date64(kind):
        values = np.rint(values / DAY) * DAY
    storage: Any = np.int64
    if pa.types.is_integer(kind):
        storage = kind.to_pandas_dtype()
    elif kind.bit_width == 32:
        storage = np.int32
    return pa.array(_rounded(values, storage)).cast(kind)


def _rounded(values: npt.NDArray[np.float64], storage: Any) -> npt.NDArray[Any]:
    bounds = np.iinfo(storage)
    low, high = float(bounds.min), float(bounds.max)
    if high > bounds.max:  # float(2**63 - 1) rounds up to 2**63, which would overflow
        high = float(np.nextafter(high, 0))
    return np.clip(np.rint(values), low, high).astype(storage)


def _decimals(values: npt.NDArray[np.float64], kind: pa.DataType) -> pa.Array:
    limit = (10.0 ** (kind.precision - kind.scale)) * (1 - 1e-12)
    bounded = np.clip(values, -limit, limit)
    return pa.array(bounded).cast(kind, safe=False)


def residual_fields(where: Layout) -> list[pa.Field]:
    """Return a field `<name>_residual` for each varying column: float64, or a list of them."""
    fields = []
    for column in where.columns:
        vector = column.kind == "vector"
        kind = pa.list_(pa.float64(), column.size) if vector else pa.float64()
        fields.append(pa.field(f"{column.name}_residual", kind))
    return fields


def residual_arrays(
    inverse: InverseColumns, batch: pa.RecordBatch, cells: Cells, outputs: AnyFloats
) -> list[pa.Array]:
    """Return the residual of each varying column, null where the cell is missing.

    For a number it is value − reconstruction, as in the table (dates in days, other times in
    seconds). For a boolean or category it is 1 − the probability of the actual value, for a text
    as vectors the distance of these, and as characters the mean over them of 1 − the probability.

    Args:
        inverse: with the training table's types.
        batch: `n_rows` rows with every varying column, as read by the model.
        cells: the same rows `(n_rows, n_cells)`.
        outputs: the decoder's outputs `(n_rows, n_outputs)`.
    """
    layout = inverse.layout
    codes = cells[:, layout.numbers :]
    arrays = []
    for column in layout.numeric:
        if column.kind == "text":
            difference = inverse.part(column, cells) - inverse.part(column, outputs)
            lengths = np.linalg.norm(difference * np.array(column.scale), axis=1)
            arrays.append(_nullable(lengths))
            continue
        reconstruction = inverse.column(column, outputs)
        arrays.append(_difference(column, batch.column(column.name), reconstruction))
    for position, column in enumerate(layout.boolean + layout.category):
        part = inverse.part(column, outputs).astype(np.float64)
        residual = _of_boolean if column.kind == "boolean" else _of_category
        arrays.append(_nullable(residual(codes[:, position], part)))
    position = layout.booleans + len(layout.category)
    for column in layout.characters:
        part = inverse.part(column, outputs).astype(np.float64)
        texts = codes[:, position : position + column.length]
        arrays.append(_nullable(_of_characters(texts, part)))
        position += column.length
    return arrays


def _difference(column: Column, actual: pa.Array, reconstruction: pa.Array) -> pa.Array:
    if column.kind == "vector":
        values = vector_values(actual, column.size)
        reconstructed = vector_values(reconstruction, column.size)
        assert values is not None, "its length was checked when it was read"
        assert reconstructed is not None, "the inverse has the vectors' length"
        return pa.FixedSizeListArray.from_arrays(
            _nullable((values - reconstructed).reshape(-1)), column.size
        )
    if column.origin is not None:
        origin = Fraction(column.origin)
        residual = differences(actual, origin) - differences(reconstruction, origin)
    else:
        residual = _minus(actual, reconstruction)
    return _nullable(residual * _unit(parse_type(column.type)))


def _minus(actual: pa.Array, reconstruction: pa.Array) -> Floats:
    """Return the differences `(n_rows,)`, each rounded once; NaN where a value is missing."""
    known = pc.and_(actual.is_valid(), reconstruction.is_valid())
    values, others = (number_values(array.filter(known)) for array in (actual, reconstruction))
    if values.dtype.kind in "iu" and others.dtype.kind in "iu":
        high, low = (_halves(values) - _halves(others)).T
        residual = high * 2.0**32 + low
    else:
        residual = values.astype(np.float64) - others
    differences = np.full(len(actual), np.nan)
    differences[known.to_numpy(zero_copy_only=False)] = residual
    return differences


def _halves(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the upper and lower 32 bits of integers `(n_rows, 2)`.

    A float has fewer than 64 bits, and the difference of two such integers may overflow.
    """
    wide = values.astype(np.uint64 if values.dtype == np.uint64 else np.int64)
    return np.stack([(wide >> 32).astype(np.int64), (wide & 0xFFFFFFFF).astype(np.int64)], axis=1)


def _of_boolean(codes: Cells, logits: Floats) -> Floats:
    truth = 1 / (1 + np.exp(-np.clip(logits[:, 0], -500, 500)))
    residual: Floats = np.abs(codes - truth)
    return residual


def _of_category(codes: Cells, logits: Floats) -> Floats:
    """Return 1 − the softmax probability of the actual value; 1 for an unseen value."""
    from scipy.special import softmax

    slots = np.nan_to_num(codes).clip(min=0).astype(np.int64)
    probability = softmax(logits, axis=1)[np.arange(len(codes)), slots]
    residual = np.where(codes < 0, 1.0, 1 - probability)
    return np.where(np.isnan(codes), np.nan, residual)


def _of_characters(codes: Cells, logits: Floats) -> Floats:
    """Return 1 − the mean probability of a text's characters `(n_rows,)`."""
    each = _of_category(codes.reshape(-1), logits.reshape(codes.size, -1)).reshape(codes.shape)
    observed = (~np.isnan(each)).sum(axis=1)
    sums: Floats = np.nansum(each, axis=1)
    return np.where(observed > 0, sums / observed.clip(min=1), np.nan)


def _unit(kind: pa.DataType) -> float:
    if pa.types.is_date64(kind):
        return 1 / DAY
    return SECONDS.get(getattr(kind, "unit", ""), 1.0)


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values + 0.0, mask=~np.isfinite(values))  # −0 becomes 0
