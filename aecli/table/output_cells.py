"""Convert columns to types that the writers of Parquet, CSV and JSON Lines support."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from aecli.table.arrow_types import is_list, is_plain_number


def parquet_type(kind: pa.DataType) -> pa.DataType:
    """Return the type for Parquet, which does not support negative scales: 12E3 is 12000."""
    if is_list(kind):
        inner = parquet_type(kind.value_type)
        return kind if inner == kind.value_type else pa.list_(inner)
    if not pa.types.is_decimal(kind) or kind.scale >= 0:
        return kind
    digits = kind.precision - kind.scale
    if digits > 76:
        return pa.string()
    return pa.decimal128(digits, 0) if digits <= 38 else pa.decimal256(digits, 0)


def csv_cells(array: pa.Array) -> pa.Array:
    """Return a column for Arrow's CSV writer: times as ISO 8601, NaN as null, −0 as 0."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return csv_cells(array.dictionary_decode())
    if pa.types.is_float16(kind):
        return csv_cells(array.cast(pa.float32()))
    if pa.types.is_floating(kind):
        present = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
        return pc.add(present, pa.scalar(0, kind))  # −0 becomes 0
    if pa.types.is_duration(kind):
        return array.cast(pa.int64())
    return _iso_times(array) if pa.types.is_temporal(kind) else array


def csv_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of `csv_cells` for a type."""
    return csv_cells(pa.nulls(0, kind)).type


def json_cells(array: pa.Array) -> pa.Array:
    """Return a column as JSON text: NaN and infinite numbers as null, times as ISO 8601."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return json_cells(array.dictionary_decode())
    if is_list(kind):
        return _json_lists(array)
    if pa.types.is_float16(kind):
        return json_cells(array.cast(pa.float32()))
    if pa.types.is_floating(kind):
        present = pc.if_else(pc.is_finite(array), array, pa.scalar(None, kind))
        array = pc.add(present, pa.scalar(0, kind))  # −0 becomes 0
    if pa.types.is_duration(kind):
        array = array.cast(pa.int64())
    elif pa.types.is_temporal(kind):
        quoted = pc.binary_join_element_wise('"', _iso_times(array), '"', "")
        return quoted.fill_null("null")
    if is_plain_number(array.type) or pa.types.is_boolean(kind):
        return array.cast(pa.string()).fill_null("null")
    values = array.to_pylist()
    return pa.array([json.dumps(v, ensure_ascii=False, default=str) for v in values], pa.string())


def _iso_times(array: pa.Array) -> pa.Array:
    """Return dates and times as ISO 8601 text, with Z if they have a time zone."""
    text = array.cast(pa.string())
    return pc.replace_substring(text, " ", "T", max_replacements=1)


def _json_lists(array: pa.Array) -> pa.Array:
    lengths = pc.list_value_length(array).fill_null(0).cast(pa.int32())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    lists = pa.ListArray.from_arrays(offsets, json_cells(array.flatten()))
    text = pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")
    return pc.if_else(array.is_valid(), text, "null")
