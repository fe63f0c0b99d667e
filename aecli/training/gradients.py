"""Average the size of each layer's gradient over an epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GradientNorms:
    """Accumulate the norms of weights' gradients, step by step, by the layer's name."""

    def __init__(self, network: nn.Module) -> None:
        self._weights = {
            name.removesuffix(".weight"): parameter
            for name, parameter in network.named_parameters()
            if parameter.dim() > 1
        }
        self._sums: list[Tensor] = []

    def add(self) -> None:
        """Take in the gradients of one step, before they are clipped."""
        norms = [
            p.new_zeros(()) if p.grad is None else p.grad.norm() for p in self._weights.values()
        ]
        self._sums.append(torch.stack(norms).detach())

    def means(self) -> dict[str, float]:
        """Return each layer's mean norm since the last call, and start anew."""
        if not self._sums:
            return {}
        means = torch.stack(self._sums).mean(0).tolist()
        self._sums.clear()
        return dict(zip(self._weights, means, strict=True))
