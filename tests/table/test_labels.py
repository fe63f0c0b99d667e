from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from aecli.errors import DataError
from aecli.schema.model_spec import Label
from aecli.table.labels import label_codes, read_labels, with_counts
from aecli.table.source import open_source


def labels(values: Any) -> tuple[Label, list[int]]:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    label, codes = read_labels(open_source(pa.table({"x": range(len(array)), "y": array})), "y")
    return label, codes.tolist()


@pytest.mark.parametrize(
    ("values", "classes", "codes"),
    [
        (["b", "a", None, "B"], ["B", "a", "b"], [2, 1, -1, 0]),
        ([10, 9, None, 9], [9, 10], [1, 0, -1, 0]),
        ([True, False, None], [False, True], [1, 0, -1]),
        ([2.0, float("nan"), -1.0], [-1, 2], [1, -1, 0]),
        (pa.array(["v", None, "u"]).dictionary_encode(), ["u", "v"], [1, -1, 0]),
        (pa.array(np.array([1, 0], np.float16)), [0, 1], [1, 0]),
    ],
)
def test_classes_are_sorted_and_rows_coded(
    values: Any, classes: list[Any], codes: list[int]
) -> None:
    label, found = labels(values)
    assert label.classes == classes
    assert [type(value) for value in label.classes] == [type(value) for value in classes]
    assert found == codes
    assert label.counts == [found.count(code) for code in range(len(classes))]


def test_dictionary_values_without_a_row_are_no_class() -> None:
    array = pa.array(["a", "b", "gone"]).dictionary_encode().slice(0, 2)
    assert labels(array)[0].classes == ["a", "b"]


def test_counts_over_the_training_rows() -> None:
    label, codes = labels(["a", "b", "b", None])
    rows = np.array([True, True, False, True])
    assert with_counts(label, np.array(codes), rows).counts == [1, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "a", None], "has only one class: 'a'"),
        (pa.array([None, None], pa.string()), "has no value in 2 rows"),
        (pa.array([None, None]), "has no value in 2 rows"),
        ([0.5, 1.0], "contains 0.5: it looks like a number to predict, not classes"),
        ([float("inf"), 1.0], "contains inf"),
        (list(range(10_001)), "more than 10,000 classes"),
        ([[1.0], [2.0]], r"is a list<double>"),
    ],
)
def test_a_label_that_is_unfit_is_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labels(values)


def test_a_label_that_does_not_exist_names_the_nearest() -> None:
    source = open_source(pa.table({"income": ["a", "b"], "age": [1, 2]}))
    with pytest.raises(DataError, match=r"no column 'Incom'; did you mean 'income'\?") as error:
        read_labels(source, "Incom")
    assert error.value.lines()[-1] == "  try: --label income"


NUMBERED = Label(name="y", type="int64", classes=[0, 1], counts=[1, 1])
NAMED = Label(name="y", type="string", classes=["1", "a"], counts=[1, 1])


@pytest.mark.parametrize(
    ("label", "values", "codes"),
    [
        (NUMBERED, [1, 0, 7, None], [1, 0, -1, -1]),
        (NUMBERED, ["1", "0", "x"], [1, 0, -1]),
        (NUMBERED, [1.0, 0.0, 0.5], [1, 0, -1]),
        (NUMBERED, [True, False, None], [1, 0, -1]),
        (NAMED, ["a", "A", "1"], [1, -1, 0]),
        (NAMED, [1, 2], [0, -1]),
    ],
)
def test_a_new_table_is_coded_with_the_models_classes(
    label: Label, values: list[Any], codes: list[int]
) -> None:
    assert label_codes(pa.array(values), label).tolist() == codes
