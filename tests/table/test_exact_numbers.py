"""Differences and sums in integer arithmetic, against Python's own exact numbers."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.table.exact_numbers import differences, first_value, needs_origin, sums

TYPES = [
    *(pa.int32(), pa.int64(), pa.uint64(), pa.timestamp("ns"), pa.duration("us")),
    *(pa.decimal32(9, 2), pa.decimal64(18, 3), pa.decimal128(20, 2), pa.decimal128(38, 0)),
    *(pa.decimal128(38, 38), pa.decimal128(18, -3), pa.decimal256(76, 0), pa.decimal256(76, 40)),
]


def limits(kind: pa.DataType) -> tuple[int, int]:
    if pa.types.is_decimal(kind):
        return 1 - 10**kind.precision, 10**kind.precision - 1
    bits = np.iinfo(kind.to_pandas_dtype() if pa.types.is_integer(kind) else np.int64)
    return int(bits.min) + (not pa.types.is_integer(kind)), int(bits.max)


def array(steps: list[int | None], kind: pa.DataType) -> pa.Array:
    """Return the array of these counts of the type's smallest unit."""
    if not pa.types.is_decimal(kind):
        return pa.array(steps, kind if pa.types.is_integer(kind) else pa.int64()).cast(kind)
    with localcontext(prec=100):
        return pa.array([s if s is None else Decimal(s).scaleb(-kind.scale) for s in steps], kind)


def unit(kind: pa.DataType) -> Fraction:
    return Fraction(10) ** kind.scale if pa.types.is_decimal(kind) else Fraction(1)


@given(st.data())
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_differences_are_exact_and_sums_undo_them(kind: pa.DataType, data: st.DataObject) -> None:
    low, high = limits(kind)
    origin = data.draw(st.integers(low, high) | st.sampled_from([low, high]))
    near = st.integers(max(low, origin - 2**50), min(high, origin + 2**50))
    steps = data.draw(st.lists(near, min_size=1, max_size=5))
    values = array([None, *steps], kind)
    found = differences(values, origin / unit(kind))
    assert np.isnan(found[0])
    wanted = [float((step - origin) / unit(kind)) for step in steps]
    assert found[1:].tolist() == pytest.approx(wanted, rel=1e-15, abs=0)
    assert sums(found[1:], origin / unit(kind), kind).equals(values[1:])


@given(st.data())
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_far_values_have_a_rounded_difference(kind: pa.DataType, data: st.DataObject) -> None:
    low, high = limits(kind)
    origin = data.draw(st.integers(-(10**80), 10**80)) / unit(kind)
    steps = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=5))
    wanted = [float(step / unit(kind) - origin) for step in steps]
    assert differences(array(steps, kind), origin).tolist() == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("origin", ["lowest", "zero", "highest", "beyond"])
def test_sums_end_at_the_ends_of_the_type(kind: pa.DataType, origin: str) -> None:
    low, high = limits(kind)
    step = {"lowest": low, "zero": 0, "highest": high, "beyond": 10**90}[origin]
    found = sums(np.array([-1e300, 1e300]), step / unit(kind), kind)
    found.validate(full=True)
    values = differences(found, Fraction(0))
    ends = [float(end / unit(kind)) for end in (low, high)]
    assert values.tolist() == pytest.approx(ends, abs=1e-15 * (ends[1] - ends[0]))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([2**53 + 3, None], pa.int64()), [3.5, np.nan]),
        (pa.array([2.0**53 + 4, np.nan, None]), [4.5, np.nan, np.nan]),
        (pa.array([2**53], pa.uint64()).dictionary_encode(), [0.5]),
        (pa.array([Decimal(2**53)], pa.decimal256(60, 0)), [0.5]),
        (pa.array([7], pa.int8()), [7.5 - 2**53]),
        (pa.nulls(2, pa.int64()), [np.nan, np.nan]),
        (pa.array([], pa.decimal128(20, 2)), []),
    ],
    ids=["int64", "double", "dictionary", "decimal", "int8", "nulls", "empty"],
)
def test_values_of_another_type_than_the_origin(values: pa.Array, wanted: list[float]) -> None:
    found = differences(values, Fraction(2**53) - Fraction(1, 2))
    assert np.array_equal(found, wanted, equal_nan=True)


def test_a_slice_is_read_where_it_starts() -> None:
    values = pa.array([Decimal("1.50"), None, Decimal("3.25"), Decimal("4.00")])
    assert differences(values.slice(2), Fraction("3.00")).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array([None, Decimal("-0.0000000001")], pa.decimal128(38, 10)), "-0.0000000001"),
        (pa.array([Decimal(12_000)], pa.decimal128(5, -3)), "12000"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([10**18 + 1], pa.timestamp("ns", "UTC")), "1000000000000000001"),
        (pa.nulls(3, pa.int64()), None),
    ],
)
def test_the_first_value_is_written_with_all_digits(values: pa.Array, text: str | None) -> None:
    assert first_value(values) == text


@pytest.mark.parametrize(
    ("kind", "low", "high", "needed"),
    [
        (pa.int64(), 4e18, 4e18 + 2**20, True),
        (pa.int64(), 0.0, 4e18, False),
        (pa.int64(), 2.0**53 - 1, 2.0**53 - 1, False),
        (pa.int64(), 2.0**53, 2.0**53, True),
        (pa.int32(), 2e9, 2e9, False),
        (pa.float64(), 1e300, 1e300, False),
        (pa.decimal128(38, 10), 0.0, 0.0, False),
        (pa.decimal128(20, 2), 99.0, 101.0, False),
        (pa.decimal128(20, 2), 1e12, 1e12 + 0.25, True),
        (pa.timestamp("ns"), 1.7e18, 1.7e18 + 1e6, True),
        (pa.timestamp("us"), 1.7e15, 1.7e15, False),
        (pa.int64(), np.inf, -np.inf, False),
    ],
)
def test_an_origin_is_needed_where_float64_loses_the_spread(
    kind: pa.DataType, low: float, high: float, needed: bool
) -> None:
    assert needs_origin(kind, low, high) is needed
