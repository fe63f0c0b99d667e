from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aecli.errors import DataError
from aecli.table.source import Source, open_source

LONG = "9" * 38
ENDLESS = "9" * 5000


def opened(folder: Path, text: str | bytes) -> Source:
    path = folder / "t.jsonl"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return open_source(path)


def column(source: Source, name: str) -> list[Any]:
    return [row[name] for batch in source.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-3"], "int64", [1, -3]),
        (["1", str(2**63)], "uint64", [1, 2**63]),
        (["1", str(2**64 - 1)], "uint64", [1, 2**64 - 1]),
        (["1", str(2**64)], "decimal128(38, 0)", [Decimal(1), Decimal(2**64)]),
        (["-1", str(2**63)], "decimal128(38, 0)", [Decimal(-1), Decimal(2**63)]),
        ([f"-{LONG}", LONG], "decimal128(38, 0)", [Decimal("-" + LONG), Decimal(LONG)]),
        (["null", str(2**63)], "uint64", [None, 2**63]),
        (["1", LONG + "9"], "double", [1.0, 1e39]),
        (["0.5", str(2**64)], "double", [0.5, 2.0**64]),
        (["1", ENDLESS], "double", [1.0, float("inf")]),
        (["1e999", "-1e999"], "double", [float("inf"), float("-inf")]),
        (["1E5", "-0"], "double", [1e5, 0.0]),
        (["Infinity", "-Infinity"], "double", [float("inf"), float("-inf")]),
        (["Infinity", str(2**63)], "double", [float("inf"), 2.0**63]),
        (['"x"', str(2**64)], "string", ["x", str(2**64)]),
        (['"x"', "[1, 2]"], "string", ["x", "[1, 2]"]),
        (['{"b": 1}', "null"], "struct<b: int64>", [{"b": 1}, None]),
    ],
)
def test_numbers_are_exact_where_a_type_holds_them(
    tmp_path: Path, cells: list[str], kind: str, values: list[Any]
) -> None:
    source = opened(tmp_path, "\n".join(f'{{"n": {i}, "a": {c}}}' for i, c in enumerate(cells)))
    assert str(source.schema.field("a").type) == kind
    assert column(source, "a") == values


def test_nan_is_missing_beside_an_exact_integer_of_another_column(tmp_path: Path) -> None:
    source = opened(tmp_path, f'{{"a": NaN, "b": {2**63}}}\n{{"a": 1, "b": {2**64}}}\n')
    assert str(column(source, "a")) == "[nan, 1.0]"
    assert column(source, "b") == [Decimal(2**63), Decimal(2**64)]


def test_integers_of_any_block_are_exact(tmp_path: Path) -> None:
    filler = json.dumps({"a": 7, "s": "x" * 1000}) + "\n"
    source = opened(tmp_path, filler * 5000 + f'{{"a": {2**64 - 1}}}\n' + filler * 5000)
    assert str(source.schema.field("a").type) == "uint64"
    assert sum(column(source, "a")) == 70_000 + 2**64 - 1


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ('{"a": 1, "a": 2}\n{"a": 3}', ["a"], [2, 3]),
        ('\n{"a": 1}\n\n  \n{"a": 2}\n\n', ["a"], [1, 2]),
        ('\ufeff{"a": 1}\r\n{"a": 2}\r\n', ["a"], [1, 2]),
        ('{"a\\u0000b": 1}\n{"a\\u0000b": 2}', ["a\0b"], [1, 2]),
        ('{"a\\nb": 1}', ["a\nb"], [1]),
        ('{"": 1}\n{"": 2}', ["column_1"], [1, 2]),
        ('{"": 1, "column_1": 5}', ["column_2", "column_1"], [1]),
        ('{"a": "' + "x" * 9_000_000 + '"}', ["a"], ["x" * 9_000_000]),
        ('{"a": "' + "[" * 1000 + '"}\n{"a": "é"}', ["a"], ["[" * 1000, "é"]),
        ('{"a": "\\ud83d\\ude00 \\\\ud800"}', ["a"], ["\U0001f600 \\ud800"]),
    ],
    ids=[
        "last of two keys",
        "blank lines",
        "byte-order mark and CRLF",
        "NUL in a key",
        "newline in a key",
        "empty key",
        "empty key beside its new name",
        "a single long line",
        "brackets in text",
        "surrogate pair",
    ],
)
def test_lines_give_their_values(
    tmp_path: Path, text: str, names: list[str], values: list[Any]
) -> None:
    source = opened(tmp_path, text)
    assert source.names == names
    assert column(source, names[0]) == values


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b'{"a": "x"}\n{"a": "\xff"}\n', "is not UTF-8 text: byte 0xff in line 2"),
        (b'{"a": "x"}\n{"b\xff": "x"}\n', "is not UTF-8 text: byte 0xff in line 2"),
        ('{"a": "x"}\n{"a": "\\ud800"}\n', "line 2: the value of 'a' has half of a surrogate"),
        ('{"a": 1}\n{"a": ["x", "\\udfff"]}\n', "line 2: the value of 'a' has half of a surrogate"),
        ('{"a": 1}\n{"\\ud800": 1}\n', "line 2: a key has half of a surrogate pair"),
        ('{"a": 1}\n{"a": ' + "[" * 101 + "]" * 101 + "}\n", "line 2 nests more than 100 arrays"),
        ('{"a": ' + "[" * 99_999 + "]" * 99_999 + "}\n", "line 1 nests more than 100 arrays"),
        ('{"a": ' + '{"b": ' * 2000 + "1" + "}" * 2001, "line 1 nests more than 100 arrays"),
        ('[{"a": 1}]', "line 1 is a JSON list, not an object"),
        ('{"a": 1}\n3\n', "line 2 is a JSON int, not an object"),
        ('{"a": 1},\n{"a": 2}\n', "line 1 is not JSON"),
        ('{"a": 1\n', "line 1 is not JSON"),
        ("{}\n{}\n", "has no columns"),
    ],
    ids=[
        "bytes in a value",
        "bytes in a key",
        "surrogate in a value",
        "surrogate in a list",
        "surrogate in a key",
        "deep lists",
        "very deep lists",
        "deep objects",
        "array at the top",
        "number on a line",
        "commas between lines",
        "cut off",
        "no keys",
    ],
)
def test_lines_that_are_no_rows_are_named(tmp_path: Path, text: str | bytes, what: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(tmp_path, text)
    assert what in caught.value.what
    assert caught.value.hint
    assert len(caught.value.lines()) <= 6
