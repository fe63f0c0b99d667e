"""Vectors of samples, between which distances are measured and which trees isolate."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.features.layout import Layout
from aecli.features.training_range import without_times
from aecli.scoring.column_sums import ColumnSums


class SampleInputs:
    """Map from cells to vectors of samples: scaled numbers, booleans and one-hot categories.

    A vector has the inputs of its sample's `window` rows. Missing cells, and all times that
    increase with the rows, are 0, the centre.
    """

    def __init__(self, layout: Layout, window: int, device: torch.device | None = None) -> None:
        self._layout = layout
        self._window = window
        self._inputs = Inputs(layout, copies=False).to(device)
        widths = [1] * (layout.numbers + layout.booleans) + list(layout.cardinalities)
        cell_of = torch.arange(layout.cells).repeat_interleave(torch.tensor(widths))
        self._cell_of = cell_of.to(device)
        self._column_of = torch.tensor(layout.column_of)[cell_of].to(device)
        self._sums = ColumnSums(self._column_of)

    @property
    def columns(self) -> Tensor:
        """Return the column of each element of a vector `(window * outputs,)`."""
        return self._column_of.repeat(self._window)

    def vectors(self, cells: Tensor, *, complete: bool = False) -> Tensor:
        """Return the vectors `(n_samples, window * outputs)` of cells `(n_rows, n_cells)`.

        With `complete` no cell is missing, and no time increases with the rows.
        """
        cells = without_times(cells, self._layout)
        if not self._layout.cardinalities:
            inputs = cells if complete else cells.nan_to_num(0.0)
        else:
            inputs = self._inputs(cells)[:, : self._layout.outputs]
        return inputs.reshape(-1, self._window * self._layout.outputs)

    def windows(self, cells: Tensor) -> Tensor:
        """Return the inputs of windows `(n_windows, window, outputs)`, NaN where a cell is missing.

        The time cells are missing, too.
        """
        values = self.without_missing(self.vectors(cells), cells)
        return values.view(len(values), self._window, -1)

    def without_missing(self, values: Tensor, cells: Tensor) -> Tensor:
        """Return values per element `(n_samples, window * outputs)`, NaN where a cell is missing.

        The time cells are missing, too.
        """
        missing = without_times(cells, self._layout).isnan()
        return values.masked_fill(missing[:, self._cell_of].view_as(values), torch.nan)

    def per_column(self, values: Tensor, *, complete: bool = False) -> Tensor:
        """Return sums over a row's elements by column `(n_rows, n_columns)`.

        They are multiplied by the number of columns per element, so that the mean of a row's sums
        is the mean of its elements; a missing element counts as 0. With `complete` none is missing.
        """
        count, outputs = len(self._layout.columns), self._layout.outputs
        rows = (values if complete else values.nan_to_num(0.0)).reshape(-1, outputs)
        return rows if count == outputs else self._sums.of(rows).mul_(count / outputs)
