from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import DataError
from aecli.schema.model_spec import Column, Identifier, Label, LeftOut, ModelSpec
from aecli.table.column_match import MatchedColumns, match_columns
from aecli.table.source import Source, open_source

NUMBER = Column(name="n", kind="number", type="int64", center=[0], scale=[1], reason="")
CONSTANT = Column(
    name="k", kind="number", type="double", center=[0], scale=[1], constant=True, reason=""
)
TEXT = Column(name="t", kind="category", type="string", categories=["1", "b"], reason="")
INTEGER = Column(name="i", kind="category", type="uint8", categories=[1, 2], reason="")
BOOLEAN = Column(name="b", kind="boolean", type="bool", reason="")
TIME = Column(name="d", kind="time", type="timestamp[us]", center=[0], scale=[1], reason="")
VECTOR = Column(
    name="v", kind="vector", type="list<float>", size=2, center=[0, 0], scale=[1, 1], reason=""
)


@pytest.fixture
def spec(model_spec: ModelSpec) -> Callable[..., ModelSpec]:
    def made(*columns: Column, **changes: Any) -> ModelSpec:
        return model_spec.model_copy(update={"columns": list(columns), **changes})

    return made


def only_batch(source: Source) -> pa.RecordBatch:
    (batch,) = source.batches()
    return batch


def matched_values(column: Column, values: Any, spec: ModelSpec) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    table = open_source(pa.table({column.name: array}))
    return only_batch(match_columns(table, spec)[0]).column(0)


def test_columns_are_found_by_name_in_any_order(spec: Callable[..., ModelSpec]) -> None:
    @given(st.permutations(["n", "t", "b", "extra", "y"]))
    def check(names: list[str]) -> None:
        values = {"n": [1], "t": ["b"], "b": [True], "extra": [0], "y": [False]}
        source, found = match_columns(
            open_source(pa.table({name: values[name] for name in names})),
            spec(NUMBER, TEXT, BOOLEAN),
        )
        assert only_batch(source).to_pylist() == [{"n": 1, "t": "b", "b": True}]
        assert source.names == ["n", "t", "b"]
        assert found == MatchedColumns(ignored=["extra"], kept=[], constants=[], label=False)

    check()


def test_carried_columns_come_first_and_each_once(spec: Callable[..., ModelSpec]) -> None:
    model = spec(
        NUMBER,
        TEXT,
        ids=[Identifier(name="gone", type="string"), Identifier(name="id", type="int64")],
        left_out=[LeftOut(name="note", type="string", reason="")],
    )
    names = ["y", "x1", "x2", "note", "t", "n", "id"]
    table = pa.table({name: ["1"] for name in names})
    source, found = match_columns(open_source(table), model, keep=["x*", "n"], with_label=True)
    assert source.names == [*found.kept, "n", "t", "y"]
    assert found == MatchedColumns(ignored=[], kept=found.kept, constants=[], label=True)
    assert [source.copies.get(name, name) for name in found.kept] == ["id", "x1", "x2", "n"]


def test_a_table_without_the_label_is_fine(spec: Callable[..., ModelSpec]) -> None:
    source, found = match_columns(open_source(pa.table({"n": [1]})), spec(NUMBER), with_label=True)
    assert (source.names, found.label) == (["n"], False)


def test_a_constant_column_is_not_needed(spec: Callable[..., ModelSpec]) -> None:
    source, found = match_columns(open_source(pa.table({"n": [1]})), spec(CONSTANT, NUMBER))
    assert (source.names, found.ignored) == (["n"], [])


def test_missing_columns_are_listed_with_near_names(spec: Callable[..., ModelSpec]) -> None:
    table = pa.table({"N ": [1], "ts": [2], "b": [True]})
    with pytest.raises(DataError) as error:
        match_columns(open_source(table), spec(NUMBER, TEXT, BOOLEAN))
    lines = error.value.lines()
    assert "lacks 2 of the 3 columns this model was trained on: n, t" in lines[0]
    assert "'n': did you mean 'N '?" in lines[1]
    assert lines[-1] == "  try: rename 'N ' to 'n'"


