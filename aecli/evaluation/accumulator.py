"""Accumulate every figure of one model over a stream of samples, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.evaluation.loss_terms import TermFigures
from aecli.evaluation.results import Detection, Measured, Probe
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.classification import Classification, ClassificationFigures
from aecli.metrics.columns import ColumnFigures
from aecli.metrics.latent import LatentFigures
from aecli.metrics.pca import PCA
from aecli.nn.autoencoder import EncoderOutput
from aecli.schema.model_spec import Label


@dataclass(frozen=True)
class DecodedSamples:
    """Samples with all that a model computes from them.

    `cells` and `outputs` have a row per row of a window; `logits` and `codes` are None without a
    classifier or a label.
    """

    cells: Tensor
    code: EncoderOutput
    outputs: Tensor
    logits: Tensor | None
    codes: Tensor | None

    def where(self, samples: Tensor) -> DecodedSamples:
        """Return the samples where the mask `(n_samples,)` is True."""
        count = len(samples)
        cells, outputs = (
            part.view(count, -1, part.shape[1])[samples].reshape(-1, part.shape[1])
            for part in (self.cells, self.outputs)
        )
        spread = self.code.log_variance
        code = EncoderOutput(self.code.latent[samples], None if spread is None else spread[samples])
        logits = None if self.logits is None else self.logits[samples]
        return DecodedSamples(
            cells, code, outputs, logits, None if self.codes is None else self.codes[samples]
        )


class SampleFigures:
    """Figures of samples, accumulated; with a `label` those of the classifier, too."""

    def __init__(self, model: LoadedModel, label: Label | None) -> None:
        network = model.spec.network
        self.terms = TermFigures(model.network, model.spec)
        self.columns = ColumnFigures(model.reader.layout, stored_pca(model))
        self.latent = LatentFigures(network.latent, variational=network.variational)
        self.classification = ClassificationFigures(network.classes) if label else None
        self._label = label
        self._spec = model.spec

    def add(self, samples: DecodedSamples) -> None:
        """Add one batch."""
        logits, codes = samples.logits, samples.codes
        if self.classification is not None and logits is not None and codes is not None:
            self.classification.add(logits, codes)
        self.terms.add(samples.cells, samples.code, samples.outputs, logits, codes)
        self.columns.add(samples.cells, samples.outputs)
        self.latent.add(samples.code.latent)

    def measured(self, rows: int, *, anomaly: Detection | None, probe: Probe | None) -> Measured:
        """Return all figures of the samples, which come from `rows` rows."""
        losses, spec = self.terms.shares(), self._spec
        rho = spec.options.losses.rho if "kl" in spec.loss_weights else None
        return Measured(
            rows=rows,
            losses=losses,
            total=sum(term.value * term.weight for term in losses.values()),
            number_mse=self.columns.number_mse("model"),
            number_mse_baseline=self.columns.number_mse("baseline"),
            number_mse_pca=self.columns.number_mse("pca"),
            columns=self.columns.scores(),
            classification=self._classification(),
            latent=self.latent.health(low=spec.network.latent_floor, rho=rho),
            anomaly=anomaly,
            probe=probe,
        )

    def _classification(self) -> Classification | None:
        if self.classification is None or self._label is None:
            return None
        classes = [str(value) for value in self._label.classes]
        return self.classification.result(classes, self._label.counts)


def stored_pca(model: LoadedModel) -> PCA | None:
    """Return the PCA of the latent's size that was fitted on the training rows, if it is there."""
    if "baseline.mean" not in model.baseline:
        return None
    mean, components = (model.baseline[f"baseline.{part}"] for part in ("mean", "components"))
    return PCA(mean, components, torch.zeros(len(components))).to(model.device)
