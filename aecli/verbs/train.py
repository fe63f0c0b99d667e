"""Train an autoencoder on a table and save it as a model directory."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aecli.bundle import check_target, model_directory, save
from aecli.errors import UsageError, nearest
from aecli.evaluation.calibration import fit_scores
from aecli.evaluation.health import loss_shares, signs
from aecli.evaluation.summary import (
    block_samples,
    class_latents,
    compare,
    dead_hidden_units,
    decoder_noise,
)
from aecli.feed.inputs import Inputs
from aecli.files import Lock
from aecli.hardware import (
    choose_device,
    choose_precision,
    keep_freed_memory,
    set_threads,
)
from aecli.progress import SILENT, Epoch, Progress
from aecli.spec.effect import idle_note
from aecli.spec.invalid import parsed
from aecli.spec.model import Column, ModelSpec, Network, Summary, WeightsFile
from aecli.spec.options import TrainOptions, option_names
from aecli.table.source import Data
from aecli.training.checkpoint import Checkpoint
from aecli.training.interrupt import Interrupt
from aecli.training.loop import Fit, Loop
from aecli.training.objective import Objective
from aecli.training.prepare import Prepared, prepare
from aecli.verbs.assemble import Assembled, assemble
from aecli.verbs.results import TrainResult
from aecli.weights import to_bytes

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


def train(
    data: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    resume: bool = False,
    options: TrainOptions | None = None,
    progress: Progress = SILENT,
    **values: Any,
) -> TrainResult:
    """Train on `data` and save the model; `values` are options by name, such as `encoder=[64, 8]`.

    Args:
        data: paths, globs or folders, `-`, or a table in memory (Arrow, pandas, polars).
        model: the model directory; `AECLI_MODEL` or `./aecli_model` unless given.
        tag: short for the directory `runs/TAG`.
        resume: go on with a training that was stopped, bit for bit as if it had not been.
        options: every option at once, instead of `values`.
        progress: hears what happens.

    Raises:
        UsageError: an option is unknown, out of bounds, or does not fit the table.
        DataError: the table cannot be read or cannot be learned from.
        DivergedError: the loss stopped being finite before any epoch was good.
        OutputError: the model cannot be written.
        LockedError: another run is writing this model directory.
    """
    if options is not None and values:
        raise UsageError(f"train takes options or {next(iter(values))}=…, not both")
    chosen = options or parse_options(values)
    directory = model_directory(model, tag)
    device = _ready(chosen)
    check_target(directory)
    with Lock(directory):
        prepared = prepare(data, chosen, progress)
        # From the first step to the commit a signal must leave a valid model.
        with Interrupt() as interrupt:
            trained = _train(prepared, directory, chosen, device, resume, interrupt, progress)
            spec = save(directory, trained.spec, trained.weights, trained.records())
        if spec.summary.finished:
            Checkpoint(directory, {}).remove()
        progress.finish()
    return TrainResult(model=directory, spec=spec, history=trained.history, signal=interrupt.signal)


def train_in_memory(data: Data, options: TrainOptions, progress: Progress = SILENT) -> Trained:
    """Train on `data` as `train` does, and leave nothing on disk; a signal ends it as any program.

    Raises:
        UsageError: an option does not fit the table.
        DataError: the table cannot be learned from.
        DivergedError: the loss stopped being finite before any epoch was good.
    """
    device = _ready(options)
    prepared = prepare(data, options, progress)
    deaf = Interrupt(listen=False)
    trained = _train(prepared, None, options, device, False, deaf, progress)
    progress.finish()
    return trained


def parse_options(values: Mapping[str, Any]) -> TrainOptions:
    """Build the options of a Python call.

    Raises:
        UsageError: a name is no option, or a value is of the wrong type or out of bounds.
    """
    try:
        return parsed(
            values,
            spelled=lambda name, value: f"{name}={value!r}",
        )
    except KeyError as error:
        name = str(error.args[0])
        near = nearest(name, option_names())
        hint = f"{near}=…" if near else "docs/options.md lists every option"
        raise UsageError(f"train has no option {name!r}", hint=hint) from None


def _ready(options: TrainOptions) -> torch.device:
    set_threads(options.training.threads)
    keep_freed_memory()
    return choose_device(options.training.device)


def _train(
    prepared: Prepared,
    directory: Path | None,
    options: TrainOptions,
    device: torch.device,
    resume: bool,
    interrupt: Interrupt,
    progress: Progress,
) -> Trained:
    made = assemble(prepared, options, progress)
    notes = [note for note in (idle_note(options), *prepared.notes, *made.notes) if note]
    for note in notes:
        progress.note(note)
    columns, network, objective = made.columns, made.network, made.objective
    identity = {
        "options": options.model_dump(mode="json", exclude={"training": {"time_limit", "threads"}}),
        "columns": [column.model_dump(mode="json") for column in columns],
        "rows": [len(prepared.train), len(prepared.valid)],
    }
    precision = choose_precision(options.training.precision, device, network)
    checkpoint = Checkpoint(directory, identity) if directory is not None else None
    loop = Loop(
        objective,
        prepared.train,
        prepared.valid,
        options.training,
        device=device,
        precision=precision,
        widest=made.network.widest,
        checkpoint=checkpoint,
        interrupt=interrupt,
        progress=progress,
    )
    progress.training(_described(network), loop.epochs, len(prepared.train))
    fit = loop.fit(resume=resume)
    progress.stage("comparing with PCA")
    summary = _summarise(
        prepared, made, fit, options, notes, device=str(device), precision=precision
    )
    progress.stage("calibrating scores")
    fitted, calibration = fit_scores(
        objective.network,
        Inputs(prepared.layout).to(device),
        columns,
        prepared.train,
        prepared.valid,
    )
    spec = _spec(prepared, columns, network, options, summary, objective)
    spec = spec.model_copy(update={"calibration": calibration})
    extra = _extra(prepared, made, options) | fitted.tensors()
    return Trained(spec, to_bytes(objective.network, extra), fit.history)


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
    *,
    device: str,
    precision: str,
) -> Summary:
    layout, network = prepared.layout, made.objective.network
    inputs = Inputs(layout)
    held_out = prepared.valid if len(prepared.valid) else prepared.train
    samples = block_samples(made.network, held_out)
    compared, rows, latent = compare(
        network, inputs.to(device), layout, made.pca, held_out, samples
    )
    floor = made.network.latent_floor
    best = next(epoch for epoch in fit.history if epoch.number == fit.best_epoch)
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
        shares=loss_shares(best, made.objective.weights),
        baselines=compared,
        compared_rows=rows,
        dead_units=dead_hidden_units(network, inputs, prepared.train, samples),
        health=signs(
            made.network,
            options,
            best,
            weights=made.objective.weights,
            latent=latent,
            baselines=compared,
        ),
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


def _described(network: Network) -> str:
    sizes = [network.inputs, *network.encoder, *network.decoder, network.outputs]
    shape = "-".join(str(size) for size in sizes)
    return f"{shape} {network.activation}"


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
