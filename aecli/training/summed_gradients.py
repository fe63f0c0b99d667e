"""Sum of the gradients of several ranks, in one flat tensor."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from aecli.ranks import Ranks, Summands


class SummedGradients:
    """Gradients of parameters in one flat tensor, which ranks add in one exchange per step.

    The gradients are views of it. Parameters that no loss depends on have none, as in one process;
    which these are is known after the first step with samples.
    """

    def __init__(self, parameters: Sequence[Tensor], ranks: Ranks) -> None:
        self._parameters = parameters
        self._ranks = ranks
        self._summands: Summands | None = None
        self._size = 0

    def zero(self) -> None:
        """Reset all gradients."""
        if self._summands is not None:
            self._summands.numbers.zero_()
        else:
            for parameter in self._parameters:
                parameter.grad = None

    def add(self, others: Tensor) -> Tensor:
        """Replace the gradients by their sums over all ranks; return the sum of other numbers.

        There are as many of these in each step.
        """
        if self._summands is None:
            self._find_trained(others)
        if self._summands is None:
            others = others.clone()
            self._ranks.add(others)
            return others
        last = self._summands.numbers[self._size :]
        last.copy_(others)
        self._summands.add()
        return last.clone()

    def _find_trained(self, others: Tensor) -> None:
        """Allocate the tensor for the parameters that have a gradient on any rank, if any do."""
        own = [parameter.grad is not None for parameter in self._parameters]
        trained = [any(found) for found in zip(*self._ranks.gather(own), strict=True)]
        if not any(trained):
            return
        chosen = [p for p, used in zip(self._parameters, trained, strict=True) if used]
        self._size = sum(parameter.numel() for parameter in chosen)
        self._summands = self._ranks.summands(self._size + len(others), others)
        flat = self._summands.numbers[: self._size]
        views = flat.split([parameter.numel() for parameter in chosen])
        for parameter, view in zip(chosen, views, strict=True):
            gradient = view.view_as(parameter)
            if parameter.grad is not None:
                gradient.copy_(parameter.grad)
            parameter.grad = gradient
