"""Accumulators of all figures of a model over a stream of samples, in constant memory.

Figures are exact over all samples, not means of batch means.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aecli.evaluation.results import Detection, LossShare, Measured, Probe
from aecli.features.layout import lay_out
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.classification import Classification, ClassificationFigures
from aecli.metrics.columns import ColumnFigures
from aecli.metrics.detection import Interval
from aecli.metrics.intervals import share_interval
from aecli.metrics.latent import LatentFigures, input_variance
from aecli.metrics.missing_cells import is_complete
from aecli.metrics.pca import PCA
from aecli.metrics.texts import TextFigures
from aecli.model.build import build_reconstruction_loss
from aecli.nn.autoencoder import AutoencoderNetwork, EncoderOutput
from aecli.nn.losses import bernoulli_kl, kl_normal
from aecli.schema.model_spec import Label, ModelSpec
from aecli.training.data import class_weights


class DecodedSamples(NamedTuple):
    """Samples with all outputs of a model for them.

    `cells` and `outputs` have a row per row of a window; `logits` and `codes` are None without a
    classifier or a label.
    """

    cells: Tensor
    code: EncoderOutput
    outputs: Tensor
    logits: Tensor | None = None
    codes: Tensor | None = None

    def where(self, mask: Tensor) -> DecodedSamples:
        """Return the samples where the mask `(n_samples,)` is True."""
        cells, outputs = (
            part.view(len(mask), -1, part.shape[1])[mask].reshape(-1, part.shape[1])
            for part in (self.cells, self.outputs)
        )
        log_variance, logits, codes = (
            None if part is None else part[mask]
            for part in (self.code.log_variance, self.logits, self.codes)
        )
        code = EncoderOutput(self.code.latent[mask], log_variance)
        return DecodedSamples(cells, code, outputs, logits, codes)


class TermFigures:
    """Accumulator of the loss terms of a model's training."""

    def __init__(self, network: AutoencoderNetwork, spec: ModelSpec) -> None:
        layout = lay_out(spec.columns)
        device = next(network.parameters()).device
        self._weights = spec.loss_weights
        self._loss = build_reconstruction_loss(layout, spec.options.losses).to(device)
        self._column_of = torch.tensor(layout.column_of)
        self._column_weights = self._loss.weights.double().cpu()
        self._errors = torch.zeros(layout.cells, dtype=torch.float64)
        self._observed = torch.zeros(layout.cells, dtype=torch.float64)
        self._sums = dict.fromkeys(("classification", "l0", "l1", "l2", "kl_normal"), 0.0)
        self._sparsity = spec.sparsity
        self._class_weights: Tensor | None = None
        if spec.label is not None and spec.options.losses.balance:
            self._class_weights = class_weights(spec.label).to(device)
        self._activation = torch.zeros(spec.network.latent, dtype=torch.float64)
        self._labelled = 0
        self._latents = 0

    def add(self, samples: DecodedSamples) -> None:
        """Add one batch."""
        cells, code, outputs, logits, codes = samples
        errors = self._loss.cell_errors(outputs, cells)
        self._observed += len(errors) if is_complete(errors) else (~errors.isnan()).sum(0).cpu()
        self._errors += errors.nan_to_num_(0.0).sum(0, dtype=torch.float64).cpu()
        latent = code.latent.double()
        self._activation += latent.sum(0).cpu()
        if code.log_variance is not None:
            self._sums["kl_normal"] += (
                float(kl_normal(code.latent, code.log_variance)) * latent.numel()
            )
        self._sums["l0"] += float(latent.count_nonzero())
        self._sums["l1"] += float(latent.abs().sum())
        self._sums["l2"] += float(latent.square().sum())
        self._latents += latent.numel()
        if logits is not None and codes is not None:
            loss = F.cross_entropy(
                logits, codes, weight=self._class_weights, ignore_index=-1, reduction="sum"
            )
            self._sums["classification"] += float(loss)
            self._labelled += int((codes >= 0).sum())

    def shares(self) -> dict[str, LossShare]:
        """Return each term with its share; classification only with labelled rows."""
        latents = max(1, self._latents)
        penalties = {name: self._sums[name] / latents for name in ("l0", "l1", "l2", "kl_normal")}
        means = {"reconstruction": self.reconstruction(), "kl": self._kl(), **penalties}
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
        """Return the mean reconstruction loss, without its weight."""
        columns = len(self._column_weights)
        sums = torch.zeros(columns, dtype=torch.float64).index_add_(
            0, self._column_of, self._errors
        )
        counts = torch.zeros(columns, dtype=torch.float64)
        counts.index_add_(0, self._column_of, self._observed)
        means = sums / counts.clamp(min=1) * self._column_weights
        return float(means.sum() / counts.count_nonzero().clamp(min=1))


