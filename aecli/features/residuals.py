"""Say how far a model's answer is from each cell, in the column's own units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyFloats, Floats
from aecli.features.inverse import DAY, InverseColumns
from aecli.features.layout import Layout
from aecli.features.reader import Cells
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import number_values, parse_type, vector_values

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def residual_fields(where: Layout) -> list[pa.Field]:
    """Return a field `<name>_residual` for each column that varies: float64, or a list of them."""
    fields = []
    for column in where.columns:
        vector = column.kind == "vector"
        kind = pa.list_(pa.float64(), column.size) if vector else pa.float64()
        fields.append(pa.field(f"{column.name}_residual", kind))
    return fields


def residual_arrays(
    restorer: InverseColumns, batch: pa.RecordBatch, cells: Cells, outputs: AnyFloats
) -> list[pa.Array]:
    """Return the residual of each column that varies, null where the cell is missing.

    Of a number: value − reconstruction, both as they stand in the table (dates in days, other times
    in seconds). Of a boolean or category: 1 − the probability of the actual value.

    Args:
        restorer: of the training table's types.
        batch: `n_rows` rows with every column that varies, as the model reads them.
        cells: the same rows `(n_rows, n_cells)`.
        outputs: the decoder's outputs `(n_rows, n_outputs)`.
    """
    where = restorer.layout
    codes = cells[:, where.numbers :]
    arrays = []
    for column in where.numeric:
        found = restorer.column(column, outputs)
        arrays.append(_difference(column, batch.column(column.name), found))
    for position, column in enumerate(where.boolean + where.category):
        part = restorer.part(column, outputs).astype(np.float64)
        surprise = _of_boolean if column.kind == "boolean" else _of_category
        arrays.append(_nullable(surprise(codes[:, position], part)))
    return arrays


def _difference(column: Column, actual: pa.Array, answer: pa.Array) -> pa.Array:
    if column.kind == "vector":
        values = vector_values(actual, column.size)
        answers = vector_values(answer, column.size)
        assert values is not None, "its length was checked when it was read"
        assert answers is not None, "the restorer gives every vector its length"
        return pa.FixedSizeListArray.from_arrays(
            _nullable((values - answers).reshape(-1)), column.size
        )
    return _nullable(_minus(actual, answer) * _unit(parse_type(column.type)))


def _minus(actual: pa.Array, answer: pa.Array) -> Floats:
    """Return the differences `(n_rows,)`, each rounded once; NaN where a cell is missing."""
    known = pc.and_(actual.is_valid(), answer.is_valid())
    values, answers = (number_values(array.filter(known)) for array in (actual, answer))
    if values.dtype.kind in "iu" and answers.dtype.kind in "iu":
        high, low = (_halves(values) - _halves(answers)).T
        found = high * 2.0**32 + low
    else:
        found = values.astype(np.float64) - answers
    differences = np.full(len(actual), np.nan)
    differences[known.to_numpy(zero_copy_only=False)] = found
    return differences


def _halves(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the upper and lower 32 bits of integers `(n_rows, 2)`.

    A float has no room for 64 bits, and the difference of two such integers may overflow.
    """
    wide = values.astype(np.uint64 if values.dtype == np.uint64 else np.int64)
    return np.stack([(wide >> 32).astype(np.int64), (wide & 0xFFFFFFFF).astype(np.int64)], axis=1)


def _of_boolean(codes: Cells, logits: Floats) -> Floats:
    truth = 1 / (1 + np.exp(-np.clip(logits[:, 0], -500, 500)))
    surprise: Floats = np.abs(codes - truth)
    return surprise


def _of_category(codes: Cells, logits: Floats) -> Floats:
    """Return 1 − the actual slot's share of the softmax; 1 for a value without a slot."""
    from scipy.special import softmax

    slots = np.nan_to_num(codes).clip(min=0).astype(np.int64)
    probability = softmax(logits, axis=1)[np.arange(len(codes)), slots]
    surprise = np.where(codes < 0, 1.0, 1 - probability)
    return np.where(np.isnan(codes), np.nan, surprise)


def _unit(kind: pa.DataType) -> float:
    if pa.types.is_date64(kind):
        return 1 / DAY
    return SECONDS.get(getattr(kind, "unit", ""), 1.0)


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
