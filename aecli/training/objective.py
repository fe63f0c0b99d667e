"""Compute the loss terms of one batch: each by its name, and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from aecli.feed.inputs import Inputs
from aecli.nn.autoencoder import Autoencoder
from aecli.nn.losses import ReconstructionLoss, classification_loss, l1_penalty, l2_penalty


class Terms(NamedTuple):
    """Hold a batch's weighted sum, its terms in the order of `Objective.weights`, its logits."""

    total: Tensor
    values: list[Tensor]
    logits: Tensor | None


class Objective:
    """Bind a network to its losses; only the terms of `weights` are computed."""

    def __init__(
        self,
        network: Autoencoder,
        inputs: Inputs,
        reconstruction: ReconstructionLoss,
        weights: Mapping[str, float],
        class_weights: Tensor | None = None,
    ) -> None:
        self.network = network
        self.inputs = inputs
        self.reconstruction = reconstruction
        self.class_weights = class_weights
        self.weights = dict(weights)

    def to(self, device: torch.device) -> Objective:
        """Move the network and everything the losses need to a device."""
        for module in (self.network, self.inputs, self.reconstruction):
            module.to(device)
        if self.class_weights is not None:
            self.class_weights = self.class_weights.to(device)
        return self

    def __call__(self, cells: Tensor, codes: Tensor | None) -> Terms:
        """Return the terms for cells `(n_rows, n_cells)` and label codes `(n_rows,)`."""
        network = self.network
        latent = network.encode(self.inputs(cells)).float()
        return self.terms(latent, cells, codes, decode=network.decode, classify=network.classify)

    def terms(
        self,
        latent: Tensor,
        cells: Tensor,
        codes: Tensor | None,
        *,
        decode: Callable[[Tensor], Tensor],
        classify: Callable[[Tensor], Tensor],
    ) -> Terms:
        """Return the terms of latents `(n_rows, latent)`, decoded and classified as told."""
        logits: Tensor | None = None
        values: list[Tensor] = []
        total: Tensor | None = None
        for name, weight in self.weights.items():
            if name == "reconstruction":
                value = self.reconstruction(decode(latent).float(), cells)
            elif name == "classification":
                assert codes is not None, "a head is built only with a label"
                logits = classify(latent).float()
                value = classification_loss(logits, codes, self.class_weights)
            else:
                value = l1_penalty(latent) if name == "l1" else l2_penalty(latent)
            weighted = value if weight == 1 else weight * value
            total = weighted if total is None else total + weighted
            values.append(value.detach())
        assert total is not None, "options without any loss are refused when they are parsed"
        return Terms(total, values, logits)


class Means:
    """Average the terms of many batches without waiting for the device.

    Classification is averaged over labelled rows, everything else over rows.
    """

    def __init__(self, objective: Objective) -> None:
        self._weights = objective.weights
        self._values: list[list[Tensor]] = []
        self._rows: list[int] = []
        self._labelled: list[Tensor] = []
        self._right: list[Tensor] = []

    def add(self, terms: Terms, rows: int, codes: Tensor | None) -> None:
        """Take one batch in."""
        self._values.append(terms.values)
        self._rows.append(rows)
        if codes is not None and terms.logits is not None:
            self._labelled.append((codes >= 0).sum())

    def add_hits(self, terms: Terms, codes: Tensor | None) -> None:
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
