"""Read the series and the time of each row, by which rows are ordered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Codes, Floats, Integers
from aecli.errors import DataError, UsageError
from aecli.table.arrow_types import is_list, is_plain_number, is_text, type_name
from aecli.table.cells.reading import Reading
from aecli.table.cells.type_inference import infer_times
from aecli.table.column_names import require_column
from aecli.table.source import Source

Times = Integers | Floats

_TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_SECONDS_PER_UNIT = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class RowOrder:
    """Series `(n_rows,)` and time `(n_rows,)` of each row, None without such a column.

    Times are integers with `ticks` per second; or the column's numbers, if `ticks` is None.
    """

    rows: int
    groups: Codes | None
    times: Times | None
    ticks: int | None = None


def read_row_order(
    source: Source,
    group: Sequence[str],
    time: str | None,
    trained: Mapping[str, Reading] | None = None,
) -> RowOrder:
    """Read the columns of the series and the time of each row.

    `trained` are the readings of a model that determines the columns: then messages suggest no
    option.

    Raises:
        DataError: a column does not exist, or a time is missing or cannot be ordered.
    """
    stored = trained is not None
    for flag, names in (("--group", group), ("--time", [time] if time is not None else [])):
        for name in names:
            if stored:
                _require_column_of_model(source, name)
            else:
                require_column(source.name, source.names, name, flag)
    names = list(dict.fromkeys([*group, *([time] if time else [])]))
    formatted = {n: r for n, r in (trained or {}).items() if n in names and r.format is not None}
    selected = source.select(names, formatted)
    table = pa.Table.from_batches(selected.batches(), selected.schema)
    statement, options = source.columns.ambiguity(time or "")
    if time is not None and options.startswith("--date-format"):
        raise DataError(f"--time {time} of {source.name}: {statement}", hint=options)
    times, ticks = _times(table[time], source.name, time, stored) if time else (None, None)
    for name in group:
        if is_list(table[name].type) or pa.types.is_struct(table[name].type):
            raise DataError(
                f"--group {name} of {source.name} is a {type_name(table[name].type)}",
                hint="a column of text or numbers for --group",
            )
    groups = _groups([table[name] for name in group]) if group else None
    return RowOrder(table.num_rows, groups, times, ticks)


def is_clock(kind: pa.DataType) -> bool:
    """Return whether a time column has dates or times (also as text), not numbers."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_temporal(kind) or is_text(kind))


def _require_column_of_model(source: Source, name: str) -> None:
    if name not in source.names:
        raise DataError(
            f"{source.name} lacks the column {name!r}, by which this model orders rows",
            hint=f"a table with the column {name!r}",
        )


def parse_gap(text: str, order: RowOrder, time: str) -> float:
    """Return a gap such as 90s in the unit of the times.

    Raises:
        UsageError: a duration for times that are plain numbers, or a number for dates and times.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text)
    assert match is not None, "the options check the form"
    number, unit = float(match[1]), match[2]
    if (order.ticks is not None) == (unit is None):
        kind = "dates or times" if order.ticks else "plain numbers"
        raise UsageError(
            f"--max-gap {text} does not fit --time {time}, which contains {kind}",
            hint="--max-gap 10m" if order.ticks else f"--max-gap {number:g}",
        )
    return number * _SECONDS_PER_UNIT[unit] * order.ticks if unit and order.ticks else number


def _groups(columns: Sequence[pa.ChunkedArray]) -> Codes:
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        indices = encoded.unify_dictionaries().combine_chunks()
        indices = indices.chunk(0) if isinstance(indices, pa.ChunkedArray) else indices
        values = pc.fill_null(indices.indices, -1).to_numpy(zero_copy_only=False)
        codes = codes * (len(indices.dictionary) + 1) + values + 1
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes


def _times(
    column: pa.ChunkedArray, table: str, name: str, stored: bool
) -> tuple[Times, int | None]:
    option = "the time column" if stored else "--time"
    empty = pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0
    if empty:
        raise DataError(
            f"{empty:,} of {len(column):,} cells of {option} {name} in {table} are missing",
            hint="fill them or drop those rows"
            + ("" if stored else "; or omit --time if the rows are in order"),
        )
    column = _parse_times(column)
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_temporal(column.type) and hasattr(column.type, "unit"):
        integer = pa.int32() if column.type.bit_width == 32 else pa.int64()
        return column.cast(integer).cast(pa.int64()).to_numpy(), _TICKS_PER_SECOND[column.type.unit]
    if pa.types.is_integer(kind):
        return column.cast(pa.int64(), safe=False).to_numpy(), None
    if is_plain_number(kind):
        return column.cast(pa.float64()).to_numpy(), None
    raise DataError(
        f"{option} {name} of {table} is a {type_name(kind)}, which cannot be ordered",
        facts=["a time is a date, a timestamp or a number"],
        hint="write it as 2026-01-31T12:00:00"
        + ("" if stored else ", or omit --time to use the order of the rows"),
    )


def _parse_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text columns as dates and times; other columns unchanged."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not is_text(column.type) or not len(column):
        return column
    texts = column.combine_chunks()
    texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
    return pa.chunked_array([texts.cast(infer_times(texts))])