class SampleFigures:
    """Accumulator of all figures of samples; with a `label` also those of the classifier."""

    def __init__(self, model: LoadedModel, label: Label | None) -> None:
        network = model.spec.network
        self.terms = TermFigures(model.network, model.spec)
        ranges = model.baseline.get("baseline.ranges")
        self.columns = ColumnFigures(model.reader.layout, stored_pca(model), ranges)
        self.texts = TextFigures(model.reader.layout)
        self.latent = LatentFigures(
            network.latent,
            variational=network.variational,
            input_variance=input_variance(model.spec.columns),
        )
        self.classification = ClassificationFigures(network.classes) if label else None
        self._label = label
        self._spec = model.spec

    def add(self, samples: DecodedSamples) -> None:
        """Add one batch."""
        cells, code, outputs, logits, codes = samples
        if self.classification is not None and logits is not None and codes is not None:
            self.classification.add(logits, codes)
        self.terms.add(samples)
        if self._spec.decoder_trained:
            self.columns.add(cells, outputs)
            self.texts.add(cells, outputs)
        self.latent.add(code.latent)

    def measured(self, rows: int, *, anomaly: Detection | None, probe: Probe | None) -> Measured:
        """Return all figures of the samples of `rows` rows."""
        losses, spec = self.terms.shares(), self._spec
        classification = self._classification()
        rho = spec.options.losses.rho if "kl" in spec.loss_weights else None
        return Measured(
            rows=rows,
            samples=self.latent.rows,
            losses=losses,
            total=sum(term.value * term.weight for term in losses.values()),
            number_r2=self.columns.number_r2("model"),
            number_r2_baseline=self.columns.number_r2("baseline"),
            number_r2_pca=self.columns.number_r2("pca"),
            number_mse=self.columns.number_mse("model"),
            number_mse_baseline=self.columns.number_mse("baseline"),
            number_mse_pca=self.columns.number_mse("pca"),
            limited=self.columns.limited(),
            retrieved=self.texts.shares(),
            columns=self.columns.scores() if spec.decoder_trained else [],
            classification=classification,
            latent=self.latent.health(low=spec.network.latent_floor, rho=rho),
            anomaly=anomaly,
            probe=probe,
            intervals=self._intervals(classification),
        )

    def _intervals(self, classification: Classification | None) -> dict[str, Interval]:
        """Return the 95 % intervals of `Measured`, also of the classifier's accuracy."""
        intervals = self.columns.intervals() if self._spec.decoder_trained else {}
        if classification is None:
            return intervals
        rows, trivial = classification.rows, classification.baseline_accuracy
        accuracy = share_interval(classification.accuracy * rows, rows)
        if accuracy is not None:
            value, low, high = accuracy.value, accuracy.low, accuracy.high
            intervals["label"] = accuracy
            intervals["label_gain"] = Interval(value - trivial, low - trivial, high - trivial)
        return intervals

    def _classification(self) -> Classification | None:
        if self.classification is None or self._label is None:
            return None
        classes = [str(value) for value in self._label.classes]
        return self.classification.result(classes, self._label.counts)


def stored_pca(model: LoadedModel) -> PCA | None:
    """Return the PCA of the latent's size, fitted on the training rows; None if not saved."""
    if "baseline.mean" not in model.baseline:
        return None
    mean, components = (model.baseline[f"baseline.{part}"] for part in ("mean", "components"))
    return PCA(mean, components, torch.zeros(len(components))).to(model.device)
