"""Sums over the elements of each column, the same in every run on every device."""

from __future__ import annotations

from torch import Tensor


class ColumnSums:
    """Sums over the elements of each column.

    `column_of` `(n_elements,)` is the column of each element, in ascending order. Columns of equal
    width are summed at once: `index_add` adds in any order on a GPU, and its rounding varies.
    """

    def __init__(self, column_of: Tensor) -> None:
        widths = column_of.bincount()
        self._count = len(widths)
        self._single = self._count == len(column_of)
        self._groups = [
            ((widths == width).nonzero()[:, 0], (widths[column_of] == width).nonzero()[:, 0], width)
            for width in widths.unique().tolist()
        ]

    def of(self, values: Tensor) -> Tensor:
        """Return the sums `(n_rows, n_columns)` of values `(n_rows, n_elements)`.

        They are the values themselves if each column has one element.
        """
        if self._single:
            return values
        sums = values.new_empty(len(values), self._count)
        for columns, elements, width in self._groups:
            parts = values.index_select(1, elements).view(len(values), len(columns), width)
            sums[:, columns] = parts.sum(2)
        return sums
