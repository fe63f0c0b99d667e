"""Noise on training cells, which a denoising autoencoder removes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """Corruption of cells `(n_rows, n_cells)`, whose first `numbers` are scaled numbers.

    Vincent et al. (2010), §3: `gaussian` adds normal noise of standard deviation `amount` to the
    numbers; `mask` sets a share `amount` of all cells to missing; `swap` replaces that share
    of cells by the value of another row of the batch in the same column. A cell is corrupted as the
    one in `corrupted_with`, if there are any: the cells of a text together. Random numbers come
    from torch's global generator.
    """

    kind: str
    amount: float
    numbers: int
    corrupted_with: tuple[int, ...] = ()

    @classmethod
    def parse(
        cls, text: str, *, numbers: int, corrupted_with: tuple[int, ...] = ()
    ) -> Noise | None:
        """Return the noise of an option such as `mask:0.2`; None for `none`."""
        kind, _, amount = text.partition(":")
        return None if kind == "none" else cls(kind, float(amount), numbers, corrupted_with)

    def __call__(self, cells: Tensor) -> Tensor:
        """Return a corrupted copy."""
        if self.kind == "gaussian":
            noisy = cells.clone()
            noisy[:, : self.numbers] += self.amount * torch.randn_like(noisy[:, : self.numbers])
            return noisy
        corrupted = self._shared(torch.rand_like(cells)) < self.amount
        if self.kind == "mask":
            return cells.masked_fill(corrupted, torch.nan)
        others = self._shared(torch.randint(len(cells), cells.shape, device=cells.device))
        return torch.where(corrupted, cells.gather(0, others), cells)

    def _shared(self, draws: Tensor) -> Tensor:
        """Return draws `(n_rows, n_cells)` that are equal for cells corrupted together."""
        return draws[:, list(self.corrupted_with)] if self.corrupted_with else draws
