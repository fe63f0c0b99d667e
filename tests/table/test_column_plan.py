from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from aecli.errors import DataError, UsageError
from aecli.features.text.columns import with_text_columns
from aecli.schema.model_spec import Column
from aecli.schema.options import ColumnOptions
from aecli.table.column_plan import ColumnPlan, describe_columns, plan_columns
from aecli.table.source import open_source

RNG = np.random.default_rng(0)


def plan(table: Any, rows: Any = None, /, **options: Any) -> ColumnPlan:
    mask = None if rows is None else np.array(rows)
    chosen = ColumnOptions(**options)
    found = describe_columns(open_source(pa.table(table)), chosen, train_rows=mask)
    return with_text_columns(found, chosen)


def column(values: Any, rows: Any = None, /, **options: Any) -> Column:
    found = plan({"c": values}, rows, **options)
    assert not found.left_out
    return found.columns[0]


def left_out(table: Any, /, **options: Any) -> dict[str, str]:
    return {item.name: item.reason for item in plan(table, **options).left_out}


def scaled(values: Any, /, **options: Any) -> np.ndarray:
    found = column(values, **options)
    return (np.asarray(values, float) - found.center) / found.scale


def test_a_number_is_standardised_over_the_training_rows() -> None:
    found = column([1.0, 3.0, None, 1e9], [True, True, True, False])
    assert (found.center, found.scale) == ([2.0], [1.0])
    assert (found.low, found.high, found.mean) == ([1.0], [3.0], [2.0])
    assert (found.observed, found.missing, found.has_missing) == (2, 1, True)


@pytest.mark.parametrize(
    ("scale", "center", "width"),
    [("standard", 4, 3), ("minmax", 1, 8), ("robust", 3, 3), ("none", 0, 1), ("auto", 4, 3)],
)
def test_each_scale_does_what_it_says(scale: str, center: float, width: float) -> None:
    values = [1.0, 2.0, 3.0, 5.0, 9.0]
    found = column(values, scale=scale)
    if width == 3 and scale != "robust":
        width = float(np.std(values))
    assert found.center == pytest.approx([center])
    assert found.scale == pytest.approx([width])


def test_robust_falls_back_to_the_deviation_without_a_spread_in_the_middle() -> None:
    found = column([0.0] * 9 + [10.0], scale="robust")
    assert (found.center, found.scale) == ([0.0], [3.0])


def test_times_count_in_their_own_unit_and_are_never_left_unscaled() -> None:
    days = [datetime.date(1970, 1, 2), datetime.date(1970, 1, 4)]
    found = column(days, scale="none")
    assert (found.kind, found.type) == ("time", "date32[day]")
    assert (found.center, found.scale) == ([2.0], [1.0])


@pytest.mark.parametrize(
    "values",
    [[1e300, -1e300, 5.0], [1e-310, 3e-310], [5e-324, 0.0], [1.7e308, -1.7e308], [1e-200, 2e-200]],
)
@pytest.mark.parametrize("scale", ["auto", "minmax", "robust"])
def test_extreme_numbers_get_a_finite_scale(values: list[float], scale: str) -> None:
    found = column(values, scale=scale)
    assert found.scale[0] > 0
    assert np.abs(scaled(values, scale=scale)).max() <= 2
    assert Column.model_validate_json(found.model_dump_json()) == found


def test_nan_is_missing_and_infinity_is_an_error_with_its_row() -> None:
    assert column([1.0, float("nan"), 2.0]).missing == 1
    with pytest.raises(DataError, match=r"'c' of .* infinite number in row 3") as error:
        column([1.0, 2.0, float("-inf")], [True, True, False])
    assert error.value.hint == "--nonfinite missing"


def test_infinity_is_missing_where_asked() -> None:
    found = plan({"c": [1.0, float("inf"), 3.0]}, nonfinite="missing")
    assert (found.columns[0].missing, found.columns[0].center) == (1, [2.0])
    assert found.notes == ("column 'c': 1 infinite numbers are treated as missing",)


def pixels(count: int, top: int, kind: str) -> dict[str, np.ndarray]:
    columns = {f"p{i}": RNG.integers(0, top + 1, 200).astype(kind) for i in range(count)}
    for values in columns.values():
        values[0] = top
    return columns


