"""Say which cell, input and output of a network belongs to which column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aecli.schema.model_spec import Column

NUMERIC = ("number", "time", "vector")


@dataclass(frozen=True)
class Layout:
    """Position of each varying column among the cells: numbers, then booleans, then categories.

    `numeric`, `boolean` and `category` are the columns of each block in order; `column_of[cell]`
    counts the varying columns in that same order. `indicators` are the cells whose
    absence is an input, and `compressed` those that are inputs a second time, compressed.
    """

    numeric: tuple[Column, ...]
    boolean: tuple[Column, ...]
    category: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the varying columns in the order of their cells."""
        return self.numeric + self.boolean + self.category

    @property
    def numbers(self) -> int:
        """Return how many cells are scaled numbers."""
        return sum(column.size for column in self.numeric)

    @property
    def booleans(self) -> int:
        """Return how many cells are booleans."""
        return len(self.boolean)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Return the number of logits of each category column."""
        return tuple(len(column.categories) + column.has_other for column in self.category)

    @property
    def widths(self) -> tuple[int, ...]:
        """Return how many cells each varying column has."""
        return tuple(c.size if c.kind in NUMERIC else 1 for c in self.columns)

    @property
    def column_of(self) -> tuple[int, ...]:
        """Return, for each cell, the index of its column in `columns`."""
        return tuple(index for index, width in enumerate(self.widths) for _ in range(width))

    @property
    def indicators(self) -> tuple[int, ...]:
        """Return the cells of columns that had missing cells in training, or were masked there."""
        told = [column.has_missing or column.masked for column in self.columns]
        return tuple(cell for cell, owner in enumerate(self.column_of) if told[owner])

    @property
    def compressed(self) -> tuple[int, ...]:
        """Return the cells of columns whose long tail the network also reads compressed."""
        return tuple(
            cell for cell, owner in enumerate(self.column_of) if self.columns[owner].compressed
        )

    @property
    def cells(self) -> int:
        """Return the number of cells in a row."""
        return self.numbers + self.booleans + len(self.category)

    @property
    def outputs(self) -> int:
        """Return the width of a network's output."""
        return self.numbers + self.booleans + sum(self.cardinalities)

    @property
    def inputs(self) -> int:
        """Return the width of a network's input."""
        return self.outputs + len(self.indicators) + len(self.compressed)


def lay_out(columns: Sequence[Column]) -> Layout:
    """Lay the varying columns out in blocks; constant columns have no cells."""
    varying = [column for column in columns if not column.constant]
    return Layout(
        numeric=tuple(c for c in varying if c.kind in NUMERIC),
        boolean=tuple(c for c in varying if c.kind == "boolean"),
        category=tuple(c for c in varying if c.kind == "category"),
    )
