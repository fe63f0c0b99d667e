"""Measure how the latent is used: active units, effective rank, sparsity; and dead hidden units."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from aecli.nn.autoencoder import Autoencoder

ACTIVE_SHARE = 1e-4
"""A unit is active if its variance is above this share of the most active unit's."""

NEAR_ZERO = 1e-3
"""A latent is near zero if it is below this share of the root mean square of all."""

PARTS = {"head": "classifier", "code": "latent"}
"""How people call a part of the network, where that is not its name in the code."""


class LatentFigures:
    """Accumulate the first two moments of latents `(n_rows, latent)`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._products = torch.zeros(size, size, dtype=torch.float64)
        self._absolute = 0.0
        self._near_zero = 0

    def add(self, latent: Tensor) -> None:
        """Take one batch in."""
        values = latent.double().cpu()
        self.rows += len(values)
        self._sum += values.sum(0)
        self._products += values.T @ values
        self._absolute += float(values.abs().sum())
        scale = float(values.square().mean().sqrt())
        self._near_zero += int((values.abs() <= NEAR_ZERO * scale).sum())

    def covariance(self) -> Tensor:
        """Return the covariance `(latent, latent)`."""
        mean = self._sum / self.rows
        return self._products / self.rows - torch.outer(mean, mean)

    def dead(self) -> list[int]:
        """Return the units that hardly vary, beside the most active one."""
        variance = self.covariance().diagonal()
        floor = max(ACTIVE_SHARE * float(variance.max()), 1e-12)
        return [index for index, value in enumerate(variance.tolist()) if value <= floor]

    def effective_rank(self) -> float:
        """Return exp(entropy of the covariance's eigenvalues' shares) (Roy and Vetterli 2007)."""
        values = torch.linalg.eigvalsh(self.covariance()).clamp(min=0)
        if float(values.sum()) <= 0:
            return 0.0
        shares = values / values.sum()
        return float(torch.exp(-(shares * shares.clamp(min=1e-300).log()).sum()))

    def means(self) -> Tensor:
        """Return each unit's mean activation `(latent,)`."""
        return self._sum / self.rows

    def mean_abs(self) -> float:
        """Return mean |z|."""
        return self._absolute / (self.rows * self.size)

    def near_zero_share(self) -> float:
        """Return the share of latents that are zero or nearly so."""
        return self._near_zero / (self.rows * self.size)


@torch.no_grad()
def dead_units(
    network: Autoencoder, activations: tuple[type[nn.Module], ...], inputs: Tensor
) -> dict[str, int]:
    """Count, per hidden layer, the units whose output is the same for every row of `inputs`.

    Layers are named by the part of the network and their position: `encoder layer 1`.
    """
    counts: dict[str, int] = {}

    def watch(name: str) -> object:
        def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # A convolution's unit is a channel, wherever it answers.
            rest = [0, *range(2, output.dim())]
            spread = output.amax(rest) - output.amin(rest)
            counts[name] = int((spread <= 1e-7).sum())

        return count

    seen: Counter[str] = Counter()
    layers = []
    for path, module in network.named_modules():
        part = path.partition(".")[0]
        if isinstance(module, activations) and part != "output":
            seen[part] += 1
            layers.append((f"{PARTS.get(part, part)} layer {seen[part]}", module))
    handles = [m.register_forward_hook(watch(n)) for n, m in layers]  # type: ignore[arg-type]  # a hook
    try:
        network(inputs)
        if network.head is not None:
            network.classify(network.encode(inputs))
    finally:
        for handle in handles:
            handle.remove()
    return {name: count for name, count in counts.items() if count}