@pytest.mark.parametrize(
    ("columns", "top"),
    [
        (pixels(3, 255, "uint8"), 255),
        (pixels(3, 200, "uint8"), 255),
        (pixels(20, 16, "int64"), 16),
        (pixels(20, 1, "uint8"), 1),
    ],
)
def test_bytes_and_pixels_share_one_scale(columns: dict[str, np.ndarray], top: int) -> None:
    for found in plan(columns).columns:
        assert (found.center, found.scale) == ([0.0], [top])


@pytest.mark.parametrize(
    "columns",
    [
        pixels(15, 16, "int64"),
        pixels(20, 16, "float64"),
        pixels(20, 300, "int64"),
        {f"p{i}": pixels(1, i + 9, "int8")["p0"] for i in range(20)},
        {"age": pixels(1, 90, "uint8")["p0"], "hour": pixels(1, 23, "uint8")["p0"]},
    ],
)
def test_counts_and_ages_are_standardised(columns: dict[str, np.ndarray]) -> None:
    assert all(c.center[0] > 0 and "standardised" in c.reason for c in plan(columns).columns)


def test_pixels_among_other_numbers_are_scaled_by_themselves() -> None:
    found = plan({**pixels(20, 255, "uint8"), "x": RNG.normal(5, 1, 200), "0": np.full(200, 7)})
    reasons = {c.name: c.reason for c in found.columns}
    assert reasons["p0"] == "unsigned byte: scaled 0..1 with the other 19"
    assert reasons["x"] == "number: standardised"
    assert reasons["0"] == "constant"


def test_categories_are_the_most_frequent_in_order() -> None:
    found = column(["b", "a", *"cccc", None, "d", "a"], max_categories=2)
    assert (found.kind, found.categories, found.mode) == ("category", ["c", "a"], "c")
    assert (found.has_other, found.has_missing, found.distinct) == (True, True, 4)
    assert (found.observed, found.missing) == (8, 1)
    assert found.reason == "text with 4 values: the 2 most frequent, the others grouped as one"


@pytest.mark.parametrize(
    ("values", "kind", "categories"),
    [
        (pa.array(["x", "y", "y"]).dictionary_encode(), "category", ["y", "x"]),
        (pa.array([7, 5, 5]).dictionary_encode(), "category", [5, 7]),
        (pa.array([0.5, 1.5, 1.5]).dictionary_encode(), "number", []),
        (pa.array(["x", "y", "y"], pa.string_view()), "category", ["y", "x"]),
        (pa.array([True, False, True]), "boolean", []),
        (pa.array([1, 2, 2], pa.decimal128(5, 2)), "number", []),
        (pa.array([1, 2, 2], pa.time64("us")), "number", []),
    ],
)
def test_types_become_kinds(values: pa.Array, kind: str, categories: list[Any]) -> None:
    found = column(values)
    assert (found.kind, found.categories) == (kind, categories)


@pytest.mark.parametrize(
    ("values", "categories"),
    [([3, 1, 3], [3, 1]), ([True, False, True], [True, False]), ([3.0, None, 1.0, 3.0], [3, 1])],
)
def test_integers_become_categories_where_asked(values: list[Any], categories: list[Any]) -> None:
    found = column(values, categorical="c")
    assert (found.kind, found.categories) == ("category", categories)
    assert type(json.loads(found.model_dump_json())["categories"][0]) is type(categories[0])


def test_a_glob_makes_categories_of_what_can_be_one() -> None:
    found = plan({"n1": [1, 1, 2], "n2": [0.5, 1.5, 2.5]}, categorical="n*")
    assert [c.kind for c in found.columns] == ["category", "number"]


def test_fractions_are_no_categories() -> None:
    with pytest.raises(DataError, match=r"'c' contains numbers that are not integers, such as 0.5"):
        column([0.5, 1.0], categorical="c")
    with pytest.raises(DataError, match="only text, integers and booleans"):
        column([datetime.date(2020, 1, 1), None], categorical="c")


def test_a_vector_has_a_scale_for_each_element() -> None:
    rows = [[0.0, 10.0, 5.0], None, [2.0, None, 5.0], [4.0, 30.0, 5.0]]
    for kind in (pa.list_(pa.float32(), 3), pa.list_(pa.float64())):
        found = column(pa.array(rows, kind))
        assert (found.kind, found.size) == ("vector", 3)
        assert found.center == pytest.approx([2, 20, 5])
        assert found.scale == pytest.approx([np.std([0, 2, 4]), 10, 1])
        assert (found.observed, found.missing) == (2, 2)


