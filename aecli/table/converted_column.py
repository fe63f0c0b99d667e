"""Convert a column of a file to its type, and name the cell that cannot be converted."""

from __future__ import annotations

import re
import shlex

import pyarrow as pa

from aecli.errors import DataError
from aecli.table.arrow_types import type_name, type_noun
from aecli.table.cells.reading import Reading, first_misfit, read_cells
from aecli.table.readers import TableReader


def converted_column(
    array: pa.Array,
    column: pa.Field,
    reading: Reading,
    reader: TableReader,
    before: int,
    ambiguity: tuple[str, str],
) -> pa.Array:
    """Return a batch's column as its type.

    Args:
        array: the batch's column.
        column: its name and type.
        reading: how it is read.
        reader: of the file.
        before: the number of earlier rows of the file.
        ambiguity: what is ambiguous in its cells, and the options that resolve it.

    Raises:
        DataError: a cell is not of the type.
    """
    try:
        return read_cells(array, reading)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        at = first_misfit(array, reading)
        value = str(array[at].as_py())
        shown = repr(value if len(value) <= 40 else value[:40] + "…")
        text_format = reading.format.describe() if reading.format else ""
        kind = type_name(column.type)
        facts = [f"the column is {kind}" + (f", {text_format}" if text_format else "")]
        listed = len(value) <= 40 and not re.search(r"[\d,\n]", value)
        hint = f"--null-values {shlex.quote(value)}" if listed else "correct the cell"
        statement, options = ambiguity
        if statement:
            facts = [*facts, f"its cells are {statement}"]
            hint = options or f"convert {column.name!r}"
        raise DataError(
            f"{reader.name}, {reader.row_location(before + at)}, column {column.name!r}: "
            f"{shown} is not a {type_noun(column.type)}",
            facts=facts,
            hint=hint,
        ) from error
