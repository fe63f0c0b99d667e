"""Gather every figure of one model over a stream of samples, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.evaluation.classification import ClassificationFigures
from aecli.evaluation.latent import LatentFigures
from aecli.evaluation.pca import PCA
from aecli.evaluation.summary import Comparison
from aecli.evaluation.terms import TermFigures
from aecli.nn.autoencoder import Code
from aecli.stream.model import LoadedModel


@dataclass(frozen=True)
class Answered:
    """Hold samples with all that a model makes of them.

    `cells` and `outputs` have a row per row of a window; `logits` and `codes` are None without a
    classifier or a label.
    """

    cells: Tensor
    code: Code
    outputs: Tensor
    logits: Tensor | None
    codes: Tensor | None

    def where(self, samples: Tensor) -> Answered:
        """Return the samples where the mask `(n_samples,)` is True."""
        count = len(samples)
        cells, outputs = (
            part.view(count, -1, part.shape[1])[samples].reshape(-1, part.shape[1])
            for part in (self.cells, self.outputs)
        )
        spread = self.code.log_variance
        code = Code(self.code.latent[samples], None if spread is None else spread[samples])
        logits = None if self.logits is None else self.logits[samples]
        return Answered(
            cells, code, outputs, logits, None if self.codes is None else self.codes[samples]
        )


class Gathered:
    """Accumulate figures of samples; `classified` says that their labels are known."""

    def __init__(self, model: LoadedModel, *, classified: bool) -> None:
        network = model.spec.network
        self.terms = TermFigures(model.network, model.spec)
        self.comparison = Comparison(model.reader.layout, stored_pca(model))
        self.latent = LatentFigures(network.latent, variational=network.variational)
        classes = network.classes
        self.classification = ClassificationFigures(classes) if classes and classified else None

    def add(self, answered: Answered) -> None:
        """Take one batch in."""
        logits, codes = answered.logits, answered.codes
        if self.classification is not None and logits is not None and codes is not None:
            self.classification.add(logits, codes)
        self.terms.add(answered.cells, answered.code, answered.outputs, logits, codes)
        self.comparison.add(answered.cells, answered.outputs)
        self.latent.add(answered.code.latent)


def stored_pca(model: LoadedModel) -> PCA | None:
    """Return the PCA of the latent's size that was fitted on the training rows, if it is there."""
    if "baseline.mean" not in model.baseline:
        return None
    mean, components = (model.baseline[f"baseline.{part}"] for part in ("mean", "components"))
    return PCA(mean, components, torch.zeros(len(components))).to(model.device)
