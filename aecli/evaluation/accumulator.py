"""Gather every figure of one model over a stream of samples, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aecli.evaluation.loss_terms import TermFigures
from aecli.evaluation.results import Classification, ColumnScore, LatentHealth, LossShare
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.classification import ClassificationFigures
from aecli.metrics.columns import ColumnFigure, Comparison, number_mse
from aecli.metrics.latent import LatentFigures
from aecli.metrics.pca import PCA
from aecli.nn.autoencoder import Code
from aecli.schema.model_spec import Label, ModelSpec


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


def measures(gathered: Gathered, spec: ModelSpec, label: Label | None) -> dict[str, Any]:
    """Return the fields of `Measured` that the model's own figures fill."""
    figures = gathered.comparison.columns()
    losses = gathered.terms.means()
    total = sum(value * weight for value, weight in losses.values())
    return {
        "losses": {
            name: LossShare(value, weight, value * weight / total if total else 0.0)
            for name, (value, weight) in losses.items()
        },
        "total": total,
        "number_mse": number_mse(figures, "model"),
        "number_mse_baseline": number_mse(figures, "baseline"),
        "number_mse_pca": number_mse(figures, "pca"),
        "columns": [_column_score(figure) for figure in figures],
        "classification": _classification(gathered.classification, label),
        "latent": _latent_health(gathered.latent, spec),
    }


def _column_score(figure: ColumnFigure) -> ColumnScore:
    return ColumnScore(
        name=figure.name,
        kind=figure.kind,
        metric=figure.metric,
        value=figure.values["model"],
        baseline=figure.values["baseline"],
        pca=figure.values.get("pca"),
        mse=figure.mse["model"],
        observed=figure.observed,
    )


def _classification(
    found: ClassificationFigures | None, label: Label | None
) -> Classification | None:
    if found is None or label is None or found.rows == 0:
        return None
    most_frequent = label.counts.index(max(label.counts))
    return Classification(
        rows=found.rows,
        classes=[str(value) for value in label.classes],
        accuracy=found.accuracy(),
        balanced_accuracy=found.balanced_accuracy(),
        macro_f1=found.macro_f1(),
        auroc=found.auroc(),
        log_loss=found.log_loss(),
        baseline_accuracy=float(found.confusion[most_frequent].sum()) / found.rows,
        confusion=found.confusion.tolist(),
    )


def _latent_health(figures: LatentFigures, spec: ModelSpec) -> LatentHealth:
    dead, low = figures.dead(), spec.network.latent_floor
    active = figures.size - len(dead)
    return LatentHealth(
        size=figures.size,
        active=active,
        active_share=active / figures.size,
        dead=dead,
        effective_rank=figures.effective_rank(),
        mean_abs=figures.mean_abs(),
        near_zero_share=figures.near_zero_share(),
        means=((figures.means() - low) / (1 - low)).tolist(),
        rho=spec.options.losses.rho if "kl" in spec.loss_weights else None,
    )
