"""Noise on training cells, which a denoising autoencoder removes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aecli.features.layout import Layout


@dataclass(frozen=True)
class Noise:
    """Corruption of cells `(n_rows, n_cells)`, whose first `numbers` are scaled numbers.

    Vincent et al. (2010), §3: `gaussian` adds normal noise of standard deviation `amount` to the
    numbers, of `deviations` `(numbers,)` relative to it; `mask` sets a share `amount` of all cells
    to missing; `swap` replaces that share of cells by the value of another row of the batch in the
    same column. A cell is corrupted as the one in `corrupted_with`, if there are any: the cells of
    a text together. Random numbers come from torch's global generator.
    """

    kind: str
    amount: float
    numbers: int
    corrupted_with: Tensor | None = None
    deviations: Tensor | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        numbers: int,
        corrupted_with: tuple[int, ...] = (),
        deviations: tuple[float, ...] = (),
    ) -> Noise | None:
        """Return the noise of an option such as `mask:0.2`; None for `none`."""
        kind, _, amount = text.partition(":")
        together = torch.tensor(corrupted_with) if corrupted_with else None
        scales = torch.tensor(deviations) if set(deviations) - {1.0} else None
        return None if kind == "none" else cls(kind, float(amount), numbers, together, scales)

    def to(self, device: torch.device) -> Noise:
        """Return the same noise for cells on a device."""
        together, deviations = (
            None if part is None else part.to(device)
            for part in (self.corrupted_with, self.deviations)
        )
        return replace(self, corrupted_with=together, deviations=deviations)

    def __call__(self, cells: Tensor) -> Tensor:
        """Return a corrupted copy."""
        if self.kind == "gaussian":
            noisy = cells.clone()
            draws = self.amount * torch.randn_like(noisy[:, : self.numbers])
            noisy[:, : self.numbers] += (
                draws if self.deviations is None else draws * self.deviations
            )
            return noisy
        corrupted = self._shared(torch.rand_like(cells)) < self.amount
        if self.kind == "mask":
            return cells.masked_fill(corrupted, torch.nan)
        others = self._shared(torch.randint(len(cells), cells.shape, device=cells.device))
        return torch.where(corrupted, cells.gather(0, others), cells)

    def _shared(self, draws: Tensor) -> Tensor:
        """Return draws `(n_rows, n_cells)` that are equal for cells corrupted together."""
        together = self.corrupted_with
        return draws if together is None else draws.index_select(1, together)


def number_deviations(layout: Layout) -> tuple[float, ...]:
    """Return the standard deviations of noise on numbers, relative to that on a scaled number.

    The elements of a text together have the variance of one number.
    """
    return tuple(
        column.size**-0.5 if column.kind == "text" else 1.0
        for column in layout.numeric
        for _ in range(column.size)
    )
