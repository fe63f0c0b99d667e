"""Keep only the largest latents of each row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MEMORY = 0.98
"""Share of a unit's firing rate that one training step keeps."""

BOOST = 0.5
"""Power of (fair rate / rate) by which units that fire too rarely are preferred in training."""


class TopK(nn.Module):
    """Keep the `k` latents of each row that are largest by size, and set the others to 0.

    Makhzani and Frey (2013), by size so that linear latents of both signs count. Units that never
    win would get no gradient; in training their sizes are boosted, as Ahmad and Scheinkman (2019,
    §3.2) do: here by (k / n / rate)^BOOST, where `rate` is how often the unit fired lately and
    k / n its fair share. The rate of a dead unit falls with every step until it wins again, however
    small it is. Without training nothing is boosted.
    """

    def __init__(self, latent: int, k: int) -> None:
        super().__init__()
        self.k = k
        self.rate: Tensor
        self.register_buffer("rate", torch.full((latent,), k / latent))

    def forward(self, z: Tensor) -> Tensor:
        """Return latents `(n_rows, latent)` with all but `k` of each row at 0."""
        size = z.detach().abs()
        if self.training:
            fair = self.k / len(self.rate)
            size = size * (fair / self.rate.clamp(min=1e-30)).pow(BOOST).to(size.dtype)
        kept = size.topk(self.k, dim=1).indices
        mask = torch.zeros_like(z).scatter_(1, kept, 1.0)
        if self.training:
            with torch.no_grad():
                self.rate.lerp_(mask.mean(0).to(self.rate.dtype), 1 - MEMORY)
        return z * mask
