"""Autoregressive distribution of discrete values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MATCHING_STEPS = 5


class Autoregressive(nn.Module):
    """Neural autoregressive distribution estimator (Larochelle and Murray 2011, §3).

    The i-th of the discrete values has `sizes[i]` codes, and its distribution depends on the values
    before it, by hidden units: ReLU of a sum of one embedding for each of these. The values with an
    index in `ordered` have ordered codes: to the embedding and output weights of each code those of
    all codes below it are added, so that near codes are alike.
    """

    def __init__(self, sizes: Sequence[int], *, hidden: int, ordered: range) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.ordered = ordered
        self.start = nn.Parameter(torch.zeros(hidden))
        self.embedding = nn.Parameter(torch.randn(sum(sizes), hidden) / hidden**0.5)
        self.weight = nn.Parameter(torch.zeros(sum(sizes), hidden))
        self.bias = nn.Parameter(torch.zeros(sum(sizes)))

    def losses(self, codes: Tensor) -> Tensor:
        """Return the cross-entropies `(n_rows, n_values)` of codes; 0 for unknown ones, -1."""
        hidden = self.start.expand(len(codes), -1)
        losses = []
        parts = zip(codes.unbind(1), *self._parts(), strict=True)
        for of_value, embedding, weight, bias in parts:
            logits = F.linear(hidden.relu(), weight, bias)
            losses.append(F.cross_entropy(logits, of_value, reduction="none", ignore_index=-1))
            known = (of_value >= 0).unsqueeze(1)
            hidden = hidden + F.embedding(of_value.clamp(min=0), embedding) * known
        return torch.stack(losses, 1)

    @torch.no_grad()
    def sample(
        self,
        count: int,
        generator: torch.Generator,
        *,
        first: Tensor | None = None,
        frequencies: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Draw codes `(count, n_values)`.

        Args:
            first: `(count,)`, known codes of the first value.
            frequencies: those of the codes of each value, which its biases are changed to match
                before it is drawn; without them biases stay.
        """
        hidden = self.start.expand(count, -1)
        drawn: list[Tensor] = []
        for index, (embedding, weight, bias) in enumerate(zip(*self._parts(), strict=True)):
            logits = F.linear(hidden.relu(), weight, bias)
            if frequencies is not None:
                shift = _matching_shift(logits, frequencies[index])
                logits += shift
                bias += shift
            if index == 0 and first is not None:
                codes = first
            else:
                codes = logits.softmax(1).multinomial(1, generator=generator)[:, 0]
            hidden = hidden + embedding[codes]
            drawn.append(codes)
        return torch.stack(drawn, 1)

    def _parts(self) -> list[list[Tensor]]:
        """Return the embeddings, the output weights and the biases of each value."""
        tables = [list(part.split(self.sizes)) for part in (self.embedding, self.weight)]
        for table in tables:
            for index in self.ordered:
                table[index] = table[index] + table[index].cumsum(0) / self.sizes[index] ** 0.5
        return [*tables, list(self.bias.split(self.sizes))]


def _matching_shift(logits: Tensor, frequencies: Tensor) -> Tensor:
    """Return what to add to logits `(n_rows, n_codes)` so that mean probabilities are frequencies.

    It is found by iterative scaling.
    """
    shift = torch.zeros_like(frequencies)
    for _ in range(MATCHING_STEPS):
        shift += (frequencies / (logits + shift).softmax(1).mean(0)).log()
    return shift
