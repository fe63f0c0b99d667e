"""Find the type of text columns from all their values, one batch at a time."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from aecli.table.types import is_text

# Tried in this order; a later type holds every value that an earlier one held, except that a
# column of truth values or of times was never a number.
NUMBERS = (pa.int64(), pa.float64())
TRUTHS = (pa.bool_(),)
TIMES = (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
FAMILIES = (NUMBERS, TRUTHS, TIMES)
ZERO_PADDED = r"^\s*[-+]?0\d"


class TypeFinder:
    """Narrow one column's type while its values pass by as text.

    Codes with leading zeros, such as 007, stay text.
    """

    def __init__(self) -> None:
        self._open: list[pa.DataType] | None = None

    def add(self, values: pa.Array) -> None:
        """Take in one batch of strings; nulls say nothing."""
        if self._open == [] or values.null_count == len(values):
            return
        if self._open is None:
            self._open = self._family_of(values)
            return
        while self._open and not _fits(values, self._open[0]):
            self._open.pop(0)

    def type(self) -> pa.DataType:
        """Return the narrowest type that held every value: text if none did, null without values."""
        if self._open is None:
            return pa.null()
        return self._open[0] if self._open else pa.string()

    def _family_of(self, values: pa.Array) -> list[pa.DataType]:
        for family in FAMILIES:
            for position, kind in enumerate(family):
                if _fits(values, kind):
                    return list(family[position:])
        return []


def _fits(values: pa.Array, kind: pa.DataType) -> bool:
    try:
        values.cast(kind)
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(values)
        if trimmed.equals(values):
            return False
        try:
            trimmed.cast(kind)
        except pa.ArrowInvalid:
            return False
    if not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        return True
    return not pc.any(pc.match_substring_regex(values, ZERO_PADDED)).as_py()


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the narrowest type for values of both, text where there is no other."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for family in FAMILIES:
        if one in family and other in family:
            return family[max(family.index(one), family.index(other))]
    return other if is_text(other) and is_text(one) else pa.string()