def test_a_keep_that_matches_nothing_is_an_error(spec: Callable[..., ModelSpec]) -> None:
    with pytest.raises(DataError, match="no column 'ident'"):
        match_columns(open_source(pa.table({"n": [1]})), spec(NUMBER), keep=["ident"])


@pytest.mark.parametrize(
    ("column", "values", "read"),
    [
        (NUMBER, ["1.5", None], [1.5, None]),
        (NUMBER, pa.array([7, None], pa.uint8()), [7, None]),
        (NUMBER, pa.array([None, None]), [None, None]),
        (TEXT, [1, None], ["1", None]),
        (INTEGER, ["2", "1"], [2, 1]),
        (INTEGER, [2.0, None], [2, None]),
        (BOOLEAN, [0, 1, None], [False, True, None]),
        (BOOLEAN, ["true", "false"], [True, False]),
        (VECTOR, [[1, 2], None], [[1.0, 2.0], None]),
    ],
)
def test_related_types_are_read_as_the_models(
    spec: Callable[..., ModelSpec], column: Column, values: Any, read: list[Any]
) -> None:
    assert matched_values(column, values, spec(column)).to_pylist() == read


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (NUMBER, pa.uint8()),
        (NUMBER, pa.float32()),
        (NUMBER, pa.decimal128(9, 2)),
        (NUMBER, pa.bool_()),
        (TEXT, pa.large_string()),
        (TEXT, pa.dictionary(pa.int8(), pa.string())),
        (INTEGER, pa.int32()),
        (VECTOR, pa.list_(pa.uint8(), 2)),
    ],
)
def test_binary_formats_keep_a_type_that_serves(
    spec: Callable[..., ModelSpec], column: Column, kind: pa.DataType
) -> None:
    assert matched_values(column, pa.nulls(1, kind), spec(column)).type == kind


def test_times_are_read_in_the_models_unit(spec: Callable[..., ModelSpec]) -> None:
    found = matched_values(TIME, pa.array([1_000, 2_000], pa.timestamp("ns")), spec(TIME))
    assert found.type == pa.timestamp("us")
    assert found.cast(pa.int64()).to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        (NUMBER, pa.timestamp("s"), "'n' is timestamp[s]; this model was trained on int64"),
        (TIME, pa.int64(), "'d' is int64; this model was trained on timestamp[us]"),
        (TEXT, pa.float64(), "'t' is double; this model was trained on string"),
        (BOOLEAN, pa.float64(), "'b' is double; this model was trained on bool"),
        (VECTOR, pa.list_(pa.float32(), 3), "trained on list<float> of length 2"),
        (VECTOR, pa.float64(), "'v' is double"),
    ],
)
def test_unrelated_types_are_refused(
    spec: Callable[..., ModelSpec], column: Column, kind: pa.DataType, message: str
) -> None:
    with pytest.raises(DataError) as error:
        matched_values(column, pa.array([None], kind), spec(column))
    assert message in error.value.what
    assert error.value.hint


def test_the_model_dictates_the_types_of_a_csv(
    spec: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    path = tmp_path / "new.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["t", "n", "i", "id", "y"], ["1", "3", "2", "007", "true"]])
    model = spec(NUMBER, TEXT, INTEGER, ids=[Identifier(name="id", type="string")])
    source, _ = match_columns(open_source(path), model, with_label=True)
    assert only_batch(source).to_pylist() == [{"id": "007", "n": 3.0, "t": "1", "i": 2, "y": True}]


def test_the_model_dictates_the_types_of_json_lines(
    spec: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text(json.dumps({"n": 3, "v": [1, 2]}) + "\n")
    source, _ = match_columns(open_source(path), spec(NUMBER, VECTOR))
    assert only_batch(source).to_pylist() == [{"n": 3.0, "v": [1.0, 2.0]}]


def test_label_types(spec: Callable[..., ModelSpec], tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("n,y\n1,01\n")
    label = Label(name="y", type="large_string", classes=["01", "02"], counts=[1, 1])
    source, _ = match_columns(open_source(path), spec(NUMBER, label=label), with_label=True)
    assert only_batch(source).column("y").to_pylist() == ["01"]