def test_a_vector_of_bytes_is_scaled_to_one() -> None:
    values = RNG.integers(0, 256, (50, 30), np.uint8)
    found = column(pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 30))
    assert found.scale == [255.0] * 30
    assert found.reason == "vector of 30 unsigned bytes: scaled 0..1"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array([[1, 2], [3]]), "lists of different lengths: list<int64>"),
        (pa.array([[], []], pa.list_(pa.int8())), "empty lists: list<int8>"),
        (pa.array([["a"], ["b"]]), "list, but not of numbers: list<str"),
        (pa.array([{"a": 1}, None]), "type without numbers or categories: struct<a: int64>"),
        (pa.array([b"x", b"y"]), "type without numbers or categories: binary"),
        (pa.array([None, None]), "all values missing"),
        (pa.array([None, None], pa.float64()), "all values missing in the training rows"),
        (pa.array([None, None], pa.string()), "all values missing in the training rows"),
        (pa.array([None, None], pa.list_(pa.int8(), 2)), "all values missing in the training rows"),
    ],
)
def test_what_cannot_be_a_feature_is_left_out_with_its_type(values: pa.Array, reason: str) -> None:
    assert left_out({"c": values})["c"].startswith(reason)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([f"u{i}" for i in range(60)], "identifier: 60 values, which differ only in digits"),
        (
            [f"u{i // 2}" if i < 10 else f"u{i}" for i in range(200)],
            "identifier: 195 values, which differ only in digits",
        ),
        (
            ["".join(RNG.choice(list("0123456789abcdef"), 16)) for _ in range(200)],
            "identifier: 200 values without n-grams in common",
        ),
        (range(100), "row number: counts the rows from 0"),
        (range(1, 201), "row number: counts the rows from 1"),
    ],
)
def test_identifiers_are_left_out(values: Any, reason: str) -> None:
    columns = {"c": list(values)}
    assert left_out(columns) == {"c": reason}
    assert left_out(columns, columns="*") == {"c": reason}
    assert left_out(columns, columns="c") == {}


def test_texts_without_words_in_common_are_left_out_even_by_name():
    columns = {"c": [f"u{i}" for i in range(10)]}
    assert left_out(columns) == {"c": "identifier: 10 values, which differ only in digits"}
    assert "equal in the characters and words" in left_out(columns, columns="c")["c"]


WORDS = ("Old", "New", "Royal", "Thai", "Golden", "Blue", "Corner", "Garden", "House", "Café")
NAMES = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[:3]]


@pytest.mark.parametrize(
    ("values", "options", "kind", "reason"),
    [
        (NAMES, {}, "text", "text with 300 values: 64 components of its n-grams"),
        (NAMES[:20], {}, "text", "text with 20 values: 10 components of its n-grams"),
        (NAMES[:130] * 9, {}, "text", "text with 130 values: 64 components of its n-grams"),
        (NAMES[:130] * 9, {"max_categories": 128}, "category", "text with 130 values: the 128"),
        (NAMES[:50] * 9, {}, "category", "text with 50 values"),
        (
            NAMES[:50] * 9,
            {"text": "c"},
            "text",
            "text with 50 values: 25 components of its n-grams",
        ),
        (NAMES[:50] * 9, {"columns": "c"}, "category", "text with 50 values"),
        ([f"u{i}" for i in range(99)], {"text": "c"}, "text", "text with 99 values: 31 components"),
        ([f"u{i}" for i in range(99)], {"columns": "c"}, "text", "text with 99 values"),
        (["same"] * 99, {"text": "c"}, "category", "constant"),
    ],
)
def test_text_has_many_values_or_is_named(
    values: list[str], options: dict[str, Any], kind: str, reason: str
) -> None:
    found = column(values, **options)
    assert found.kind == kind
    assert found.reason.startswith(reason)


def test_mostly_numbers_as_text_are_neither_text_nor_categories() -> None:
    assert "c" in left_out({"c": [*map(str, range(500)), "unknown"]})


