"""Convert columns to the text of CSV and JSON lines."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from aecli.table.arrow_types import is_list, is_plain_number


def csv_cells(array: pa.Array) -> pa.Array:
    """Return a column for Arrow's CSV writer: ISO 8601 times, NaN missing, no dictionaries."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return csv_cells(array.dictionary_decode())
    if pa.types.is_float16(kind):
        return csv_cells(array.cast(pa.float32()))
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    if pa.types.is_duration(kind):
        return array.cast(pa.int64())
    return iso_times(array) if pa.types.is_temporal(kind) else array


def csv_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of `csv_cells` of a column."""
    return csv_cells(pa.nulls(0, kind)).type


def json_cells(array: pa.Array) -> pa.Array:
    """Return a column as JSON texts: NaN and infinite numbers are null, times ISO 8601."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return json_cells(array.dictionary_decode())
    if is_list(kind):
        return _json_lists(array)
    if pa.types.is_float16(kind):
        return json_cells(array.cast(pa.float32()))
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_finite(array), array, pa.scalar(None, kind))
    if pa.types.is_duration(kind):
        array = array.cast(pa.int64())
    elif pa.types.is_temporal(kind):
        quoted = pc.binary_join_element_wise('"', iso_times(array), '"', "")
        return quoted.fill_null("null")
    if is_plain_number(array.type) or pa.types.is_boolean(kind):
        return array.cast(pa.string()).fill_null("null")
    values = array.to_pylist()
    return pa.array([json.dumps(v, ensure_ascii=False, default=str) for v in values], pa.string())


def iso_times(array: pa.Array) -> pa.Array:
    """Return dates and times as ISO 8601 text, with a Z where they have a zone."""
    text = array.cast(pa.string())
    return pc.replace_substring(text, " ", "T", max_replacements=1)


def _json_lists(array: pa.Array) -> pa.Array:
    lengths = pc.list_value_length(array).fill_null(0).cast(pa.int32())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    lists = pa.ListArray.from_arrays(offsets, json_cells(array.flatten()))
    text = pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")
    return pc.if_else(array.is_valid(), text, "null")
