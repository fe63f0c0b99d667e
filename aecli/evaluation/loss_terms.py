"""Average each loss term over a stream of rows, exactly: no mean of batch means."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.features.layout import lay_out
from aecli.model.build import reconstruction_loss
from aecli.nn.autoencoder import AutoencoderNetwork, EncoderOutput
from aecli.nn.losses import bernoulli_kl, kl_normal
from aecli.schema.model_spec import ModelSpec
from aecli.training.data import class_weights


@dataclass(frozen=True)
class LossShare:
    """One loss term: its mean over the rows, its weight, and its share of the total."""

    value: float
    weight: float
    share: float


class TermFigures:
    """Accumulator of the loss terms that the model was trained on."""

    def __init__(self, network: AutoencoderNetwork, spec: ModelSpec) -> None:
        layout = lay_out(spec.columns)
        device = next(network.parameters()).device
        self._weights = spec.loss_weights
        self._loss = reconstruction_loss(layout, spec.options.losses).to(device)
        self._column_of = torch.tensor(layout.column_of)
        self._column_weights = self._loss.weights.double().cpu()
        self._errors = torch.zeros(layout.cells, dtype=torch.float64)
        self._observed = torch.zeros(layout.cells, dtype=torch.float64)
        self._sums = {"classification": 0.0, "l1": 0.0, "l2": 0.0, "kl_normal": 0.0}
        self._sparsity = spec.sparsity
        self._class_weights: Tensor | None = None
        if spec.label is not None and spec.options.losses.balance:
            self._class_weights = class_weights(spec.label).to(device)
        self._activation = torch.zeros(spec.network.latent, dtype=torch.float64)
        self._labelled = 0
        self._latents = 0

    def add(
        self,
        cells: Tensor,
        code: EncoderOutput,
        outputs: Tensor,
        logits: Tensor | None,
        codes: Tensor | None,
    ) -> None:
        """Take one batch in."""
        errors = self._loss.cell_errors(outputs, cells)
        self._errors += errors.nan_to_num(0.0).double().sum(0).cpu()
        self._observed += (~errors.isnan()).sum(0).cpu()
        latent = code.latent
        self._activation += latent.double().sum(0).cpu()
        if code.log_variance is not None:
            self._sums["kl_normal"] += (
                float(kl_normal(code.latent, code.log_variance)) * latent.numel()
            )
        self._sums["l1"] += float(latent.double().abs().sum())
        self._sums["l2"] += float(latent.double().square().sum())
        self._latents += latent.numel()
        if logits is not None and codes is not None:
            loss = F.cross_entropy(
                logits, codes, weight=self._class_weights, ignore_index=-1, reduction="sum"
            )
            self._sums["classification"] += float(loss)
            self._labelled += int((codes >= 0).sum())

    def shares(self) -> dict[str, LossShare]:
        """Return each term with its share; classification only layout rows were labelled."""
        means = {
            "reconstruction": self.reconstruction(),
            "l1": self._sums["l1"] / max(1, self._latents),
            "l2": self._sums["l2"] / max(1, self._latents),
            "kl": self._kl(),
            "kl_normal": self._sums["kl_normal"] / max(1, self._latents),
        }
        if self._labelled:
            means["classification"] = self._sums["classification"] / self._labelled
        weighted = {name: means[name] * w for name, w in self._weights.items() if name in means}
        total = sum(weighted.values())
        return {
            name: LossShare(means[name], self._weights[name], value / total if total else 0.0)
            for name, value in weighted.items()
        }

    def _kl(self) -> float:
        rho, low = self._sparsity
        samples = max(1, self._latents // len(self._activation))
        mean = self._activation / samples
        return float(bernoulli_kl((mean - low) / (1 - low), rho).mean())

    def reconstruction(self) -> float:
        """Return the mean reconstruction loss, whatever its weight."""
        columns = len(self._column_weights)
        sums = torch.zeros(columns, dtype=torch.float64).index_add_(
            0, self._column_of, self._errors
        )
        counts = torch.zeros(columns, dtype=torch.float64)
        counts.index_add_(0, self._column_of, self._observed)
        means = sums / counts.clamp(min=1) * self._column_weights
        return float(means.sum() / counts.count_nonzero().clamp(min=1))
