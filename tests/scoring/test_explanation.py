"""The most anomalous samples of a pass, and the sentences that explain them."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from aecli.schema.model_spec import Column
from aecli.scoring.explanation import (
    ScoreReason,
    cell_text,
    exact_text,
    reason_text,
    score_reason,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (ScoreReason("total", 4000.2, "99,999", "76.7"),
         "total is 99,999, expected 76.7; 4,000x the usual error"),
        (ScoreReason("age", 7.44, "38", "51"), "age is 38, expected 51; 7.4x the usual error"),
        (ScoreReason("age", 39.82, "38", "51"), "age is 38, expected 51; 40x the usual error"),
        (ScoreReason("x", 1.24e12, "9e9", "1"), "x is 9e9, expected 1; 1.2e12x the usual error"),
        (ScoreReason("job", 8, "clerk", "clerk"),
         "job is clerk, as expected, but unusual; 8x the usual error"),
        (ScoreReason("volt", NAN, None, "5", constant=True),
         "volt differs from 5, its only value in training"),
        (ScoreReason("age", 7, "38", "51", contribution=20),
         "age is 38, an unusual value, expected 51; 7x the usual error"),
        (ScoreReason("age", 1.9, "98", "97", contribution=20), "age is 98, an unusual value"),
        (ScoreReason("age", 0.0, "98", "98", contribution=20), "age is 98, an unusual value"),
        (ScoreReason("flow", 12), "flow: 12x the usual error"),
        (ScoreReason("flow", 1.2, contribution=20), "flow: unusual values"),
        (ScoreReason("volt", NAN, constant=True), "volt differs from its only value in training"),
    ],
)  # fmt: skip
def test_a_reason_has_the_value_the_expectation_and_the_size_of_the_error(reason, text):
    assert reason_text(reason) == text


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (ScoreReason("age", 7.44, "38", "51"), "age is 38, expected 51 (7.4x)"),
        (ScoreReason("job", 8, "clerk", "clerk"), "job is clerk, as expected, but unusual (8x)"),
        (ScoreReason("flow", 12), "flow (12x)"),
    ],
)
def test_further_reasons_are_brief(reason, text):
    assert reason_text(reason, brief=True) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([99_999]), "99,999"),
        (pa.array([2026]), "2026"),
        (pa.array([76.712]), "76.712"),
        (pa.array([1e15]), "1e15"),
        (pa.array([None], pa.int64()), "missing"),
        (pa.array([float("nan")]), "nan"),
        (pa.array([True]), "true"),
        (pa.array([date(2026, 1, 31)]), "2026-01-31"),
        (pa.array(["word"]).dictionary_encode(), "word"),
        (pa.array(["w" * 50]), "w" * 39 + "…"),
        (pa.array([[1.5, None, 3, 4]]), "[1.5, missing, 3, …]"),
    ],
)
def test_a_cell_is_short_text(array, text):
    assert cell_text(array, 0) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([12_345]), "12345"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([timedelta(seconds=5)]), "0:00:05"),
        (pa.array([2**62], pa.duration("s")), "4611686018427387904 s"),
        (pa.array([5_000_000_001], pa.duration("ns")), "0:00:05.000000001"),
        (pa.array([5_000_000_001], pa.timestamp("ns")), "1970-01-01 00:00:05.000000001"),
        (pa.array([b"\xff"]), "b'\\xff'"),
        (pa.array([["a", "b"]]), "['a', 'b']"),
        (pa.array([None]), "missing"),
    ],
)
def test_an_identifier_of_any_type_is_exact(array, text):
    assert exact_text(array, 0) == text


def test_a_text_without_a_stored_text_near_to_it_is_expected_to_be_another_one():
    column = Column(name="t", kind="text", type="string", center=[0.0], scale=[1.0], reason="text")
    batch = pa.record_batch({"t": ["rusty lamp"]})
    reconstructed = {"t": pa.array([None], pa.string())}
    reason = score_reason(column, 7.2, 7.2, batch, reconstructed, 0)
    assert reason_text(reason) == "t is rusty lamp, expected another text; 7.2x the usual error"
