"""Say what the reader of every format offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa


class Part(Protocol):
    """Read one file, or one table in memory."""

    name: str
    format: str
    text: bool
    names: list[str]
    n_rows: int | None

    def types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types of columns."""

    def batches(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns of `types` in that order, not always of these types."""

    def size(self, types: Mapping[str, pa.DataType]) -> int | None:
        """Return the bytes that columns take in memory, roughly."""

    def place(self, row: int) -> str:
        """Say where a row, counted from 0, is."""
