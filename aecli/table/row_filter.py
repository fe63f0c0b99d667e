"""Conditions on columns, such as day>=2026-01-01: which rows, row groups and files are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import DataError, UsageError, nearest
from aecli.table.arrow_types import decoded_type, type_noun
from aecli.table.cells.conversion import convert

_CONDITION = re.compile(
    r"""\s*(?P<column>"[^"]*"|'[^']*'|.+?)\s*(?P<comparison><=|>=|!=|==|=|<|>)"""
    r"""\s*(?P<value>"[^"]*"|'[^']*'|.*?)\s*(?:$|\sand\s)""",
    re.DOTALL | re.IGNORECASE,
)
_EXAMPLE = "--where 'day>=2026-01-01 and country=DE'"

_COMPARE: dict[str, Callable[[pa.Array, pa.Scalar], pa.Array]] = {
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
    "==": pc.equal,
    "!=": pc.not_equal,
}
_OF_BOUNDS = {
    "<": (("<", 0),),
    "<=": (("<=", 0),),
    ">": ((">", 1),),
    ">=": ((">=", 1),),
    "==": (("<=", 0), (">=", 1)),
    "!=": (),
}
"""Comparisons of the minimum (0) and the maximum (1) that hold if one of the values may do so."""


@dataclass(frozen=True)
class RowCondition:
    """Comparison of a column with a value; a missing cell does not fulfil it."""

    column: str
    comparison: str
    text: str

    def mask(self, cells: pa.Array) -> pa.BooleanArray:
        """Return which cells `(n_rows,)` fulfil the condition.

        Raises:
            UsageError: the value is not of the column's type.
        """
        return self._compared(cells, self.comparison)

    def may_hold(self, bounds: pa.Array) -> bool:
        """Return whether values between a minimum and a maximum `(2,)` may fulfil the condition."""
        try:
            holds = [self._compared(bounds, c)[at].as_py() for c, at in _OF_BOUNDS[self.comparison]]
        except UsageError:
            return True  # the rows raise the same error, or have another type
        return all(holds)

    def _compared(self, cells: pa.Array, comparison: str) -> pa.BooleanArray:
        kind = decoded_type(cells.type)
        try:
            compared, value = self._wide(cells.cast(kind) if kind != cells.type else cells)
            return pc.fill_null(_COMPARE[comparison](compared, value), False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise UsageError(
                f"--where: {self.text!r} is not a {type_noun(kind)}, which column "
                f"{self.column!r} has",
                hint=_EXAMPLE,
            ) from error

    def _wide(self, cells: pa.Array) -> tuple[pa.Array, pa.Scalar]:
        """Return the cells and the value in a type that has both.

        A value may be beyond the type of the cells: 1.5 for integers, a time for dates.
        """
        kind, text = cells.type, pa.array([self.text], pa.string())
        if pa.types.is_date(kind):
            kind = pa.timestamp("us")
        elif pa.types.is_float16(kind):
            kind = pa.float32()
        elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            kind = _type_of_number(self.text, kind)
        elif pa.types.is_timestamp(kind) and kind.tz is not None:
            with suppress(pa.ArrowInvalid):
                local = convert(text, pa.timestamp(kind.unit))
                return cells, pc.assume_timezone(local, kind.tz, ambiguous="earliest")[0]
        return cells.cast(kind, safe=False) if kind != cells.type else cells, convert(text, kind)[0]


def _type_of_number(text: str, kind: pa.DataType) -> pa.DataType:
    """Return the type in which integers or decimals are compared with a number."""
    if pa.types.is_decimal(kind):
        digits = max(0, -int(Decimal(text).as_tuple().exponent)) if _is_decimal(text) else 0
        return pa.decimal256(76, max(kind.scale, digits))
    try:
        number = int(text)
    except ValueError:
        return pa.float64()
    exact = kind if kind == pa.uint64() else pa.int64()
    low, high = (0, 2**64) if kind == pa.uint64() else (-(2**63), 2**63)
    return exact if low <= number < high else pa.float64()


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def parse_conditions(text: str | None, names: Sequence[str]) -> tuple[RowCondition, ...]:
    """Return the conditions in a text, joined by `and`; none for None.

    Columns and values with ` and `, with a comparison or with spaces at an end are quoted.

    Raises:
        UsageError: the text is not a comparison, or names a column that is not in `names`.
    """
    conditions: list[RowCondition] = []
    start = 0
    while text is not None and (start < len(text) or not conditions):
        match = _CONDITION.match(text, start)
        if match is None:
            raise UsageError(
                f"--where {text[start:]!r} is not a comparison of a column with a value",
                facts=["comparisons: = != < <= > >=, joined by and"],
                hint=_EXAMPLE,
            )
        conditions.append(_condition(match, names))
        start = match.end()
    return tuple(conditions)


def _condition(match: re.Match[str], names: Sequence[str]) -> RowCondition:
    column, comparison, value = _unquoted(match[1]), match[2], _unquoted(match[3])
    if column not in names:
        near = nearest(column, names)
        raise UsageError(
            f"--where: the table has no column {column!r}",
            hint=f"--where '{near}{comparison}{value}'" if near else "aecli inspect DATA",
        )
    return RowCondition(column, "==" if comparison == "=" else comparison, value)


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text


def no_rows_error(text: str, name: str) -> DataError:
    """Return the error of a table without a file whose rows may fulfil the conditions."""
    return DataError(
        f"no file of {name} has rows with {text}",
        facts=["the values in the names of its folders do not fulfil it"],
        hint="aecli inspect DATA",
    )
