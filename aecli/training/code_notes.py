"""Note on integers with few values that look like category codes but are treated as numbers."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from aecli.array_types import Integers
from aecli.formatting import shell_name
from aecli.table.arrow_types import parse_type
from aecli.table.column_plan import ColumnPlan
from aecli.table.source import Source
from aecli.training.order_notes import first_rows

MIN_CODES, MAX_CODES = 3, 20
MIN_ROWS_PER_CODE = 10
SHOWN_COLUMNS = 3
MAX_CHECKED_COLUMNS = 200

CLEAR_PEAK = 3.0
"""Ratio of the largest to the smallest count above which a single peak means an ordinal scale."""

AMOUNT_WORDS = """
age amount bath bathrooms baths bedrooms children count counts day days dependents depth doors
duration floor floors grade height hour hours length level levels minute minutes month months n
nr num number points qty quantity quarter rank rate rating rooms score seats second seconds
siblings size stars step temperature times total visits wait week weeks weight width year years
"""
"""Words in names of columns that contain amounts, whatever their values."""


def code_notes(source: Source, plan: ColumnPlan) -> list[str]:
    """Return a note, in a list, on integer columns that look like category codes."""
    amounts = set(AMOUNT_WORDS.split())
    columns = [
        column.name
        for column in plan.columns
        if column.kind == "number"
        and not column.constant
        and column.reason.startswith("number: standardised")
        and pa.types.is_integer(parse_type(column.type))
        and not amounts & set(re.findall(r"[a-z]+", column.name.lower()))
    ][:MAX_CHECKED_COLUMNS]
    codes = _code_columns(source, columns) if columns else {}
    if not codes:
        return []
    shown = [f"{name} ({values} values)" for name, values in list(codes.items())[:SHOWN_COLUMNS]]
    more = f" and {len(codes) - SHOWN_COLUMNS:,} more" if len(codes) > SHOWN_COLUMNS else ""
    flag = ",".join(list(codes)[:SHOWN_COLUMNS])
    return [
        f"integers with few values are treated as numbers: {', '.join(shown)}{more}; "
        f"if they are codes, --categorical {shell_name(flag)}"
    ]


def _code_columns(source: Source, columns: list[str]) -> dict[str, int]:
    """Return the number of values of each column whose values look like codes."""
    columns_of_codes = {}
    table = first_rows(source, columns)
    for name in columns:
        values, counts = np.unique(table[name].drop_null().to_numpy(), return_counts=True)
        if _are_codes(values.astype(np.int64), counts.astype(np.int64)):
            columns_of_codes[name] = len(values)
    return columns_of_codes


def _are_codes(values: Integers, counts: Integers) -> bool:
    """Return whether sorted values with their counts are few and not like an ordinal scale.

    Amounts and scales have one peak, or fall from their lowest value; codes have gaps, several
    peaks or similar counts.
    """
    if not MIN_CODES <= len(values) <= MAX_CODES or counts.sum() < MIN_ROWS_PER_CODE * len(values):
        return False
    steps = np.diff(values)
    if (steps != steps[0]).any() and counts.min() >= MIN_ROWS_PER_CODE:
        return True
    noise = 2 * np.sqrt(counts[1:] + counts[:-1])
    changes = np.diff(counts)
    signs = np.sign(changes)[np.abs(changes) > noise]
    rises_again = bool((np.diff(signs) > 0).any())
    return rises_again or counts.max() < CLEAR_PEAK * counts.min()
