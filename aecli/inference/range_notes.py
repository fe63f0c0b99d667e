"""Describe columns with many values that are out of range, or differ from a constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from aecli.formatting import count, shell_name
from aecli.schema.model_spec import Column
from aecli.table.bounds import bound_text

MAX_SILENT_SHARE = 0.02
"""Maximum share of a column's values that are out of range without a note."""

RANGE_NOTES_SHOWN = 5

NAME_SHOWN = 40
"""Maximum length of a column's name or of a value in a note."""

RangeCounts: TypeAlias = tuple[Column, int, int, int]
"""Column, the number of its values, and the numbers below and above the range of training."""


def range_notes(varying: Sequence[RangeCounts], constants: Sequence[RangeCounts]) -> list[str]:
    """Return one line per column: constant columns, then by their share of values out of range.

    A constant column has a line as soon as one value differs.
    """
    many = [(n + m) / seen for _, seen, n, m in varying]
    order = sorted(range(len(varying)), key=lambda i: -many[i])
    lines = [_constant_note(*counts) for counts in constants]
    lines += [_range_note(*varying[i]) for i in order if many[i] > MAX_SILENT_SHARE]
    rest = len(lines) - RANGE_NOTES_SHOWN
    more = [f"{count(rest, 'more column')} with values that training did not have"]
    return lines[:RANGE_NOTES_SHOWN] + (more if rest > 0 else [])


def _constant_note(column: Column, observed: int, below: int, above: int) -> str:
    differing = below + above
    only = "the only vector" if column.size > 1 else f"{_constant_text(column)}, the only one"
    differ = "differ" if differing > 1 else "differs"
    moved = f"; {_excluded(column)}" if 2 * differing > observed else ""
    return f"{_counted(column, observed, differing)} {differ} from {only} in training{moved}"


def _constant_text(column: Column) -> str:
    if column.kind == "category":
        return _clipped(str(column.mode))
    if column.kind != "boolean":
        return bound_text(column, column.low[0])
    texts = column.text_format and column.text_format.booleans
    return (texts or ("false", "true"))[bool(column.mode)]


def _range_note(column: Column, observed: int, below: int, above: int) -> str:
    counted = _counted(column, observed, below + above)
    if column.kind == "vector":
        return f"{counted} outside the range of their element in training"
    low, high = bound_text(column, column.low[0]), bound_text(column, column.high[0])
    hint = _excluded(column)
    if not column.moves_forward:
        # Most of them on one side: a counter, or a time stored as a number.
        moved = f"; {hint}" if 2 * max(below, above) > observed else ""
        return f"{counted} outside the training range {low} to {high}{moved}"
    if not below:
        return f"{counted} after the last training date {high}; {hint}"
    if not above:
        return f"{counted} before the first training date {low}; {hint}"
    return f"{counted} outside the training dates {low} to {high}; {hint}"


def _excluded(column: Column) -> str:
    return f"try --exclude {shell_name(column.name)}"


def _counted(column: Column, observed: int, beyond: int) -> str:
    what = "element" if column.size > 1 else "value"
    return f"{_clipped(column.name)}: {beyond:,} of {count(observed, what)}"


def _clipped(text: str) -> str:
    return text if len(text) <= NAME_SHOWN else text[: NAME_SHOWN - 1] + "…"
