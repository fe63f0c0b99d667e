"""Format the bounds of a column's training values in the column's own units."""

from __future__ import annotations

import re
from fractions import Fraction

import pyarrow as pa

from aecli.schema.model_spec import Column
from aecli.table.arrow_types import parse_type


def bound_text(column: Column, value: float) -> str:
    """Return a bound of a number or time column, such as its `low`: `2026-01-31` or `0.25`."""
    kind = parse_type(column.type)
    exact = Fraction(value) + Fraction(column.origin or 0)
    if pa.types.is_temporal(kind):
        return _temporal_text(round(exact), kind)
    if (column.origin is not None and exact.denominator == 1) or pa.types.is_integer(kind):
        return str(round(exact))
    return f"{float(exact):.6g}"


def _temporal_text(steps: int, kind: pa.DataType) -> str:
    array = pa.array([steps], pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    if pa.types.is_duration(kind):
        return str(array[0])
    text = str(array.cast(pa.string())[0])
    return re.sub(r"\.0+(?=\D|$)", "", text).removesuffix(" 00:00:00")
