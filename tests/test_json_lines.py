from __future__ import annotations

import math
from pathlib import Path

import pytest

from aecli.errors import ModelError
from aecli.json_lines import parse_json_lines, to_json_lines

FILE = Path("m/history.jsonl")


def test_one_object_a_line_with_letters_as_they_are() -> None:
    assert to_json_lines([{"größe": 1}, {"a": [1.5, None, True]}]) == (
        '{"größe": 1}\n{"a": [1.5, null, true]}\n'.encode()
    )
    assert to_json_lines([]) == b""


def test_numbers_that_are_not_finite_are_null_at_every_depth() -> None:
    written = to_json_lines([{"a": math.inf, "b": {"c": math.nan}, "d": (1.0, [-math.inf])}])
    assert parse_json_lines(written, FILE) == [{"a": None, "b": {"c": None}, "d": [1.0, [None]]}]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [(b"{}\n{", 2, "JSON"), (b"{}\n{}\n[1]\n", 3, "a JSON object"), (b"1", 1, "a JSON object")],
)
def test_a_damaged_line_is_numbered(content: bytes, line: int, problem: str) -> None:
    with pytest.raises(ModelError, match=rf"history\.jsonl, line {line}, is not {problem}"):
        parse_json_lines(content, FILE)
