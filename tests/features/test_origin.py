"""Numbers whose spread a float64 would lose: scaled, statistics and inverse to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from aecli.features.inverse import InverseColumns, residual_arrays
from aecli.features.reader import FAR, CellReader
from aecli.schema.model_spec import Column
from aecli.schema.options import ColumnOptions
from aecli.table.column_plan import describe_columns
from aecli.table.source import open_source

TABLE = [
    (pa.int64(), 2**53),
    (pa.int64(), 4 * 10**18),
    (pa.int64(), 2**63 - 60),
    (pa.int64(), -(2**63)),
    (pa.uint64(), 2**63),
    (pa.uint64(), 2**64 - 60),
    (pa.duration("ns"), 2**62),
    (pa.timestamp("ns"), 1_700_000_000 * 10**9),
    (pa.decimal64(18, 2), 10**17),
    (pa.decimal128(20, 2), 12345678901234567800),
    (pa.decimal128(38, 0), -(10**37)),
    (pa.decimal128(38, 38), 10**38 - 60),
    (pa.decimal256(76, 10), 10**75),
]


def numbers(kind: pa.DataType, steps: list[int | None]) -> pa.Array:
    if pa.types.is_decimal(kind):
        texts = [None if step is None else Decimal(f"{step}e{-kind.scale}") for step in steps]
        return pa.array(texts, kind)
    return pa.array(steps, kind if pa.types.is_integer(kind) else pa.int64()).cast(kind)


def fitted(array: pa.Array, **options: Any) -> Column:
    (column,) = describe_columns(
        open_source(pa.table({"v": array})), ColumnOptions(columns=["v"], **options)
    ).columns
    return column


def scaled(column: Column, array: pa.Array) -> np.ndarray:
    batch = pa.record_batch({"v": array})
    return CellReader([column], nonfinite="missing").read(batch).astype(np.float64)


@pytest.mark.parametrize("scale", ["auto", "minmax", "robust", "none"])
@pytest.mark.parametrize("distinct", [2, 50])
@pytest.mark.parametrize(("kind", "base"), TABLE, ids=str)
def test_every_value_is_told_apart_and_comes_back(
    kind: pa.DataType, base: int, distinct: int, scale: str
) -> None:
    array = numbers(kind, [*(base + i * 7 % distinct for i in range(100)), None])
    column = fitted(array, scale=scale)
    assert not column.constant
    cells = scaled(column, array)
    assert len(np.unique(cells[:-1])) == distinct
    assert np.isnan(cells[-1, 0])
    back = InverseColumns([column]).column(column, cells[:-1])
    assert back.equals(array[:-1])


@pytest.mark.parametrize(("kind", "base"), TABLE, ids=str)
def test_a_constant_comes_back_to_the_last_digit(kind: pa.DataType, base: int) -> None:
    array = numbers(kind, [None, *[base + 1] * 5])
    column = fitted(array)
    assert column.constant
    assert InverseColumns([column]).column(column, np.empty((5, 0))).equals(array[1:])


@pytest.mark.parametrize(("kind", "base"), TABLE, ids=str)
def test_statistics_are_those_of_the_differences(kind: pa.DataType, base: int) -> None:
    steps = [base + i for i in (3, 0, 9, 0)]
    column = fitted(numbers(kind, steps))
    unit = Fraction(10) ** kind.scale if pa.types.is_decimal(kind) else 1
    assert column.origin is not None
    origin = Fraction(column.origin) * unit
    wanted = [float((step - origin) / unit) for step in (base, base + 9, base + 3)]
    assert [column.low[0], column.high[0], column.mean[0]] == pytest.approx(wanted)
    assert column.scale[0] == pytest.approx(float(np.std([3, 0, 9, 0]) / unit))


def test_only_training_rows_count_and_the_first_may_be_missing() -> None:
    values = pa.array([0, None, 2**60 + 5, 2**60 + 7, 2**61])
    plan = describe_columns(
        open_source(pa.table({"v": values})),
        ColumnOptions(),
        train_rows=np.array([False, True, True, True, False]),
    )
    (column,) = plan.columns
    assert (column.origin, column.low, column.high) == (str(2**60 + 5), [0.0], [2.0])
    assert (column.observed, column.missing) == (2, 1)


@pytest.mark.parametrize(
    "later",
    [
        pa.array([0, -(2**63), 2**63 - 1]),
        pa.array([0, 1, 2**64 - 1], pa.uint64()),
        pa.array([0.0, -1.7e308, 1.7e308]),
        pa.array([0, -1, 1], pa.int8()),
        pa.array([Decimal(0), Decimal(-(10**75)), Decimal(10**75)], pa.decimal256(76, 0)),
    ],
    ids=str,
)
def test_a_later_table_of_another_magnitude_is_as_far_as_can_be(later: pa.Array) -> None:
    column = fitted(pa.array([4 * 10**18 + i for i in range(9)]))
    assert set(np.abs(scaled(column, later)[:, 0])) == {FAR}


@pytest.mark.parametrize(
    "later",
    [
        pa.array([2**60, 2**60 + 1, 2**60 + 2], pa.uint64()),
        pa.array([Decimal(2**60), Decimal(2**60 + 1), Decimal(2**60 + 2)], pa.decimal128(38, 4)),
        pa.array([2**60, 2**60 + 1, 2**60 + 2]).dictionary_encode(),
    ],
    ids=str,
)
def test_the_same_values_of_another_type_are_the_same_cells(later: pa.Array) -> None:
    values = pa.array([2**60, 2**60 + 1, 2**60 + 2])
    column = fitted(values)
    assert np.array_equal(scaled(column, later), scaled(column, values))


@pytest.mark.parametrize(("kind", "base"), TABLE, ids=str)
def test_residuals_are_differences_of_the_last_digits(kind: pa.DataType, base: int) -> None:
    array = numbers(kind, [base, base + 4, base + 2])
    column = fitted(array)
    outputs = np.zeros((3, 1))  # the mean
    batch = pa.record_batch({"v": array})
    (found,) = residual_arrays(InverseColumns([column]), batch, scaled(column, array), outputs)
    unit = float(10.0**kind.scale) if pa.types.is_decimal(kind) else 1.0
    if pa.types.is_temporal(kind):
        unit = 1e9
    assert found.to_pylist() == pytest.approx([-2 / unit, 2 / unit, 0], abs=1e-12 / unit)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array([2**60, 2**60 + 2]), f"number: standardised, as the difference from {2**60}"),
        (
            pa.array([0, 2**60]),
            "number: standardised; computed as float64: digits beyond the 15th are kept in copied "
            "cells only",
        ),
        (
            pa.array([Decimal("0.5"), Decimal("98765432109876.55")], pa.decimal128(38, 4)),
            "number: standardised; computed as float64: digits beyond the 15th are kept in copied "
            "cells only",
        ),
        (pa.array([Decimal("0.5"), Decimal("9.5")], pa.decimal128(38, 2)), "number: standardised"),
        (pa.array([0, 2**50]), "number: standardised"),
    ],
)
def test_the_reason_says_what_becomes_of_the_digits(values: pa.Array, reason: str) -> None:
    assert fitted(values).reason == reason


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.7e308, -1.7e308, 0.0, 1e308]),
        pa.array([1.7e308, float(np.nextafter(1.7e308, 0))]),
        pa.array([5e-324, 0.0, 1e-323]),
        pa.array([-0.0, 5e-324]),
        pa.array([1e16, 1e16 + 2]),
        pa.array(np.array([65504, -65504, 0], np.float16)),
        pa.array(np.array([6e-8, 0, 1.2e-7], np.float16)),
        pa.array(np.array([3.4e38, -3.4e38, 0], np.float32)),
        pa.array(np.array([1e-45, 0, 3e-45], np.float32)),
        pa.array([-(2**63), 2**63 - 1]),
        pa.array([0, 2**64 - 1], pa.uint64()),
        pa.array([Decimal(1 - 10**76), Decimal(10**76 - 1)], pa.decimal256(76, 0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", ["auto", "minmax", "robust"])
def test_the_ends_of_a_type_are_told_apart_and_stay_finite(values: pa.Array, scale: str) -> None:
    column = fitted(values, scale=scale)
    assert not column.constant
    cells = scaled(column, values)
    assert np.isfinite(cells).all()
    assert len(np.unique(cells)) == len(values)
    far = InverseColumns([column]).column(column, np.array([[1e9], [-1e9]]))
    assert all(np.isfinite(float(value)) for value in far.to_pylist())
