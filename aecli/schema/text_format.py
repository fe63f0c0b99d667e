"""Format of numbers, dates and booleans in the text cells of a column."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aecli.schema.option_types import Character, StrictModel

ISO_MIXED = "ISO 8601, without a zone UTC"
"""Date format of a column whose times have a zone in some cells only."""

Affix = Annotated[str, Field(max_length=16)]


class TextFormat(StrictModel):
    """Format of the values of a column as text, where it is not the usual one of CSV files.

    `date_format` is one of `strptime`; `booleans` are the texts of false and true.
    """

    decimal: Literal[".", ","] = "."
    thousands: Character | None = None
    prefix: Affix = ""
    suffix: Affix = ""
    date_format: Annotated[str, Field(max_length=100)] | None = None
    booleans: tuple[str, str] | None = None

    def describe(self) -> str:
        """Return a description of the format, as in "decimal comma, thousands '.', in €"."""
        if self.booleans is not None:
            return " or ".join(reversed(self.booleans))
        if self.date_format is not None:
            return self.date_format
        parts = ["decimal comma"] if self.decimal == "," else []
        parts += [f"thousands mark {self.thousands!r}"] if self.thousands else []
        unit = (self.prefix + self.suffix).strip()
        parts += [f"in {unit}"] if unit else []
        return ", ".join(parts) or "minus sign after the number, or parentheses"
