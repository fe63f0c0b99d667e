"""A scale of each column: by name, by glob, and of all others."""

import numpy as np
import pyarrow as pa
import pytest

from aecli.cli.config_file import read_config
from aecli.cli.option_sources import validate
from aecli.errors import DataError, UsageError
from aecli.schema.option_docs import as_flags, explicit_options
from aecli.schema.options import ColumnOptions, TrainOptions
from aecli.table.column_plan import plan_columns
from aecli.table.source import open_source

ROWS = pa.table({
    "price": [1.0, 2.0, 3.0, 4.0, 100.0],
    "price_old": [2.0, 4.0, 6.0, 8.0, 10.0],
    "age": [10.0, 20.0, 30.0, 40.0, 50.0],
    "who": ["a", "b", "a", "b", "a"],
    "day": pa.array([0, 1, 2, 3, 9], pa.int32()).cast(pa.date32()),
    "v": pa.array([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]], pa.list_(pa.float64(), 2)),
})  # fmt: skip
STANDARD = dict.fromkeys(("price", "price_old", "age", "day", "v"), "standard")


def planned(table: pa.Table = ROWS, **options):
    return plan_columns(open_source(table), ColumnOptions(**options)).columns


def methods(scale: object) -> dict[str, str]:
    """Return the method of each numeric column, by its figures."""
    found = {}
    for column in planned(scale=scale):
        if column.kind in ("number", "time", "vector"):
            low, high, mean = column.low[0], column.high[0], column.mean[0]
            found[column.name] = (
                "none" if (column.center[0], column.scale[0]) == (0, 1)
                else "minmax" if (column.center[0], column.scale[0]) == (low, high - low)
                else "standard" if column.center[0] == pytest.approx(mean) and column.scale[0]
                != pytest.approx((high - low) / 2) else "robust"
            )  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("scale", "different"),
    [
        ("auto", {}),
        ("price=robust", {"price": "robust"}),
        ("minmax,price=robust,v=none", dict.fromkeys(STANDARD, "minmax")
         | {"price": "robust", "v": "none"}),
        (["price=minmax", "v=minmax"], {"price": "minmax", "v": "minmax"}),
        ({"price": "none", "day": "minmax"}, {"price": "none", "day": "minmax"}),
        ("price*=minmax,price=none", {"price": "none", "price_old": "minmax"}),
        ("*=minmax,price*=none", dict.fromkeys(STANDARD, "minmax")),
        ("day=none", {}),
    ],
)  # fmt: skip
def test_each_column_has_the_scale_of_its_name_or_glob(scale, different):
    assert methods(scale) == STANDARD | different


def test_a_robust_column_is_scaled_by_its_quartiles():
    price, *_ = planned(scale="price=robust")
    assert (price.center, price.scale) == ([3.0], [2.0])


def test_pixels_share_their_scale_without_a_column_of_another():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 20)).astype(np.uint8)
    pixels[0] = 255
    table = pa.table({f"p{i}": column for i, column in enumerate(pixels.T)})
    columns = planned(table, scale="p3=standard")
    assert [column.scale[0] == 255 for column in columns] == [i != 3 for i in range(20)]


@pytest.mark.parametrize(
    ("options", "error", "what", "hint"),
    [
        ({"scale": "prize=robust"}, DataError,
         "the table has no column 'prize'; did you mean 'price'?", "--scale price=robust"),
        ({"scale": "x*=robust"}, DataError, "the table has no column 'x*'", "aecli inspect DATA"),
        ({"scale": "who=robust"}, DataError,
         "--scale who=robust matches no number, time or vector", "leave 'who' out of --scale"),
        ({"scale": "age=minmax,wh*=robust"}, DataError,
         "--scale wh*=robust matches no number, time or vector", "leave 'wh*' out of --scale"),
        ({"scale": "empty=robust"}, DataError,
         "--scale empty=robust matches no number, time or vector", "leave 'empty' out of --scale"),
        ({"scale": "a*=robust", "label": "age"}, DataError,
         "--scale a*=robust matches no number, time or vector", "leave 'a*' out of --scale"),
        ({"scale": "a*=robust", "categorical": ["age"]}, DataError,
         "--scale a*=robust matches no number, time or vector", "leave 'a*' out of --scale"),
        ({"scale": "age=robust", "exclude": ["a*"]}, UsageError,
         "column 'age' is named by --scale, but it is not a feature: left out by --exclude a*",
         "leave 'age' out of one of them"),
        ({"scale": "age=robust", "id": ["age"]}, UsageError,
         "column 'age' is named by --scale, but it is not a feature: an identifier",
         "leave 'age' out of one of them"),
        ({"scale": "who=robust", "label": "who"}, UsageError,
         "column 'who' is named by --scale, but it is not a feature: the label",
         "leave 'who' out of one of them"),
    ],
)  # fmt: skip
def test_a_column_without_a_scale_is_refused(options, error, what, hint):
    with pytest.raises(error) as caught:
        planned(ROWS.append_column("empty", pa.nulls(5)), **options)
    assert (caught.value.what, caught.value.hint) == (what, hint)