def test_integers_named_like_identifiers_are_left_out_where_all_differ() -> None:
    numbers = RNG.permutation(1_000)[:200]
    reasons = left_out({"customer_id": numbers, "paid": numbers, "PassengerId": numbers})
    assert reasons == dict.fromkeys(
        ["customer_id", "PassengerId"], "identifier by its name: 200 distinct values in 200 rows"
    )
    assert left_out({"store_id": numbers % 7}) == {}


@pytest.mark.parametrize(
    "values",
    [range(99), range(2, 150), range(0, 300, 3), [*range(120), 0], [*range(120), None]],
)
def test_other_integers_are_numbers(values: Any) -> None:
    assert left_out({"c": list(values)}) == {}


def test_row_numbers_are_told_from_all_rows() -> None:
    numbers = list(range(200_000))
    source = open_source(pa.table({"n": numbers, "x": np.arange(200_000) % 7}))
    rows = RNG.random(200_000) < 0.5
    found = describe_columns(source, ColumnOptions(), train_rows=rows)
    assert [item.name for item in found.left_out] == ["n"]
    assert found.rows == rows.sum()


@pytest.mark.parametrize("values", [[5, 5, None], ["a", "a"], [True, True], [[1.0, 2.0]] * 2])
def test_a_constant_column_stays_and_knows_its_value(values: list[Any]) -> None:
    found = column(values)
    assert found.constant
    assert found.reason == "constant"
    assert found.mode == values[0] or found.low in ([values[0]], values[0])


def test_identifiers_and_the_label_are_no_features() -> None:
    found = plan(
        {"k": ["a", "b", "c"], "y": ["u", "v", None], "x": [1, 2, 3]},
        [True, False, True],
        id="k",
        label="y",
    )
    assert [c.name for c in found.columns] == ["x"]
    assert [(item.name, item.type) for item in found.ids] == [("k", "string")]
    assert found.label is not None
    assert (found.label.classes, found.label.counts) == (["u", "v"], [1, 0])


def test_globs_choose_columns_and_say_so() -> None:
    table = {"a1": [1, 2], "a2": [1, 2], "b": [1, 2]}
    found = plan(table, columns="a*", exclude="*2")
    assert [c.name for c in found.columns] == ["a1"]
    assert left_out(table, columns="a*", exclude="*2") == {
        "a2": "left out by --exclude *2",
        "b": "not among --columns",
    }


def test_a_name_with_brackets_is_a_name() -> None:
    table = {"Speed [rpm]": [1, 2], "Speed r": [1, 2]}
    assert list(left_out(table, exclude="Speed [rpm]")) == ["Speed [rpm]"]


@pytest.mark.parametrize("option", ["columns", "exclude", "categorical", "id"])
def test_a_name_that_matches_nothing_is_an_error(option: str) -> None:
    with pytest.raises(DataError, match="no column 'hieght'; did you mean 'height'") as error:
        plan({"height": [1, 2]}, **{option: "hieght"})
    assert error.value.hint == f"--{option} height"
    with pytest.raises(DataError, match=r"no column 'z\*'"):
        plan({"height": [1, 2]}, **{option: "z*"})


def test_a_column_named_as_two_things_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'a' is named by --id and by --label"):
        plan({"a": [1, 2], "b": [1, 2]}, id="a", label="a")
    with pytest.raises(UsageError, match="--exclude"):
        plan({"a": [1, 2], "b": [1, 2]}, columns="a", exclude="a")


def test_a_table_without_features_is_refused_with_reasons() -> None:
    table = pa.table({"a": [1, 1], "b": ["x", "x"], "c": [b"", b""], "d": [None, None]})
    with pytest.raises(DataError, match="no column to learn from in 2 rows") as error:
        plan_columns(open_source(table), ColumnOptions())
    assert [line.strip() for line in error.value.lines()[1:5]] == [
        "a: constant",
        "b: constant",
        "c: type without numbers or categories: binary",
        "d: all values missing",
    ]
    assert len(error.value.lines()) == 6


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_a_table_without_rows_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(DataError, match="has no rows"):
        plan_columns(open_source(pa.table({"a": pa.array([], kind)})), ColumnOptions())


def test_ten_thousand_columns_are_fitted() -> None:
    values = RNG.normal(3, 2, (10_000, 50))
    found = plan({f"c{i}": row for i, row in enumerate(values)})
    assert [c.center[0] for c in found.columns] == pytest.approx(values.mean(axis=1))
    assert [c.scale[0] for c in found.columns] == pytest.approx(values.std(axis=1))
