"""Columns of a table that may become features."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from aecli.schema.model_spec import Kind
from aecli.schema.text_format import TextFormat
from aecli.table.arrow_types import decoded_type, is_text

_ID_WORDS = {"id", "uid", "uuid", "guid", "rowid"}


@dataclass(frozen=True)
class Candidate:
    """Column that may become a feature, with its kind by its type.

    `exact` columns are kept in any case; `categorical` ones are categories by the options.
    """

    name: str
    type: pa.DataType
    kind: Kind
    exact: bool
    text_format: TextFormat | None = None
    scale: str = "auto"
    categorical: bool = False

    @property
    def counted(self) -> bool:
        """Return whether its values are counted: categories, integers named like identifiers."""
        if self.kind in ("category", "text"):
            return True
        return self.may_be_row_number and named_like_identifier(self.name)

    @property
    def may_be_text(self) -> bool:
        """Return whether it is text, which is a category if it has few values."""
        text = self.kind == "category" and is_text(decoded_type(self.type))
        return self.kind == "text" or (text and not self.categorical)

    @property
    def may_be_row_number(self) -> bool:
        """Return whether it may be a row number."""
        return self.kind == "number" and not self.exact and bool(pa.types.is_integer(self.type))


def named_like_identifier(name: str) -> bool:
    """Return whether the first or last word is `id` or similar: `UID`, `order_id`, `userId`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return bool(words) and bool({words[0].lower(), words[-1].lower()} & _ID_WORDS)
