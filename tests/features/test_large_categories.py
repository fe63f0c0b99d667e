"""Whole numbers that no int64 holds, as categories and as classes of the label."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from aecli.errors import DataError
from aecli.features.inverse import InverseColumns
from aecli.features.reader import CellReader
from aecli.schema.model_spec import Column
from aecli.schema.options import ColumnOptions
from aecli.table.column_match import match_columns
from aecli.table.column_plan import ColumnPlan, plan_columns
from aecli.table.labels import label_codes, read_labels
from aecli.table.source import open_source

KINDS = [
    (pa.uint64(), [2**64 - 1, 2**64 - 2, 1]),
    (pa.int64(), [2**63 - 1, 2**63 - 2, -(2**63)]),
    (pa.decimal64(18, 0), [10**17 + 1, 10**17 + 2, -5]),
    (pa.decimal128(38, 0), [10**37 + 1, 10**37 + 2, -5]),
    (pa.decimal256(76, 2), [10**70 + 1, 10**70 + 2, -5]),
    (pa.dictionary(pa.int8(), pa.uint64()), [2**64 - 1, 2**64 - 2, 1]),
]


def array(values: list[int | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return array(values, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else Decimal(value) for value in values], kind)
    return pa.array(values, kind)


def planned(values: pa.Array) -> ColumnPlan:
    table = pa.table({"v": values, "x": np.arange(len(values)) / 7})
    return plan_columns(open_source(table), ColumnOptions(categorical=["v"]))


def category_of(values: pa.Array) -> Column:
    return next(column for column in planned(values).columns if column.name == "v")


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=str)
def test_categories_are_these_very_numbers(kind: pa.DataType, values: list[int]) -> None:
    first, second, third = values
    cells = array([first, second, first, None, third, first, second], kind)
    column = category_of(cells)
    assert (column.kind, column.categories) == ("category", [first, second, third])
    codes = CellReader([column]).read(pa.record_batch({"v": cells}))[:, 0]
    assert np.array_equal(codes, [0, 1, 0, np.nan, 2, 0, 1], equal_nan=True)
    back = InverseColumns([column]).column(column, np.eye(3)[[0, 1, 2]])
    assert back.type == kind
    assert back.cast(cells.type).to_pylist() == array(values, kind).to_pylist()


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=str)
def test_a_constant_category_comes_back(kind: pa.DataType, values: list[int]) -> None:
    cells = array([values[0]] * 4, kind)
    column = category_of(cells)
    assert column.constant
    assert InverseColumns([column]).column(column, np.empty((4, 0))).to_pylist() == (
        cells.to_pylist()
    )


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=str)
def test_classes_are_these_very_numbers(kind: pa.DataType, values: list[int]) -> None:
    cells = array([*values, None, values[0]], kind)
    label, codes = read_labels(open_source(pa.table({"y": cells})), "y")
    assert label.classes == sorted(values)
    assert label.counts == [2 if value == values[0] else 1 for value in label.classes]
    assert codes.tolist() == label_codes(cells, label).tolist()
    assert [label.classes[code] if code >= 0 else None for code in codes] == [
        *values, None, values[0],
    ]  # fmt: skip
    texts = pa.array([str(value) for value in values])
    assert label_codes(texts, label).tolist() == codes[:3].tolist()


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=str)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_text_files_match_the_categories_of_a_model(
    kind: pa.DataType, values: list[int], suffix: str, tmp_path
) -> None:
    plan = planned(array([values[0], *values], kind))
    lines = {
        "csv": ["v,x", *(f"{value},1.5" for value in values)],
        "jsonl": [f'{{"v": {value}, "x": 1.5}}' for value in values],
    }[suffix]
    (tmp_path / f"later.{suffix}").write_text("\n".join([*lines, ""]))
    source, _ = match_columns(open_source(tmp_path / f"later.{suffix}"), plan)
    (batch,) = source.batches()
    column = next(column for column in plan.columns if column.name == "v")
    codes = CellReader([column]).read(batch)[:, 0]
    assert [column.categories[int(code)] for code in codes] == values


def test_decimals_with_fractions_are_neither_categories_nor_classes() -> None:
    cells = pa.array([Decimal("1.00"), Decimal("2.50"), Decimal("1.00")])
    with pytest.raises(DataError, match=r"not integers, such as 2\.5"):
        category_of(cells)
    with pytest.raises(DataError, match=r"contains 2\.5: it looks like a number"):
        read_labels(open_source(pa.table({"y": cells})), "y")
