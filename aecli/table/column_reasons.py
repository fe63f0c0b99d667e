"""Reasons for the treatment of number, time and vector columns, for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.schema.model_spec import Period
from aecli.table.arrow_types import element_type, is_plain_number
from aecli.table.candidate import Candidate
from aecli.table.exact_numbers import beyond_float64
from aecli.table.scaling import MAX_BYTE, NumericCells

_SCALING_WORDS = {
    "standard": "standardised",
    "minmax": "scaled 0..1 by its range",
    "robust": "scaled by median and interquartile range",
    "none": "not scaled",
    "range": "scaled by its range, too large for a standard deviation",
}


def scaling_reason(
    candidate: Candidate,
    cells: NumericCells,
    methods: npt.NDArray[np.str_],
    top: float | None,
    at: slice,
) -> str:
    """Return the kind of a varying column's values and how they are scaled.

    Args:
        candidate: the column.
        cells: of all columns.
        methods: of scaling, for each cell.
        top: maximum of the cells that share a scale.
        at: the column's cells.
    """
    method = str(methods[at][int(cells.varying[at].argmax())])
    subject = _subject(candidate, bool(cells.byte[at][0]), at.stop - at.start)
    if method != "shared":
        return f"{subject}: {_SCALING_WORDS[method]}"
    others = int((methods == "shared").sum() - (methods[at] == "shared").sum())
    if candidate.kind == "number" and top != MAX_BYTE:
        subject = "small integer"
    return f"{subject}: scaled 0..1" + (f" with the other {others:,}" if others else "")


def digits_note(candidate: Candidate, cells: NumericCells, at: slice, origin: str | None) -> str:
    """Return a note on digits that a float64 cannot represent."""
    if candidate.kind != "number" or not is_plain_number(element_type(candidate.type)):
        return ""
    if origin is not None:
        return f", as the difference from {origin}"
    if not beyond_float64(candidate.type, float(cells.low[at][0]), float(cells.high[at][0])):
        return ""
    return "; computed as float64: digits beyond the 15th are kept in copied cells only"


def periods_note(periods: Sequence[Period]) -> str:
    """Return a note on the periods whose sine and cosine are inputs."""
    return f", phases of {', '.join(periods)}" if periods else ""


def _subject(candidate: Candidate, byte: bool, size: int) -> str:
    kind = candidate.type
    if candidate.kind == "vector":
        return f"vector of {size:,} {'unsigned bytes' if byte else 'numbers'}"
    for test, subject in (
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "date and time"),
        (pa.types.is_time, "time of day"),
        (pa.types.is_duration, "duration"),
        (pa.types.is_uint8, "unsigned byte"),
    ):
        if test(kind):
            return subject
    return "number"
