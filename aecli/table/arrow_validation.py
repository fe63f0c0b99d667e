"""Validate Arrow columns: a damaged offset or index would read memory outside of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import DataError
from aecli.formatting import STANDARD_INPUT, TABLE_IN_MEMORY, check_file_command

_INVALID_TEXT = re.compile(r"Invalid UTF8 sequence at string index (\d+)")
_INVALID_DICTIONARY_TEXT = re.compile(r"Dictionary array invalid: (Invalid: )?Invalid UTF8")
_MAX_ROWS_WITHOUT_BYTES = 2**31 - 1


def require_valid_columns(
    columns: Sequence[pa.Array], names: Sequence[str], file: str, before: int
) -> None:
    """Validate the columns of one batch, which follows `before` rows of a file.

    Raises:
        DataError: offsets, indices, lengths, text or values of a column are invalid.
    """
    rows = len(columns[0]) if columns else 0
    for column, name in zip(columns, names, strict=True):
        try:
            _storage(column).validate(full=True)
            if len(column) != rows:
                raise pa.ArrowInvalid(f"{len(column):,} cells, the first column has {rows:,}")
        except pa.ArrowException as error:
            raise _column_error(column, name, file, before, error) from error
    size = sum(column.get_total_buffer_size() for column in columns)
    if rows > max(_MAX_ROWS_WITHOUT_BYTES, 8 * size):
        raise DataError(
            f"{file}: a batch of {rows:,} rows has {size:,} bytes",
            facts=["its length is damaged, or its columns have no content"],
            hint=another_copy(file),
        )


def _storage(column: pa.Array) -> pa.Array:
    """Return the array to validate: date64 values may include a time of day, unlike in Arrow."""
    return column.view(pa.int64()) if pa.types.is_date64(column.type) else column


def _column_error(
    column: pa.Array, name: str, file: str, before: int, error: pa.ArrowException
) -> DataError:
    reason = str(error).splitlines()[0].replace("Invalid: ", "")[:200]
    row = _invalid_text_row(column, str(error))
    if row is not None:
        where = f"row {before + row + 1:,}"
    else:
        where = f"rows {before + 1:,} to {before + max(1, len(column)):,}"
    where = f"{file}, {where}, column {name!r}"
    if _INVALID_TEXT.search(reason):
        hint = f"write {name!r} again as UTF-8, or leave it out"
        facts = [reason] if row is None else []
        return DataError(f"{where}: the text is not valid UTF-8", facts=facts, hint=hint)
    return DataError(
        f"{where}: the cells are damaged",
        facts=[reason],
        hint=f"{another_copy(file)}, or leave {name!r} out",
    )


def _invalid_text_row(column: pa.Array, reason: str) -> int | None:
    """Return the row of the first invalid text; None if the text is nested in other values."""
    match = _INVALID_TEXT.search(reason)
    if match is None:
        return None
    if reason.startswith(match[0]):
        return int(match[1])
    if pa.types.is_dictionary(column.type) and _INVALID_DICTIONARY_TEXT.match(reason):
        row = pc.index(column.indices.cast(pa.int64()), int(match[1])).as_py()
        return None if row < 0 else int(row)
    return None


def another_copy(file: str) -> str:
    """Return the hint for a damaged table: how to get an undamaged one."""
    if file == TABLE_IN_MEMORY:
        return "create the table again"
    command = check_file_command(file)
    return command if file == STANDARD_INPUT else f"{command}, and copy it again"
