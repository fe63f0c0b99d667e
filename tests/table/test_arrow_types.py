from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import ModelError
from aecli.table.arrow_types import kind_of, parse_type, type_name

NUMBERS = st.sampled_from(
    [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(38, 9)]
)
UNITS = st.sampled_from(["s", "ms", "us", "ns"])
SCALARS = st.one_of(
    NUMBERS,
    st.sampled_from(
        [
            *(pa.bool_(), pa.null(), pa.string(), pa.large_string(), pa.string_view()),
            *(pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.decimal256(60, -3)),
        ]
    ),
    st.builds(pa.duration, UNITS),
    st.builds(pa.timestamp, UNITS, st.sampled_from([None, "UTC", "+05:30", "America/Sao_Paulo"])),
)
TYPES = st.one_of(
    SCALARS,
    st.builds(pa.dictionary, st.sampled_from([pa.int8(), pa.uint32()]), SCALARS, st.booleans()),
    st.builds(pa.list_, NUMBERS, st.integers(1, 900)),
    st.builds(pa.list_, NUMBERS),
    st.builds(pa.large_list, NUMBERS),
)


@given(TYPES)
def test_a_name_reads_back_as_the_type(kind: pa.DataType) -> None:
    assert parse_type(type_name(kind)) == kind


def test_the_name_of_a_list_does_not_show_its_field() -> None:
    odd = pa.list_(pa.field("weird >[3] name", pa.float32(), nullable=False), 3)
    assert type_name(odd) == "fixed_size_list<float>[3]"


def test_a_long_name_is_cut() -> None:
    wide = pa.struct([(f"field{i}", pa.int8()) for i in range(100)])
    assert len(type_name(wide)) == 80


@pytest.mark.parametrize(
    "text",
    [
        "",
        "torch.float32",
        "struct<a: int8>",
        "decimal128(99, 1)",
        "fixed_size_list<double>[0]",
        "fixed_size_list<double>[999999999]",
        "dictionary<values=string, indices=double, ordered=0>",
        "list<" * 100_000,
    ],
)
def test_a_damaged_type_is_a_model_error(text: str) -> None:
    with pytest.raises(ModelError, match="column type"):
        parse_type(text)


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        (pa.bool_(), "boolean"),
        (pa.uint8(), "number"),
        (pa.float16(), "number"),
        (pa.decimal128(9, 2), "number"),
        (pa.time64("us"), "number"),
        (pa.duration("s"), "number"),
        (pa.string_view(), "category"),
        (pa.dictionary(pa.int8(), pa.string()), "category"),
        (pa.dictionary(pa.int8(), pa.int64()), "category"),
        (pa.dictionary(pa.int8(), pa.float64()), "number"),
        (pa.timestamp("ns", "UTC"), "time"),
        (pa.date32(), "time"),
        (pa.list_(pa.float32(), 4), "vector"),
        (pa.list_(pa.int8()), "vector"),
        (pa.list_(pa.string()), None),
        (pa.struct([("a", pa.int8())]), None),
        (pa.binary(), None),
        (pa.map_(pa.string(), pa.int8()), None),
        (pa.null(), None),
    ],
)
def test_the_type_makes_the_kind(kind: pa.DataType, becomes: str | None) -> None:
    assert kind_of(kind) == becomes
