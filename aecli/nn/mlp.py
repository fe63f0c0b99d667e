"""Build feed-forward networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Sequential):
    """Linear layers: Linear → [norm] → activation → [dropout] each, the last Linear bare.

    `sizes` are the widths from the input to the output, both included: `[784, 128, 12]` has one
    hidden layer and `[784, 12]` none. Maps `(n_rows, sizes[0])` to `(n_rows, sizes[-1])`.

    Raises:
        ValueError: `sizes` has fewer than two entries.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[int],
        activation: Callable[[], nn.Module],
        norm: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.0,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"sizes {list(sizes)} must have an input and an output")
        super().__init__()
        for inputs, width in pairwise(sizes[:-1]):
            self.append(nn.Linear(inputs, width))
            if norm is not None:
                self.append(norm(width))
            self.append(activation())
            if dropout > 0:
                self.append(nn.Dropout(dropout))
        self.append(nn.Linear(sizes[-2], sizes[-1]))

    @property
    def last(self) -> nn.Linear:
        """Return the last layer, which nothing follows."""
        return self.linears[-1]

    @property
    def reads(self) -> list[Tensor]:
        """Return the parameters whose last axis is the input."""
        return [self.linears[0].weight]

    @property
    def linears(self) -> list[nn.Linear]:
        """Return the linear layers from input to output."""
        return [module for module in self if isinstance(module, nn.Linear)]