def test_a_glob_without_a_scale_names_its_columns():
    with pytest.raises(DataError) as caught:
        planned(scale="[aw]*=robust", label="who", id=["age"])
    assert caught.value.facts == ("age: identifier", "who: label")
    with pytest.raises(DataError) as caught:
        planned(scale="*e=robust", exclude=["*e"])
    assert caught.value.facts == (
        "price: left out by --exclude *e",
        "age: left out by --exclude *e",
    )


def test_globs_leave_columns_without_a_scale_alone():
    assert [column.kind for column in planned(scale="*=robust")][3] == "category"


def test_numbers_of_a_column_without_scaling_must_be_within_reach():
    table = ROWS.append_column("far", pa.array([0.0, 1, 2, 3, 1e9]))
    planned(table, scale="price=none")
    with pytest.raises(DataError, match="column 'far' of the table contains 1e"):
        planned(table, scale="far=none")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.toml", 'scale = "minmax,price=robust"'),
        ("run.toml", 'scale = ["minmax", "price=robust"]'),
        ("run.toml", 'scale = {"*" = "minmax", price = "robust"}'),
        ("run.yaml", "scale: {'*': minmax, price: robust}"),
    ],
)
def test_config_files_have_texts_lists_and_mappings(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    options = validate(read_config(tmp_path / name))
    assert options.columns.scale.replace("*=minmax", "minmax") == "minmax,price=robust"
    again = as_flags(explicit_options(options))
    assert again == ["--scale", options.columns.scale]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale: {}", "scale: {} in run.yaml: is empty; it must be one of auto"),
        ("scale: {price: 3}", "scale: {'price': 3} in run.yaml: 'price=3' must be one of auto"),
        ("scale: [robust, 3]", "scale: [robust,3] in run.yaml: '3' must be one of auto"),
        ("scale: 3", "scale is 3 (a number); it must be one of auto"),
    ],
)
def test_a_wrong_scale_in_a_config_file_is_named(tmp_path, text, message):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        validate(read_config(tmp_path / "run.yaml"))
    assert message in caught.value.what.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("robst", "must be one of auto, standard, minmax, robust, none, or COLUMN=SCALE"),
        ("robust,price=robst", "'price=robst' must be one of auto"),
        ("=robust", "must be one of auto"),
        ("", "must be one of auto"),
        ("robust,", "'' must be one of auto"),
        ((), "is empty; it must be one of auto"),
        ({}, "is empty; it must be one of auto"),
        ({"a": 3}, "'a=3' must be one of auto"),
        ({"a": "robust", "b": "robst"}, "'b=robst' must be one of auto"),
        (["robust", 3], "'3' must be one of auto"),
        ("robust,minmax", "'all columns' cannot be both robust and minmax"),
        ("a=robust,a=minmax", "'a' cannot be both robust and minmax"),
    ],
)
def test_a_scale_that_does_not_exist_is_refused(scale, message):
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        TrainOptions.from_flat({"scale": scale})


def test_a_bounded_output_needs_a_bounded_scale_of_every_column():
    with pytest.raises(ValueError, match="--scale price=robust has values outside 0 to 1"):
        TrainOptions.from_flat({"scale": "price=robust", "output": "sigmoid"})
