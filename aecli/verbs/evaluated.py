"""Turn what was gathered over rows into the figures of a result."""

from __future__ import annotations

from typing import Any

from aecli.evaluation.classification import ClassificationFigures
from aecli.evaluation.figures import ColumnFigure, number_mse
from aecli.evaluation.gathered import Gathered
from aecli.evaluation.latent import LatentFigures
from aecli.spec.model import Label, ModelSpec
from aecli.verbs.measured import Classification, ColumnScore, LatentHealth, LossShare


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
