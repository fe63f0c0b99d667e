"""Compute the loss terms of one batch: each by its name, and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from aecli.features.layout import Inputs
from aecli.nn.autoencoder import AutoencoderNetwork, EncoderOutput
from aecli.nn.losses import (
    ReconstructionLoss,
    classification_loss,
    kl_normal,
    kl_sparsity,
    l1_penalty,
    l2_penalty,
)


class LossTerms(NamedTuple):
    """A batch's weighted sum, its terms in the order of `Objective.weights`, and its logits."""

    total: Tensor
    values: list[Tensor]
    logits: Tensor | None


class Sparsity(NamedTuple):
    """Mean activation that the KL term aims at, and where the latent's range begins."""

    rho: float = 0.05
    low: float = 0.0


TRIMMED = 0.1
"""Share of a batch's samples that a trimmed loss leaves out of the reconstruction loss."""


class Objective:
    """A network with its losses; only the terms of `weights` are computed.

    In training `noise` corrupts what the network sees, never what it is compared with, and a
    variational latent is drawn from its distribution. `warmth` is the share of its weight that the
    variational term has in training: it rises from 0 to 1, or the latent would collapse before the
    decoder has learned to use it (Bowman et al. 2016, §3.1).

    With `trimmed_loss` the worst tenth of each training batch is ignored (Rousseeuw 1984), so that
    the network does not learn to reconstruct anomalies.
    """

    def __init__(
        self,
        network: AutoencoderNetwork,
        inputs: Inputs,
        reconstruction: ReconstructionLoss,
        weights: Mapping[str, float],
        class_weights: Tensor | None = None,
        noise: Noise | None = None,
        sparsity: Sparsity | None = None,
        *,
        trimmed_loss: bool = False,
    ) -> None:
        self.network = network
        self.inputs = inputs
        self.reconstruction = reconstruction
        self.class_weights = class_weights
        self.weights = dict(weights)
        self.noise = noise
        self.sparsity = sparsity or Sparsity()
        self.trimmed_loss = trimmed_loss
        self.warmth = 1.0

    def to(self, device: torch.device) -> Objective:
        """Move the network and everything the losses need to a device."""
        for module in (self.network, self.inputs, self.reconstruction):
            module.to(device)
        if self.class_weights is not None:
            self.class_weights = self.class_weights.to(device)
        return self

    def __call__(self, cells: Tensor, codes: Tensor | None) -> LossTerms:
        """Return the terms for cells `(n_rows, n_cells)` and label codes `(n_samples,)`."""
        network = self.network
        seen = self.noise(cells) if self.noise and network.training else cells
        code = network.distribution(self.inputs(seen))
        passed = code.sample() if network.training else code.latent
        values: list[Tensor] = []
        logits: Tensor | None = None
        total: Tensor | None = None
        for name, weight in self.weights.items():
            if name == "reconstruction":
                value = self._reconstruction(network.decode(passed).float(), cells)
            elif name == "classification":
                assert codes is not None, "a head is built only with a label"
                logits = network.classify(passed).float()
                value = classification_loss(logits, codes, self.class_weights)
            else:
                value = self._penalty(name, code)
                if name == "kl_normal" and network.training:
                    weight = weight * self.warmth
            weighted = value if weight == 1 else weight * value
            total = weighted if total is None else total + weighted
            values.append(value.detach())
        assert total is not None, "options without any loss are refused when they are parsed"
        return LossTerms(total, values, logits)

    def _reconstruction(self, outputs: Tensor, cells: Tensor) -> Tensor:
        if not (self.trimmed_loss and self.network.training):
            whole: Tensor = self.reconstruction(outputs, cells)
            return whole
        samples = len(cells) // self.network.window
        errors = self.reconstruction.row_errors(outputs, cells).view(samples, -1).mean(1)
        kept = errors.topk(samples - int(TRIMMED * samples), largest=False, sorted=False).indices
        outputs, cells = (
            part.reshape(samples, -1).index_select(0, kept).view(-1, part.shape[1])
            for part in (outputs, cells)
        )
        trimmed: Tensor = self.reconstruction(outputs, cells)
        return trimmed

    def _penalty(self, name: str, code: EncoderOutput) -> Tensor:
        if name == "l1":
            return l1_penalty(code.latent)
        if name == "l2":
            return l2_penalty(code.latent)
        if name == "kl":
            return kl_sparsity(code.latent, self.sparsity.rho, low=self.sparsity.low)
        assert code.log_variance is not None, "only a variational latent has this term"
        return kl_normal(code.latent, code.log_variance)


@dataclass(frozen=True)
class Noise:
    """Corruption of cells `(n_rows, n_cells)`, whose first `numbers` are scaled numbers.

    Vincent et al. (2010), §3: `gaussian` adds normal noise of standard deviation `amount` to the
    numbers; `mask` empties a share `amount` of all cells; `swap` gives that share of cells the
    value that another row of the batch has in the same column. Draws come from torch's global
    generator.
    """

    kind: str
    amount: float
    numbers: int

    @classmethod
    def parse(cls, text: str, *, numbers: int) -> Noise | None:
        """Return the noise that an option such as `mask:0.2` asks for, None for `none`."""
        kind, _, amount = text.partition(":")
        return None if kind == "none" else cls(kind, float(amount), numbers)

    def __call__(self, cells: Tensor) -> Tensor:
        """Return a corrupted copy."""
        if self.kind == "gaussian":
            noisy = cells.clone()
            noisy[:, : self.numbers] += self.amount * torch.randn_like(noisy[:, : self.numbers])
            return noisy
        hit = torch.rand_like(cells) < self.amount
        if self.kind == "mask":
            return cells.masked_fill(hit, torch.nan)
        others = torch.randint(len(cells), cells.shape, device=cells.device)
        return torch.where(hit, cells.gather(0, others), cells)
