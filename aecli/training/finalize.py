"""Finalize a training: the spec, the weights file and the history of the model to save."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from torch import Tensor

from aecli import __version__
from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.features.text.tensors import text_tensors
from aecli.metrics.latent import LatentFigures
from aecli.model.build import fixed_number_weight
from aecli.model.weights import to_bytes
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.calibration import Calibration
from aecli.schema.model_spec import UNSAVED, Column, ModelSpec, Summary
from aecli.training.axes import align_axes
from aecli.training.baselines import compare, dead_hidden_units
from aecli.training.calibration import calibrate_scores
from aecli.training.data import PreparedTable
from aecli.training.diagnostics import diagnose, loss_shares
from aecli.training.fit import FittedNetwork
from aecli.training.interrupt import Interrupt
from aecli.training.row_distribution_fit import fit_row_distribution, has_row_distribution
from aecli.training.sampling_prior import class_latents, decoder_noise
from aecli.training.temperature import calibrate_probabilities
from aecli.training.text_distances import with_text_distances


@dataclass(frozen=True)
class TrainedModel:
    """Trained model that is not saved yet: what `model_directory.save` writes.

    `spec.weights` is a placeholder; `weights` are the bytes of a safetensors file.
    """

    spec: ModelSpec
    weights: bytes
    history: list[Epoch]

    def records(self) -> list[dict[str, Any]]:
        """Return the record of each epoch in the history."""
        return [_record(epoch) for epoch in self.history]


def finalize(
    fitted: FittedNetwork,
    *,
    interrupt: Interrupt,
    seconds: float | None = None,
    progress: Progress = SILENT,
) -> TrainedModel:
    """Compare a fitted network with PCA, calibrate its scores, and collect all that is saved.

    Cross-fitting, for the calibration of small tables, takes at most `seconds`; None for no limit.
    """
    prepared, setup = fitted.prepared, fitted.setup
    progress.stage("aligning the latent")
    inputs = Inputs(prepared.layout).to(fitted.device)
    if note := align_axes(fitted, inputs):
        fitted.notes.append(note)
        progress.note(note)
    progress.stage("comparing with PCA")
    ranges = setup.ranges
    temperature, valid = calibrate_probabilities(fitted, inputs)
    calibrated = {"valid": _finite(valid), "temperature": temperature}
    summary = _summary(fitted, inputs, ranges, progress).model_copy(update=calibrated)
    tensors, calibration = _baseline_tensors(fitted, progress) | {"baseline.ranges": ranges}, None
    columns: Sequence[Column] = setup.columns
    if "reconstruction" in setup.objective.weights:
        progress.stage("calibrating scores")
        parts = (prepared.train, prepared.valid)
        columns = with_text_distances(setup.objective.network, inputs, columns, parts)
        scoring, calibration = calibrate_scores(
            fitted, inputs, interrupt=interrupt, seconds=seconds, progress=progress
        )
        tensors |= scoring.tensors()
        if fitted.options.training.store_rows and scoring.neighbours is not None:
            stored = len(scoring.neighbours.points)
            summary = summary.model_copy(update={"stored_rows": stored})
    progress.stage("saving")
    tensors |= text_tensors(columns)
    spec = _spec(fitted, summary, calibration)
    return TrainedModel(spec, to_bytes(setup.objective.network, tensors), fitted.result.history)


def _baseline_tensors(fitted: FittedNetwork, progress: Progress) -> dict[str, Tensor]:
    """Return PCA for comparisons, and the distributions that `sample` draws from."""
    prepared, setup = fitted.prepared, fitted.setup
    tensors = {"baseline.mean": setup.pca.mean, "baseline.components": setup.pca.components}
    if not setup.network.variational:
        return tensors
    progress.stage("fitting the distribution of rows")
    objective, layout, seed = setup.objective, lay_out(setup.columns), fitted.options.training.seed
    if has_row_distribution(layout, setup.network, objective):
        rows = fit_row_distribution(
            objective, layout, prepared.train, prepared.valid, setup.network, seed
        )
        return tensors | rows.tensors()
    held_out = prepared.valid if len(prepared.valid) else prepared.train
    noise = decoder_noise(objective, held_out, setup.network, seed)
    tensors["baseline.noise_variance"] = noise
    if setup.network.classes:
        tensors |= class_latents(objective, prepared.train, setup.network)
    return tensors


def _summary(fitted: FittedNetwork, inputs: Inputs, ranges: Tensor, progress: Progress) -> Summary:
    prepared, setup, result = fitted.prepared, fitted.setup, fitted.result
    network, spec, weights = setup.objective.network, setup.network, setup.objective.weights
    held_out = prepared.valid if len(prepared.valid) else prepared.train
    decodes = "reconstruction" in weights
    baselines, columns, latent = compare(
        network, inputs, lay_out(setup.columns), setup.pca, ranges, held_out, spec, decode=decodes
    )  # fmt: skip
    progress.stage("diagnosing")
    best = result.best
    health = diagnose(
        spec, fitted.options, result, weights=weights, latent=latent, baselines=baselines,
        label=prepared.plan.label,
    )  # fmt: skip
    return Summary(
        epochs=len(result.history),
        best_epoch=result.best_epoch,
        stopped=result.stopped,
        finished=result.finished,
        seconds=result.seconds,
        device=str(fitted.device),
        precision=fitted.precision,
        batch_size=result.batch_size,
        train_rows=prepared.n_train,
        valid_rows=prepared.n_valid,
        dropped_rows=prepared.dropped,
        train=_finite(best.train),
        valid=_finite(best.valid or {}),
        metrics=_finite(best.metrics),
        start=_finite((result.start.valid if result.start else None) or {}),
        shares=_finite(loss_shares(best, weights)),
        baselines=baselines if decodes else [],
        compared_rows=latent.rows,
        limited=columns.limited(),
        majority_accuracy=_majority_accuracy(fitted.prepared),
        dead_units=dead_hidden_units(network, inputs, prepared.train, spec),
        health=health,
        notes=fitted.notes,
        **_latent_figures(latent, spec.latent_floor),
    )


def _latent_figures(latent: LatentFigures, floor: float) -> dict[str, Any]:
    return {
        "latent_active": latent.size - len(latent.dead()),
        "latent_near_zero": latent.near_zero_share(),
        "latent_zero": latent.zero_share(),
        "latent_mean": (float(latent.means().mean()) - floor) / (1 - floor),
    }


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the finite values: a NaN must not prevent saving the model."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _majority_accuracy(prepared: PreparedTable) -> float | None:
    """Return the validation accuracy of always predicting the most frequent training class."""
    label, codes = prepared.plan.label, prepared.valid.codes
    if label is None or codes is None or not bool((codes >= 0).any()):
        return None
    majority = label.counts.index(max(label.counts))
    return float((codes[codes >= 0] == majority).double().mean())


def _spec(fitted: FittedNetwork, summary: Summary, calibration: Calibration | None) -> ModelSpec:
    plan, setup = fitted.prepared.plan, fitted.setup
    return ModelSpec(
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        versions=_versions(),
        columns=list(setup.columns),
        ids=list(plan.ids),
        left_out=list(plan.left_out),
        label=plan.label,
        network=setup.network,
        loss_weights=setup.objective.weights,
        number_weight=fixed_number_weight(fitted.options.losses) * fitted.result.best.number_weight,
        options=fitted.options,
        parameters=fitted.parameters,
        weights=UNSAVED,
        history=UNSAVED,
        summary=summary,
        table=fitted.prepared.table,
        calibration=calibration,
    )


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "aecli": __version__}
    return versions | {name: version(name) for name in ("torch", "pyarrow", "safetensors")}


def _record(epoch: Epoch) -> dict[str, Any]:
    return {
        "epoch": epoch.number,
        "train": dict(epoch.train),
        "valid": None if epoch.valid is None else dict(epoch.valid),
        "metrics": dict(epoch.metrics),
        "seconds": round(epoch.seconds, 4),
        "learning_rate": epoch.learning_rate,
        "best": epoch.best,
        **({"gradients": dict(epoch.gradients)} if epoch.gradients else {}),
        **({"number_weight": epoch.number_weight} if epoch.number_weight != 1 else {}),
    }
