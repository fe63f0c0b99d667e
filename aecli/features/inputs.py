"""Conversion of cells to the inputs of a network."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from aecli.features.layout import Layout

STEEP = 100.0
"""Compressed numbers are linear within 1/100 of a scaled unit, and logarithmic beyond."""


def _indicators(values: Tensor, parameters: Tensor) -> Tensor:
    return values.isnan()


def _compressed(values: Tensor, parameters: Tensor) -> Tensor:
    return (STEEP * values).asinh_() / math.asinh(STEEP)


def _waves(values: Tensor, parameters: Tensor) -> Tensor:
    frequency, start = parameters.unbind(1)
    # In float64: a year of scaled units may be thousands of days.
    return (values.double() * frequency + start).sin()


def _piecewise(values: Tensor, parameters: Tensor) -> Tensor:
    """Return the piecewise-linear encoding (Gorishniy et al. 2022, §3.1), in 0..1 in every bin.

    The first and the last bin are bounded too, so that values outside of the training range have
    the encoding of its ends.
    """
    low, high = parameters.to(values).unbind(1)
    return ((values - low) / (high - low)).clamp_(0, 1)


COPIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "indicators": _indicators,
    "compressed": _compressed,
    "calendar": _waves,
    "piecewise": _piecewise,
}
"""Functions that copy cells `(n_rows, n_entries)`, by kind, in the order of `Layout.copies`.

Their second argument are the parameters `(n_entries, n_parameters)`. Copies that are NaN become 0.
"""


class Inputs(nn.Module):
    """Map from cells `(n_rows, n_cells)` to network inputs `(n_rows, n_inputs)`.

    Missing cells become 0 (the centre), unseen categories all zeros. With `complete` no cell is
    missing, and a table of numbers is passed unchanged. Without `copies`, all copies except for
    indicators are 0, for comparisons with other models.
    """

    def __init__(self, layout: Layout, *, complete: bool = False, copies: bool = True) -> None:
        super().__init__()
        self._plain = complete and layout.inputs == layout.cells
        self._dense = layout.numbers + layout.booleans
        self._width = layout.inputs
        offsets = torch.tensor((0, *layout.cardinalities)).cumsum(0)[:-1] + self._dense
        self.register_buffer("_offsets", offsets, persistent=False)
        self._offsets: Tensor
        self._blocks: list[tuple[str, slice]] = []
        start = layout.outputs
        for kind, copied in layout.copies.items():
            stop = start + len(copied.cells)
            if copied.cells and (copies or kind == "indicators"):
                self._blocks.append((kind, slice(start, stop)))
                cells = torch.tensor(copied.cells, dtype=torch.int64)
                self.register_buffer(f"_cells_{kind}", cells, persistent=False)
                parameters = torch.tensor(copied.parameters, dtype=torch.float64)
                self.register_buffer(f"_parameters_{kind}", parameters, persistent=False)
            start = stop

    def forward(self, cells: Tensor, times: Tensor | None = None) -> Tensor:
        """Return the inputs of the network.

        `times` are the cells before times were shifted; their calendar phases are the inputs.
        """
        if self._plain:
            return cells
        inputs = cells.new_zeros(len(cells), self._width)
        torch.nan_to_num(cells[:, : self._dense], out=inputs[:, : self._dense])
        codes = cells[:, self._dense :]
        if codes.shape[1]:
            seen = codes >= 0
            slots = codes.nan_to_num(0.0).clamp_(min=0).long() + self._offsets
            inputs.scatter_(1, slots, seen.to(inputs.dtype))
        for kind, at in self._blocks:
            source = times if kind == "calendar" and times is not None else cells
            values = source.index_select(1, self.get_buffer(f"_cells_{kind}"))
            copies = COPIES[kind](values, self.get_buffer(f"_parameters_{kind}"))
            inputs[:, at] = copies.nan_to_num(0.0) if copies.is_floating_point() else copies
        return inputs
