"""Read the cells of a column as one type: their text format, and which of them are missing."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from aecli.schema.text_format import ISO_MIXED, TextFormat
from aecli.table.arrow_types import decoded_type, is_list, is_text
from aecli.table.cells.conversion import convert, without_nulls
from aecli.table.cells.date_format import parsed_dates
from aecli.table.cells.number_format import format_number, normalized_texts, plain_numbers

MAX_MISFITS = 256
"""Number of values checked one by one for a fit; beyond it nearly all differ from a constant."""


@dataclass(frozen=True)
class Reading:
    """Type of a column's cells, their text format, and the texts that mean missing.

    `categories` are values known to a model, which are never missing. `misfit` replaces a cell that
    does not fit the type; None if such a cell is an error.
    """

    type: pa.DataType
    format: TextFormat | None = None
    null_values: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    misfit: pa.Scalar | None = None

    @property
    def missing(self) -> frozenset[str]:
        """Return the texts that mean missing for any type of the column."""
        return self.null_values - self.categories


def read_cells(array: pa.Array, reading: Reading) -> pa.Array:
    """Return cells as the type of a reading.

    Raises:
        pa.ArrowInvalid, pa.ArrowNotImplementedError: a cell does not fit.
    """
    if reading.misfit is None:
        return _read(array, reading)
    try:
        return _read(array, reading)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return _with_misfits(array, reading)


def _with_misfits(array: pa.Array, reading: Reading) -> pa.Array:
    """Return cells as the type of a reading; cells that do not fit become its `misfit`."""
    misfit = pa.repeat(reading.misfit, 1)
    if not is_list(array.type) and not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    if pa.types.is_dictionary(array.type) and len(array.dictionary) <= MAX_MISFITS:
        cells = (array.dictionary.slice(at, 1) for at in range(len(array.dictionary)))
        values = [_read(cell, reading) if _fits(cell, reading) else misfit for cell in cells]
        return pa.concat_arrays([misfit[:0], *values]).take(array.indices)
    return misfit.take(pc.if_else(array.is_valid(), 0, pa.scalar(None, pa.int64())))


def _read(array: pa.Array, reading: Reading) -> pa.Array:
    if is_text(decoded_type(array.type)):
        array = without_texts(array, reading.missing)
        if is_text(decoded_type(reading.type)):
            return convert(array, reading.type)
        if reading.format is not None:
            array = _required(array, reading.format)
    array = convert(array, reading.type)
    return _without_values(array, reading.missing) if reading.missing else array


def first_misfit(array: pa.Array, reading: Reading) -> int:
    """Return the position of the first cell that `read_cells` cannot read."""
    start, length = 0, len(array)
    while length > 1:
        half = length // 2
        if _fits(array.slice(start, half), reading):
            start, length = start + half, length - half
        else:
            length = half
    return start


def parsed(texts: pa.Array, format: TextFormat) -> pa.Array:
    """Return texts as plain numbers (text), times or booleans; null for text that does not fit.

    Args:
        texts: without those that mean missing.
        format: of the texts.
    """
    if format.booleans is not None:
        false, true = format.booleans
        known = pc.is_in(texts, pa.array([false, true], texts.type))
        return pc.if_else(known, pc.equal(texts, true), pa.scalar(None, pa.bool_()))
    if format.date_format is not None:
        return parsed_dates(texts, format.date_format)
    return plain_numbers(normalized_texts(texts), format)


def formatted_texts(values: pa.Array, format: TextFormat) -> pa.Array:
    """Return numbers, times or booleans as text in a format; the inverse of `parsed`."""
    if is_text(values.type):
        return values
    if format.booleans is not None and pa.types.is_boolean(values.type):
        false, true = format.booleans
        return pc.if_else(values, true, false)
    if format.date_format not in (None, ISO_MIXED):
        unit = "us" if "%f" in format.date_format else "s"
        times = values.cast(pa.timestamp(unit, getattr(values.type, "tz", None)), safe=False)
        return pc.strftime(times, re.sub("[.,]?%f", "", format.date_format))
    if pa.types.is_temporal(values.type) or pa.types.is_boolean(values.type):
        return values.cast(pa.string())
    return pa.array([format_number(value, format) for value in values.to_pylist()], pa.string())


def _required(array: pa.Array, format: TextFormat) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if format.booleans is not None:
        return array  # `convert` parses every boolean text
    texts = without_nulls(array.cast(pa.string()))
    values = parsed(texts, format)
    if values.null_count != texts.null_count:
        raise pa.ArrowInvalid("a cell is not of its column's format")
    return values


def _fits(array: pa.Array, reading: Reading) -> bool:
    try:
        _read(array, reading)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return False
    return True


def without_texts(array: pa.Array, missing: frozenset[str]) -> pa.Array:
    """Return texts, null for those in `missing` after stripping."""
    if not missing:
        return array
    if pa.types.is_dictionary(array.type):
        return (
            without_texts(array.dictionary_decode(), missing).dictionary_encode().cast(array.type)
        )
    values = pa.array(sorted(missing - {""}), array.type)
    is_missing = pc.is_in(pc.utf8_trim_whitespace(array), values)
    if "" in missing:
        is_missing = pc.or_(is_missing, pc.equal(array, ""))
    return pc.if_else(is_missing, pa.scalar(None, array.type), array)


def _without_values(array: pa.Array, missing: frozenset[str]) -> pa.Array:
    """Return numbers, booleans or times, null for the values of the texts in `missing`."""
    if is_list(array.type) or pa.types.is_nested(array.type) or pa.types.is_dictionary(array.type):
        return array
    missing_values = []
    for text in sorted(missing):
        try:
            missing_values.append(convert(pa.array([text]), array.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    if not missing_values:
        return array
    is_missing = pc.is_in(array, pa.concat_arrays(missing_values).drop_null())
    return pc.if_else(is_missing, pa.scalar(None, array.type), array)
