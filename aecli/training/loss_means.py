"""Average the terms of many batches into an epoch's figures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aecli.training.objective import LossTerms, Objective


class LossMeans:
    """Means of the loss terms of many batches, accumulated without waiting for the device.

    Classification is averaged over labelled rows, everything else over rows.
    """

    def __init__(self, objective: Objective) -> None:
        self._weights = objective.weights
        self._values: list[list[Tensor]] = []
        self._rows: list[int] = []
        self._labelled: list[Tensor] = []
        self._right: list[Tensor] = []

    def add(self, terms: LossTerms, rows: int, codes: Tensor | None) -> None:
        """Take one batch in."""
        self._values.append(terms.values)
        self._rows.append(rows)
        if codes is not None and terms.logits is not None:
            self._labelled.append((codes >= 0).sum())

    def add_hits(self, terms: LossTerms, codes: Tensor | None) -> None:
        """Count the labelled rows of one batch that the head got right."""
        if codes is not None and terms.logits is not None:
            self._right.append((terms.logits.argmax(1) == codes).sum())

    def means(self) -> dict[str, float]:
        """Return the mean of each term, and their weighted sum as `total`."""
        if not self._rows:
            return {}
        values = torch.stack([torch.stack(step) for step in self._values]).double().cpu()
        rows = torch.tensor(self._rows, dtype=torch.float64)
        result: dict[str, float] = {}
        for index, name in enumerate(self._weights):
            share = rows
            if name == "classification":
                share = torch.stack(self._labelled).double().cpu()
            result[name] = float((values[:, index] * share).sum() / share.sum().clamp(min=1))
        result["total"] = sum(result[name] * weight for name, weight in self._weights.items())
        return result

    def accuracy(self) -> float | None:
        """Return the share of labelled rows that were right, where hits were counted."""
        if not self._right:
            return None
        labelled = int(torch.stack(self._labelled).sum())
        return int(torch.stack(self._right).sum()) / labelled if labelled else None


class GradientNorms:
    """Accumulator of the norms of weights' gradients, by the layer's name."""

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
