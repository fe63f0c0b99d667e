"""How the text cells of a column spell numbers, dates and booleans."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aecli.schema.option_types import Sign, StrictModel

ISO_MIXED = "ISO 8601, without a zone UTC"
"""Date format of a column whose times have a zone in some cells only."""

Affix = Annotated[str, Field(max_length=16)]


class TextFormat(StrictModel):
    """Spelling of a column's values as text, where it is not the plain one of CSV files.

    `date_format` is one of `strptime`; `booleans` are the texts of false and true.
    """

    decimal: Literal[".", ","] = "."
    thousands: Sign | None = None
    prefix: Affix = ""
    suffix: Affix = ""
    date_format: Annotated[str, Field(max_length=100)] | None = None
    booleans: tuple[str, str] | None = None

    def describe(self) -> str:
        """Return what is unusual about it, as in "decimal comma, thousands '.', in €"."""
        if self.booleans is not None:
            return " or ".join(reversed(self.booleans))
        if self.date_format is not None:
            return self.date_format
        parts = ["decimal comma"] if self.decimal == "," else []
        parts += [f"thousands mark {self.thousands!r}"] if self.thousands else []
        unit = (self.prefix + self.suffix).strip()
        parts += [f"in {unit}"] if unit else []
        return ", ".join(parts) or "minus behind or in parentheses"
