"""Layout of a network's cells, inputs and outputs by column; conversion of cells to inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aecli.schema.model_spec import Column

NUMERIC = ("number", "time", "vector")

STEEP = 100.0
"""Compressed numbers are linear within 1/100 of a scaled unit, and logarithmic beyond."""


@dataclass(frozen=True)
class Layout:
    """Position of each varying column among the cells: numbers, then booleans, then categories.

    `numeric`, `boolean` and `category` are the columns of each block in order; `column_of[cell]` is
    an index into the varying columns in that order. `indicators` are the cells with an additional
    input that is 1 if they are missing, `compressed` those with an additional, compressed input.
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
        """Return the number of cells that are scaled numbers."""
        return sum(column.size for column in self.numeric)

    @property
    def booleans(self) -> int:
        """Return the number of cells that are booleans."""
        return len(self.boolean)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Return the number of logits of each category column."""
        return tuple(len(column.categories) + column.has_other for column in self.category)

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the number of cells of each varying column."""
        return tuple(c.size if c.kind in NUMERIC else 1 for c in self.columns)

    @property
    def column_of(self) -> tuple[int, ...]:
        """Return, for each cell, the index of its column in `columns`."""
        return tuple(index for index, width in enumerate(self.widths) for _ in range(width))

    @property
    def indicators(self) -> tuple[int, ...]:
        """Return the cells of columns with missing or masked cells in training."""
        indicated = [column.has_missing or column.masked for column in self.columns]
        return tuple(cell for cell, owner in enumerate(self.column_of) if indicated[owner])

    @property
    def compressed(self) -> tuple[int, ...]:
        """Return the cells of columns with long tails, which have a compressed input too."""
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
    """Arrange the varying columns in blocks; constant columns have no cells."""
    varying = [column for column in columns if not column.constant]
    return Layout(
        numeric=tuple(c for c in varying if c.kind in NUMERIC),
        boolean=tuple(c for c in varying if c.kind == "boolean"),
        category=tuple(c for c in varying if c.kind == "category"),
    )


class Inputs(nn.Module):
    """Map from cells `(n_rows, n_cells)` to network inputs `(n_rows, n_inputs)`.

    Missing cells become 0 (the centre), unseen categories all zeros. With `complete` no cell is
    missing, and a table of numbers is passed unchanged. Without `compressed`, compressed inputs are
    0, for comparisons with other models.
    """

    def __init__(self, layout: Layout, *, complete: bool = False, compressed: bool = True) -> None:
        super().__init__()
        self._plain = complete and layout.inputs == layout.cells
        self._dense = layout.numbers + layout.booleans
        self._outputs = layout.outputs
        self._width = layout.inputs
        offsets = torch.tensor((0, *layout.cardinalities)).cumsum(0)[:-1] + self._dense
        self.register_buffer("_offsets", offsets, persistent=False)
        indicators = torch.tensor(layout.indicators, dtype=torch.int64)
        self.register_buffer("_indicators", indicators, persistent=False)
        tails = torch.tensor(layout.compressed if compressed else (), dtype=torch.int64)
        self.register_buffer("_compressed", tails, persistent=False)
        self._offsets: Tensor
        self._indicators: Tensor
        self._compressed: Tensor

    def forward(self, cells: Tensor) -> Tensor:
        """Return the inputs of the network."""
        if self._plain:
            return cells
        inputs = cells.new_zeros(len(cells), self._width)
        torch.nan_to_num(cells[:, : self._dense], out=inputs[:, : self._dense])
        codes = cells[:, self._dense :]
        if codes.shape[1]:
            seen = codes >= 0
            slots = codes.nan_to_num(0.0).clamp_(min=0).long() + self._offsets
            inputs.scatter_(1, slots, seen.to(inputs.dtype))
        if len(self._indicators):
            end = self._outputs + len(self._indicators)
            inputs[:, self._outputs : end] = cells.index_select(1, self._indicators).isnan()
        if len(self._compressed):
            tails = cells.index_select(1, self._compressed).nan_to_num(0.0)
            inputs[:, -len(self._compressed) :] = (STEEP * tails).asinh_() / math.asinh(STEEP)
        return inputs
