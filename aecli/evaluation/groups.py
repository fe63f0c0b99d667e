"""Divide rows into groups by the values of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import DataError
from aecli.table.arrow_types import is_plain_number, is_text, type_name
from aecli.table.source import Source

MAX_GROUPS = 20
"""Maximum number of groups with one value; rows with rarer values are one group."""

MAX_GROUP_VALUES = 1_000


def read_groups(source: Source, column: str) -> tuple[dict[str | None, int], list[int]]:
    """Count the rows of each value of a column, the most frequent first; None is a missing cell.

    The second part has the counts of rarer values, which form one group.

    Raises:
        DataError: it has more than 1,000 values, or a type without a text form.
    """
    counts: Counter[str | None] = Counter()
    for batch in source.select([column]).batches():
        for item in pc.value_counts(_as_text(batch.column(0), column)):
            counts[item["values"].as_py()] += item["counts"].as_py()
        if len(counts) > MAX_GROUP_VALUES:
            raise DataError(
                f"column {column!r} has more than {MAX_GROUP_VALUES:,} values: too many for groups",
                hint=f"a column with few values, such as ranges of {column!r}",
            )
    # Equally frequent values are sorted as text, missing ones last.
    ranked = sorted(counts, key=lambda value: (-counts[value], value is None, value or ""))
    frequent, rare = ranked[:MAX_GROUPS], ranked[MAX_GROUPS:]
    if len(rare) == 1:
        frequent, rare = ranked, []
    return {value: counts[value] for value in frequent}, [counts[value] for value in rare]


def group_codes(
    array: pa.Array, column: str, values: Sequence[str | None]
) -> npt.NDArray[np.int64]:
    """Return the group `(n_rows,)` of each row; `len(values)` is the group of rarer values."""
    indices = pc.index_in(_as_text(array, column), value_set=pa.array(values, pa.string()))
    filled = pc.fill_null(indices.cast(pa.int64()), len(values))
    codes: npt.NDArray[np.int64] = filled.to_numpy(zero_copy_only=False)
    return codes


def _as_text(array: pa.Array, column: str) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind, types = array.type, pa.types
    has_text_form = is_text(kind) or is_plain_number(kind) or types.is_temporal(kind)
    if not (has_text_form or types.is_boolean(kind) or types.is_null(kind)):
        raise DataError(
            f"column {column!r} is {type_name(kind)}: its values cannot form groups",
            hint="a column of text, numbers, booleans or dates",
        )
    if types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    return array.cast(pa.string())
