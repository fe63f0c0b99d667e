"""Layout of a network's cells, inputs and outputs by column."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from aecli.schema.model_spec import Column, Period
from aecli.table.arrow_types import parse_type
from aecli.table.calendar_periods import PERIODS, phase, unit_seconds

NUMERIC = ("number", "time", "vector", "text")
TEXTS = ("text", "characters")


class Copies(NamedTuple):
    """Inputs of one kind that are copies of cells, without an output: one input per entry.

    A cell may have several entries. `parameters` are those of each entry, or empty.
    """

    cells: tuple[int, ...]
    parameters: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Layout:
    """Position of each varying column among the cells: numbers, then booleans, then codes.

    `numeric`, `boolean`, `category` and `characters` are the columns of each block in order; the
    cells of the last two are codes, one of a category and one per character of a text.
    `column_of[cell]` is an index into the varying columns in that order. The inputs are those of
    the cells, in the order of the outputs, and then the `copies`.
    """

    numeric: tuple[Column, ...]
    boolean: tuple[Column, ...]
    category: tuple[Column, ...]
    characters: tuple[Column, ...] = ()

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Return the varying columns in the order of their cells."""
        return self.numeric + self.boolean + self.category + self.characters

    @cached_property
    def is_mixed(self) -> bool:
        """Return whether the losses of the columns are of several kinds, or one is of texts."""
        kinds = (self.numeric, self.boolean, self.category, self.characters)
        return sum(map(bool, kinds)) > 1 or any(column.kind == "text" for column in self.numeric)

    @cached_property
    def numbers(self) -> int:
        """Return the number of cells that are scaled numbers."""
        return sum(column.size for column in self.numeric)

    @cached_property
    def booleans(self) -> int:
        """Return the number of cells that are booleans."""
        return len(self.boolean)

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """Return the number of logits of each code: those of categories, then of characters."""
        categories = (len(column.categories) + column.has_other for column in self.category)
        characters = (code_count(column) for column in self.characters for _ in column.modes)
        return (*categories, *characters)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Return the number of cells of each varying column."""
        numbers = (column.size for column in self.numeric)
        single = (1 for _ in self.boolean + self.category)
        return (*numbers, *single, *(column.length for column in self.characters))

    @cached_property
    def cell_slices(self) -> tuple[slice, ...]:
        """Return the cells of each varying column."""
        return tuple(slice(*ends) for ends in pairwise(accumulate(self.widths, initial=0)))

    @cached_property
    def output_widths(self) -> tuple[int, ...]:
        """Return the number of outputs of each varying column."""
        categories = self.cardinalities[: len(self.category)]
        texts = (column.length * code_count(column) for column in self.characters)
        return (*self.widths[: len(self.numeric) + len(self.boolean)], *categories, *texts)

    @cached_property
    def column_of(self) -> tuple[int, ...]:
        """Return, for each cell, the index of its column in `columns`."""
        return tuple(index for index, width in enumerate(self.widths) for _ in range(width))

    @cached_property
    def missing_with(self) -> tuple[int, ...]:
        """Return, for each cell, the cell with which it is missing: for texts their first one."""
        first: dict[int, int] = {}
        return tuple(
            first.setdefault(owner, cell) if self.columns[owner].kind in TEXTS else cell
            for cell, owner in enumerate(self.column_of)
        )

    @cached_property
    def later_times(self) -> list[int]:
        """Return the cells of times that move forward with the rows."""
        owners = (self.columns[owner] for owner in self.column_of[: self.numbers])
        return [cell for cell, column in enumerate(owners) if column.moves_forward]

    @cached_property
    def copies(self) -> dict[str, Copies]:
        """Return the input-only copies by kind, in the order of their inputs.

        `indicators` are 1 for missing cells of columns with missing or masked cells in training;
        `compressed` are the numbers of columns with long tails, `calendar` the sines and cosines of
        times in their periods, `piecewise` the positions of numbers in each of their bins
        (`features.inputs`).
        """
        return {
            "indicators": self._indicators(),
            "compressed": self._copies(lambda column: column.compressed),
            "calendar": self._calendar(),
            "piecewise": self._piecewise(),
        }

    def _piecewise(self) -> Copies:
        """Return one copy per bin, with the edges of the bin as its parameters."""
        entries = [
            (cell, bin_edges)
            for cell, owner in enumerate(self.column_of)
            for bin_edges in pairwise(self.columns[owner].bins)
        ]
        return Copies(*zip(*entries, strict=True)) if entries else Copies(())

    def _copies(self, copied: Callable[[Column], bool]) -> Copies:
        """Return the copies of every cell of the chosen columns."""
        chosen = [copied(column) for column in self.columns]
        return Copies(tuple(cell for cell, owner in enumerate(self.column_of) if chosen[owner]))

    def _indicators(self) -> Copies:
        """Return one copy per cell that may be missing by itself."""
        cells = self._copies(lambda column: column.has_missing or column.masked).cells
        return Copies(tuple(cell for cell in cells if self.missing_with[cell] == cell))

    def _calendar(self) -> Copies:
        """Return the sine and the cosine of each period: angular frequency and phase of entries."""
        entries = [
            (cell, waves)
            for cell, owner in enumerate(self.column_of)
            for period in self.columns[owner].periods
            for waves in _waves(self.columns[owner], period)
        ]
        return Copies(tuple(cell for cell, _ in entries), tuple(waves for _, waves in entries))

    @cached_property
    def cells(self) -> int:
        """Return the number of cells in a row."""
        return self.numbers + self.booleans + len(self.cardinalities)

    @cached_property
    def outputs(self) -> int:
        """Return the width of a network's output."""
        return self.numbers + self.booleans + sum(self.cardinalities)

    @cached_property
    def inputs(self) -> int:
        """Return the width of a network's input."""
        return self.outputs + sum(len(copies.cells) for copies in self.copies.values())


def lay_out(columns: Sequence[Column]) -> Layout:
    """Arrange the varying columns in blocks; constant columns have no cells."""
    varying = [column for column in columns if not column.constant]
    return Layout(
        numeric=tuple(c for c in varying if c.kind in NUMERIC),
        boolean=tuple(c for c in varying if c.kind == "boolean"),
        category=tuple(c for c in varying if c.kind == "category"),
        characters=tuple(c for c in varying if c.kind == "characters"),
    )


def code_count(column: Column) -> int:
    """Return the number of codes of a character: the alphabet, other characters, and the end."""
    return len(column.alphabet) + 2


def _waves(column: Column, period: Period) -> list[tuple[float, float]]:
    """Return angular frequency per scaled unit, and phase at the centre, of sine and cosine."""
    kind = parse_type(column.type)
    frequency = 2 * math.pi * column.scale[0] * float(unit_seconds(kind)) / PERIODS[period]
    start = phase(kind, period, Fraction(column.origin or 0) + Fraction(column.center[0]))
    return [(frequency, start), (frequency, start + math.pi / 2)]
