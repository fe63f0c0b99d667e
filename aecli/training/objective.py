"""Compute the loss terms of a batch: each by its name, their weighted sum, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from aecli.features.inputs import Inputs
from aecli.nn.autoencoder import AutoencoderNetwork, EncoderOutput
from aecli.nn.losses import (
    ReconstructionLoss,
    classification_loss,
    kl_normal,
    kl_sparsity,
    l1_penalty,
    l2_penalty,
)
from aecli.nn.sparsity import HardThreshold, l0_penalty
from aecli.training.image_shift import ImageShift
from aecli.training.noise import Noise


class LossTerms(NamedTuple):
    """Losses of a batch: the sum that training minimises, and its terms without weights.

    `values` are in the order of `Objective.weights`, and `numbers` is the part of the
    reconstruction from columns of numbers. `logits` are those of the classifier and `outputs` those
    of the decoder, None without one.
    """

    total: Tensor
    values: list[Tensor]
    logits: Tensor | None
    outputs: Tensor | None
    numbers: Tensor | None = None


TRIMMED = 0.1
"""Share of a batch's samples that a trimmed loss leaves out of the reconstruction loss."""


class Objective:
    """Loss terms of a network; only those in `weights` are computed.

    In training `shift` moves images, `noise` corrupts the inputs, never the targets, only a share
    `decoded_share` of the batch is decoded, and a variational latent is sampled. `kl_warm_up` is
    the factor of the variational KL term in training: it rises from 0 to 1, because the latent
    would otherwise collapse before the decoder learns to use it (Bowman et al. 2016, §3.1). `rho`
    is the target mean activation of the sparsity term, and `latent_floor` the lower bound of the
    latent.
    `number_weight` is a factor of the numbers' part of the reconstruction in `LossTerms.total`, in
    which the labels of training rows are smoothed by `label_smoothing`. It and `kl_warm_up` change
    during a training: they may be tensors of no dimension, which a CUDA graph reads. In training on
    a part of a batch, `shares` are its shares of the rows and of the labelled rows of the batch, by
    which the losses are multiplied.

    `limited_columns` are the decoder's weights that read the latent, where their norm is limited.

    With `trimmed_loss` the worst 10 % of each training batch are ignored (Rousseeuw 1984), so that
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
        *,
        rho: float = 0.05,
        latent_floor: float = 0.0,
        trimmed_loss: bool = False,
        label_smoothing: float = 0.0,
        shift: ImageShift | None = None,
        decoded_share: float = 1.0,
    ) -> None:
        self.network = network
        self.inputs = inputs
        self.reconstruction = reconstruction
        self.class_weights = class_weights
        self.weights = dict(weights)
        self.noise = noise
        self.rho = rho
        self.latent_floor = latent_floor
        self.trimmed_loss = trimmed_loss
        self.label_smoothing = label_smoothing
        self.shift = shift
        self.decoded_share = decoded_share
        self.kl_warm_up: float | Tensor = 1.0
        self.number_weight: float | Tensor = 1.0
        self.shares: tuple[float, float | Tensor] | None = None
        self.limited_columns: list[Tensor] = []

    def to(self, device: torch.device) -> Objective:
        """Move the network and everything the losses need to a device."""
        for module in (self.network, self.inputs, self.reconstruction, self.shift):
            if module is not None:
                module.to(device)
        if self.class_weights is not None:
            self.class_weights = self.class_weights.to(device)
        if self.noise is not None:
            self.noise = self.noise.to(device)
        return self

    def __call__(self, cells: Tensor, codes: Tensor | None) -> LossTerms:
        """Return the terms for cells `(n_rows, n_cells)` and label codes `(n_samples,)`."""
        network = self.network
        if self.shift is not None and network.training:
            cells = self.shift(cells)
        seen = self.noise(cells) if self.noise and network.training else cells
        # Noise of a tenth of a scaled unit would be many periods of a phase.
        times = cells if self.noise and self.noise.kind == "gaussian" else None
        code = network.distribution(self.inputs(seen, times))
        passed = code.sample() if network.training else code.latent
        values: list[Tensor] = []
        logits: Tensor | None = None
        outputs: Tensor | None = None
        numbers: Tensor | None = None
        total: Tensor | None = None
        for name, weight in self.weights.items():
            if name == "reconstruction":
                outputs = network.decode(self._decoded(passed)).float()
                value, numbers = self._reconstruction(outputs, cells[: len(outputs)])
                trained = self._with_number_weight(value, numbers)
            elif name == "classification":
                assert codes is not None, "a classifier is built only with a label"
                logits = network.classify(passed).float()
                value, trained = self._classification(logits, codes)
            else:
                value = trained = self._penalty(name, code)
            weighted = self._weighted(name, weight, trained)
            total = weighted if total is None else total + weighted
            values.append(value.detach())
        assert total is not None, "parsing the options requires at least one loss"
        return LossTerms(total, values, logits, outputs, numbers)

    def _with_number_weight(self, loss: Tensor, numbers: Tensor) -> Tensor:
        factor = self.number_weight
        if not isinstance(factor, Tensor):
            return loss if factor == 1 else loss + (factor - 1) * numbers
        return loss + (factor - 1).to(numbers) * numbers

    def _weighted(self, name: str, weight: float, loss: Tensor) -> Tensor:
        if self.shares is not None and self.network.training:
            loss = self.shares[name == "classification"] * loss
        if name != "kl_normal" or not self.network.training:
            return loss if weight == 1 else weight * loss
        factor = weight * self.kl_warm_up
        return (factor.to(loss) if isinstance(factor, Tensor) else factor) * loss

    def _decoded(self, latents: Tensor) -> Tensor:
        """Return the latents that are decoded; the order of a training batch is random."""
        share = self.decoded_share if self.network.training else 1.0
        return latents if share == 1 else latents[: ceil(share * len(latents))]

    def _reconstruction(self, outputs: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction loss, and the part of it from columns of numbers."""
        if self.trimmed_loss and self.network.training:
            outputs, cells = self._trimmed(outputs, cells)
        return self.reconstruction.parts(outputs, cells)

    def _classification(self, logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the classification loss, and the same with smoothed labels in training."""
        loss = classification_loss(logits, codes, self.class_weights)
        if not self.label_smoothing or not self.network.training:
            return loss, loss
        smoothing = self.label_smoothing
        return loss, classification_loss(
            logits, codes, self.class_weights, label_smoothing=smoothing
        )

    def _trimmed(self, outputs: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and cells without the samples that are reconstructed worst."""
        samples = len(cells) // self.network.window
        errors = self.reconstruction.row_errors(outputs, cells).view(samples, -1).mean(1)
        kept = errors.topk(samples - int(TRIMMED * samples), largest=False, sorted=False).indices
        outputs, cells = (
            part.reshape(samples, -1).index_select(0, kept).view(-1, part.shape[1])
            for part in (outputs, cells)
        )
        return outputs, cells

    def _penalty(self, name: str, code: EncoderOutput) -> Tensor:
        if name == "l0":
            [threshold] = (m for m in self.network.modules() if isinstance(m, HardThreshold))
            return l0_penalty(code.latent, threshold.log_threshold)
        if name == "l1":
            return l1_penalty(code.latent)
        if name == "l2":
            return l2_penalty(code.latent)
        if name == "kl":
            return kl_sparsity(code.latent, self.rho, low=self.latent_floor)
        assert code.log_variance is not None, "only a variational latent has this term"
        return kl_normal(code.latent, code.log_variance)


def step_figures(
    objective: Objective, terms: LossTerms, codes: Tensor | None, layers: Iterable[Tensor] = ()
) -> Tensor:
    """Return the figures of a batch as one row of numbers, which stays on the device.

    The row has the total loss, each term, with a classifier the number of labelled rows, and the
    norm of the present gradient of each of the `layers`.
    """
    figures = [terms.total.detach(), *terms.values]
    if "classification" in objective.weights:
        assert codes is not None, "a classifier is built only with a label"
        figures.append((codes >= 0).sum(dtype=figures[0].dtype))
    for weight in layers:
        figures.append(weight.new_zeros(()) if weight.grad is None else weight.grad.norm())
    return torch.stack(figures)


def weight_matrices(network: AutoencoderNetwork) -> dict[str, Tensor]:
    """Return the parameters with more than one axis by the names of their layers."""
    return {
        name.removesuffix(".weight"): parameter
        for name, parameter in network.named_parameters()
        if parameter.dim() > 1
    }


JOINED_STEPS = 256
"""Steps whose figures become one tensor: small ones would fragment the memory between steps."""


class EpochMeans:
    """Means of loss terms and gradient norms, accumulated without synchronising the device.

    Classification is averaged over labelled rows, the other terms over rows, gradients over steps.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._weights = objective.weights
        self._figures: list[Tensor] = []
        self._joined: list[Tensor] = []
        self._rows: list[int] = []

    def add(self, terms: LossTerms, rows: int, codes: Tensor | None) -> None:
        """Add one batch."""
        self.add_steps(step_figures(self._objective, terms, codes)[None], [rows])

    def add_steps(self, figures: Tensor, rows: list[int]) -> None:
        """Add what `step_figures` returned for steps `(n_steps, …)`, and their numbers of rows."""
        self._figures.append(figures)
        self._rows += rows
        if len(self._figures) == JOINED_STEPS:
            self._joined.append(torch.cat(self._figures))
            self._figures = []

    @property
    def steps(self) -> int:
        """Return the number of steps, or batches."""
        return len(self._rows)

    def saved(self) -> dict[str, Tensor]:
        """Return the figures of the steps so far, at least one, for `restore`."""
        return {"figures": self._table(), "rows": torch.tensor(self._rows)}

    def restore(self, saved: Mapping[str, Tensor], device: torch.device) -> None:
        """Add the steps of which `saved` returned the figures."""
        self.add_steps(saved["figures"].to(device), saved["rows"].tolist())

    def means(self) -> dict[str, float]:
        """Return the mean of each term, and their weighted sum as `total`."""
        if not self._rows:
            return {}
        figures = self._table().double()
        rows = torch.tensor(self._rows, dtype=torch.float64)
        labelled = figures[:, 1 + len(self._weights)] if "classification" in self._weights else rows
        result: dict[str, float] = {}
        for index, name in enumerate(self._weights, start=1):
            share = labelled if name == "classification" else rows
            result[name] = float((figures[:, index] * share).sum() / share.sum().clamp(min=1))
        result["total"] = sum(result[name] * weight for name, weight in self._weights.items())
        return result

    def labelled(self) -> int:
        """Return the number of labelled rows."""
        if "classification" not in self._weights or not self._rows:
            return 0
        return int(self._table()[:, 1 + len(self._weights)].double().sum())

    def gradients(self, layers: Iterable[str]) -> dict[str, float]:
        """Return the mean gradient norm of each of the layers, whose norms were added."""
        names = list(layers)
        if not names or not self._rows:
            return {}
        norms = self._table()[:, -len(names) :].contiguous().mean(0)
        return dict(zip(names, norms.tolist(), strict=True))

    def _table(self) -> Tensor:
        return torch.cat([*self._joined, *self._figures]).cpu()
