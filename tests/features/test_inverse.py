import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from aecli.features.inverse import InverseColumns
from aecli.schema.model_spec import Column
from tests.columns import boolean, category, number, vector


def reconstructed(column: Column, *outputs: list[float]) -> pa.Array:
    return InverseColumns([column]).arrays(np.array(outputs, dtype=np.float32))[0]


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("double", [2.5, -300.0]),
        ("float", [2.5, -300.0]),
        ("int64", [2, -300]),
        ("int8", [2, -128]),
        ("uint8", [2, 0]),
        ("decimal128(6, 2)", [Decimal("2.50"), Decimal("-300.00")]),
    ],
)
def test_numbers_come_back_in_their_own_type_and_unit(type_: str, expected: list[object]):
    array = reconstructed(number("x", center=2, scale=2, type=type_), [0.25], [-151])
    assert array.to_pylist() == expected


def test_integers_at_the_end_of_int64_do_not_overflow():
    array = reconstructed(number("x", scale=1e19, type="int64"), [1.0], [-1.0])
    assert array[0].as_py() > 9.2e18
    assert array[1].as_py() == -(2**63)


def test_half_floats_stay_finite():
    array = reconstructed(number("x", scale=1e9, type="halffloat"), [1.0])
    assert np.isfinite(array[0].as_py())


def test_dates_and_times_come_back_as_such():
    day = Column(name="d", kind="time", type="date32[day]", center=[1.0], scale=[10.0], reason="")
    assert reconstructed(day, [0.12]).to_pylist() == [dt.date(1970, 1, 3)]
    moment = day.model_copy(update={"type": "timestamp[s, tz=UTC]"})
    assert reconstructed(moment, [0.9]).to_pylist() == [
        dt.datetime(1970, 1, 1, 0, 0, 10, tzinfo=dt.UTC)
    ]


def test_a_category_is_the_likeliest_and_keeps_its_type():
    array = reconstructed(category("c", "x", "y", type="large_string"), [0.1, 3.0], [2.0, -1.0])
    assert array.to_pylist() == ["y", "x"]
    assert array.type == pa.large_string()


def test_the_other_slot_comes_back_as_null():
    assert reconstructed(category("c", "x", "y", has_other=True), [0.0, 1.0, 2.0]).to_pylist() == [
        None
    ]


def test_booleans_are_true_above_even_odds():
    assert reconstructed(boolean("b"), [0.1], [-0.1]).to_pylist() == [True, False]


def test_vectors_come_back_element_by_element():
    array = reconstructed(vector("v", center=[1, 2], scale=[2, 1]), [0.5, 1.0])
    assert array.to_pylist() == [[2.0, 3.0]]


def test_constant_columns_come_back_as_their_value():
    columns = [
        number("n", constant=True, low=[7.0], type="int32"),
        category("c", "only", constant=True),
        number("x"),
    ]
    arrays = InverseColumns(columns).arrays(np.zeros((2, 1), dtype=np.float32))
    assert [array.to_pylist() for array in arrays] == [[7, 7], ["only", "only"], [0.0, 0.0]]


def test_columns_come_back_in_the_order_of_the_table():
    columns = [category("c", "x", "y"), number("n"), boolean("b")]
    inverse = InverseColumns(columns)
    arrays = inverse.arrays(np.array([[5, 1, 0, 1]], dtype=np.float32))
    assert inverse.schema.names == ["c", "n", "b"]
    assert [array[0].as_py() for array in arrays] == ["y", 5.0, True]
