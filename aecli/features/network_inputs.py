"""Expand cells into network inputs on the device: one-hot categories, indicators, tails."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aecli.features.layout import Layout

STEEP = 100.0
"""Compressed numbers are linear within 1/100 of a scaled unit, and logarithmic beyond."""


class Inputs(nn.Module):
    """Map from cells `(n_rows, n_cells)` to network inputs `(n_rows, n_inputs)`.

    Missing cells become 0 (the centre), unseen categories all zeros. `complete` promises that
    no cell is missing, so that a table of numbers is its own input. Without `compressed`,
    compressed copies stay 0: what the network is compared with sees the columns as they are.
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
