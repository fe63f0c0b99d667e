"""Notes on the order of a table's rows: times and keys that the split or the windows ignore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pyarrow as pa

from aecli.array_types import Codes, Floats, Mask
from aecli.features.windows import Series
from aecli.formatting import shell_name
from aecli.schema.options import TrainOptions
from aecli.table.arrow_types import decoded_type, is_text
from aecli.table.candidate import named_like_identifier
from aecli.table.column_plan import ColumnPlan
from aecli.table.source import Source

CHECKED_ROWS = 200_000
"""Number of first rows that are checked for notes."""

MIN_ORDERED_ROWS = 50
SAME_ORDER = 0.99
"""Rank correlation of a time with the row number above which the rows are in time order."""

MIN_KEYS = 5
SHARED_KEYS = 0.5
"""Share of held-out rows with the key of a training row above which there is a note."""

STEADY = 0.9
"""Share of equal steps above which a column of integers is a time."""

MAX_KEY_COLUMNS = 8
"""Maximum number of columns that are read for one note."""


def split_notes(
    source: Source, plan: ColumnPlan, options: TrainOptions, train_rows: Mask
) -> Iterator[str]:
    """Yield notes on a time or a key by which random validation rows resemble training rows."""
    if train_rows.all() or len(train_rows) < MIN_ORDERED_ROWS:
        return
    readings = source.readings
    clocks = [name for name in source.names if _is_clock(readings[name].type)]
    labels = [options.columns.label]
    for name in clocks:
        if name in labels or name in options.columns.exclude:
            continue
        correlation = _order(_ticks(source, name))
        if abs(correlation) >= SAME_ORDER:
            last = f"--valid last:{options.training.valid}"
            newest = f"--time {shell_name(name)} " if correlation < 0 else ""
            yield (
                f"rows are in order of {name}{', newest first' if correlation < 0 else ''}: random "
                f"validation rows lie between training rows; {newest}{last} holds out the newest"
            )
            break
    for name in _keys(plan)[:MAX_KEY_COLUMNS]:
        if name not in clocks and (note := _key_note(source, name, train_rows)):
            yield note
            break


def _keys(plan: ColumnPlan) -> list[str]:
    """Return the identifiers, and the columns with values or names like identifiers."""
    left_out = [item.name for item in plan.left_out if "identifier" in item.reason]
    named = [
        column.name
        for column in plan.columns
        if column.kind in ("category", "number", "text") and named_like_identifier(column.name)
    ]
    return [*(item.name for item in plan.ids), *left_out, *named]


def _key_note(source: Source, name: str, train_rows: Mask) -> str:
    kind = decoded_type(source.readings[name].type)
    if not (is_text(kind) or pa.types.is_integer(kind)):
        return ""
    keys = _codes(source, name)
    trained = train_rows[: len(keys)]
    distinct, held_out = len(np.unique(keys)), keys[~trained]
    shared = np.isin(held_out, keys[trained])
    if distinct < MIN_KEYS or not len(held_out) or shared.mean() < SHARED_KEYS:
        return ""
    return (
        f"{int(shared.sum()):,} of {len(held_out):,} validation rows share their {name} with "
        f"training rows ({distinct:,} values); --valid group:{shell_name(name)} holds out "
        "complete groups"
    )


def window_notes(source: Source, series: Series, plan: ColumnPlan) -> list[str]:
    """Return a note, in a list, if a time decreases or repeats within the series."""
    options, rows = series.options, min(series.keys.rows, CHECKED_ROWS)
    names = [name for name in source.names if name not in options.group]
    times = [options.time] if options.time else _times_of(source, names)
    groups = np.zeros(rows, dtype=np.int64) if series.keys.groups is None else series.keys.groups
    known = series.keys.times
    for time in times:
        ticks = _ticks(source, time) if known is None else known[:rows].astype(np.float64)
        if options.time is not None:
            order = np.lexsort((ticks, groups[:rows]))
        else:
            order = np.argsort(groups[:rows], kind="stable")
        if (note := _restarts(ticks[order], groups[:rows][order])) is None:
            continue
        chosen = _separating(source, plan, ticks, groups[:rows], [n for n in names if n != time])
        if chosen:
            flag = ",".join([*options.group, *chosen])
            return [f"{time} {note}, but not within one {' and '.join(chosen)}; try --group {flag}"]
        if options.time is None and "backwards" in note:
            return [f"{time} {note}; --time {shell_name(time)} sorts the rows"]
        if options.time is not None:
            return [f"{time} {note}; try --group with the column that names a series"]
    return []


def _times_of(source: Source, names: Sequence[str]) -> list[str]:
    """Return the dates and timestamps, else the integers that rise by a constant step."""
    kinds = {name: decoded_type(source.readings[name].type) for name in names}
    clocks = [name for name in names if _is_clock(kinds[name])]
    if clocks:
        return clocks
    counting = []
    for name in [n for n in names if pa.types.is_integer(kinds[n])][:MAX_KEY_COLUMNS]:
        steps = np.diff(_ticks(source, name))
        if len(steps):
            values, counts = np.unique(steps, return_counts=True)
            common = values[counts.argmax()]
            counting += [name] if common > 0 and counts.max() >= STEADY * len(steps) else []
    return counting


def _restarts(ticks: Floats, groups: Codes) -> str | None:
    """Return how the times within groups are out of order; None if they are in order."""
    steps = np.diff(ticks)[groups[1:] == groups[:-1]]
    backwards, repeated = int((steps < 0).sum()), int((steps == 0).sum())
    if backwards:
        return f"runs backwards {backwards:,} times" if backwards > 1 else "runs backwards once"
    if repeated > len(steps) / 20:
        return f"repeats in {repeated:,} rows"
    return None


def _separating(
    source: Source, plan: ColumnPlan, ticks: Floats, groups: Codes, names: Sequence[str]
) -> tuple[str, ...]:
    """Return one or two columns within whose groups the times rise; empty if there are none."""
    readings = source.readings
    categories = {column.name for column in plan.columns if column.kind == "category"}
    candidates = [
        name
        for name in names
        if name in categories
        or is_text(decoded_type(readings[name].type))
        or pa.types.is_integer(decoded_type(readings[name].type))
    ][:MAX_KEY_COLUMNS]
    column_codes = {name: _codes(source, name) for name in candidates}
    for size in (1, 2):
        for chosen in combinations(candidates, size):
            codes = groups
            for name in chosen:
                codes = codes * (column_codes[name].max(initial=0) + 1) + column_codes[name]
            codes = np.unique_inverse(codes).inverse_indices
            order = np.argsort(codes, kind="stable")
            groups_found = len(np.unique(codes))
            few = 2 * groups_found <= len(codes)
            if few and groups_found > 1 and _restarts(ticks[order], codes[order]) is None:
                return chosen
    return ()


def _is_clock(kind: pa.DataType) -> bool:
    kind = decoded_type(kind)
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _order(ticks: Floats) -> float:
    """Return the rank correlation of values with their positions, without missing values."""
    present = ticks[~np.isnan(ticks)]
    if len(present) < MIN_ORDERED_ROWS or len(present) < len(ticks) / 2:
        return 0.0
    _, codes, counts = np.unique(present, return_inverse=True, return_counts=True)
    if len(counts) < MIN_KEYS:
        return 0.0
    ranks = (np.cumsum(counts) - counts / 2)[codes]
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])


def first_rows(source: Source, names: Sequence[str]) -> pa.Table:
    """Return the first `CHECKED_ROWS` rows of some columns."""
    batches, rows = [], 0
    selected = source.select(list(names))
    for batch in selected.batches():
        batches.append(batch)
        rows += batch.num_rows
        if rows >= CHECKED_ROWS:
            break
    return pa.Table.from_batches(batches, selected.schema).slice(0, CHECKED_ROWS)


def _ticks(source: Source, name: str) -> Floats:
    """Return the first rows of a date, timestamp or integer as numbers, NaN for missing ones."""
    column = first_rows(source, [name])[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_integer(column.type):
        column = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    ticks: Floats = column.cast(pa.float64(), safe=False).to_numpy()
    return ticks


def _codes(source: Source, name: str) -> Codes:
    """Return a code of each of the first rows; equal values have equal codes."""
    column = first_rows(source, [name]).unify_dictionaries()[name]
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    indices = [chunk.indices for chunk in column.chunks]
    codes = pa.chunked_array(indices, column.type.index_type).cast(pa.int64()).fill_null(-1)
    shifted: Codes = codes.to_numpy() + 1
    return shifted
