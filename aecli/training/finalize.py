"""Gather what a training came to: the spec, the weights file and the history of a model."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from aecli.features.network_inputs import Inputs
from aecli.model.weights import to_bytes
from aecli.nn.init import rotate_latent
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.model_spec import Column, ModelSpec, Network, Summary, WeightsFile
from aecli.schema.options import TrainOptions
from aecli.scoring.fit import fit_scores
from aecli.training.baselines import compare, dead_hidden_units, latent_axes
from aecli.training.build import Assembled
from aecli.training.data import Prepared
from aecli.training.diagnostics import loss_shares, signs
from aecli.training.fit import Fit
from aecli.training.objective import Objective
from aecli.training.sampling_prior import class_latents, decoder_noise

SPARSE = {"l1", "kl"}
"""Losses of single latent units, which a rotation would change."""

UNSAVED = WeightsFile(file=f"weights-{'0' * 12}.safetensors", sha256="0" * 64, size=0, parameters=0)


@dataclass(frozen=True)
class Trained:
    """Hold a trained model that is in no directory yet: what `bundle.save` makes one of.

    `spec.weights` is a placeholder; `weights` are the bytes of a safetensors file.
    """

    spec: ModelSpec
    weights: bytes
    history: list[Epoch]

    def records(self) -> list[dict[str, Any]]:
        """Return what `history.jsonl` says of each epoch."""
        return [_record(epoch) for epoch in self.history]


def outcome(
    prepared: Prepared,
    made: Assembled,
    fit: Fit,
    options: TrainOptions,
    *,
    notes: list[str],
    device: torch.device,
    precision: str,
    progress: Progress = SILENT,
) -> Trained:
    """Compare a fitted network with PCA, calibrate its scores, and gather all that is to be saved.

    `made.objective.network` carries the best weights.
    """
    trained = made.objective.network
    inputs = Inputs(prepared.layout).to(device)
    if made.network.linear_latent and not SPARSE & made.objective.weights.keys():
        rotate_latent(trained, latent_axes(trained, inputs, prepared.train, made.network))
    progress.stage("comparing with PCA")
    summary = _summarise(
        prepared, made, fit, options, notes, inputs, device=str(device), precision=precision
    )
    spec = _spec(prepared, made.columns, made.network, options, summary, made.objective)
    progress.stage("calibrating scores")
    fitted, calibration = fit_scores(trained, inputs, made.columns, prepared.train, prepared.valid)
    extra = _extra(prepared, made, options) | fitted.tensors()
    spec = spec.model_copy(update={"calibration": calibration})
    return Trained(spec, to_bytes(trained, extra), fit.history)


def _extra(prepared: Prepared, made: Assembled, options: TrainOptions) -> dict[str, Tensor]:
    """Return PCA for comparisons, and for `sample` the decoder's noise and where classes lie."""
    found = {"baseline.mean": made.pca.mean, "baseline.components": made.pca.components}
    if not made.network.variational:
        return found
    held_out = prepared.valid if len(prepared.valid) else prepared.train
    noise = decoder_noise(made.objective, held_out, made.network, options.training.seed)
    found["baseline.noise_variance"] = noise
    if made.network.classes:
        found |= class_latents(made.objective, prepared.train, made.network)
    return found


def _summarise(
    prepared: Prepared,
    made: Assembled,
    fit: Fit,
    options: TrainOptions,
    notes: list[str],
    inputs: Inputs,
    *,
    device: str,
    precision: str,
) -> Summary:
    network = made.objective.network
    held_out = prepared.valid if len(prepared.valid) else prepared.train
    compared, rows, latent = compare(
        network, inputs, prepared.layout, made.pca, held_out, made.network
    )
    floor = made.network.latent_floor
    best, weights, label = fit.best, made.objective.weights, prepared.plan.label
    health = signs(
        made.network, options, fit, weights=weights, latent=latent, baselines=compared, label=label
    )
    return Summary(
        epochs=len(fit.history),
        best_epoch=fit.best_epoch,
        stopped=fit.stopped,
        finished=fit.finished,
        seconds=fit.seconds,
        device=device,
        precision=precision,
        batch_size=fit.batch_size,
        train_rows=len(prepared.train),
        valid_rows=len(prepared.valid),
        train=dict(best.train),
        valid=dict(best.valid or {}),
        metrics=dict(best.metrics),
        shares=loss_shares(best, weights),
        baselines=compared,
        compared_rows=rows,
        dead_units=dead_hidden_units(network, inputs, prepared.train, made.network),
        health=health,
        latent_active=latent.size - len(latent.dead()),
        latent_near_zero=latent.near_zero_share(),
        latent_mean=(float(latent.means().mean()) - floor) / (1 - floor),
        notes=notes,
    )


def _spec(
    prepared: Prepared,
    columns: tuple[Column, ...],
    network: Network,
    options: TrainOptions,
    summary: Summary,
    objective: Objective,
) -> ModelSpec:
    parameters = sum(parameter.numel() for parameter in objective.network.parameters())
    return ModelSpec(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        columns=list(columns),
        ids=list(prepared.plan.ids),
        left_out=list(prepared.plan.left_out),
        label=prepared.plan.label,
        network=network,
        loss_weights=objective.weights,
        options=options,
        weights=UNSAVED.model_copy(update={"parameters": parameters}),
        summary=summary,
    )


@cache
def _versions() -> dict[str, str]:
    packages = ("aecli", "torch", "pyarrow", "safetensors")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


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
    }
