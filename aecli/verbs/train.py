"""Train an autoencoder on a table and save it as a model directory."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from aecli.bundle import check_target, model_directory, save
from aecli.errors import UsageError, nearest
from aecli.evaluation.calibration import fit_scores
from aecli.evaluation.health import signs
from aecli.evaluation.summary import class_latents, compare, dead_hidden_units
from aecli.feed.inputs import Inputs
from aecli.files import Lock
from aecli.hardware import (
    choose_device,
    choose_precision,
    keep_freed_memory,
    set_threads,
)
from aecli.progress import SILENT, Epoch, Progress
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
    set_threads(chosen.training.threads)
    keep_freed_memory()
    device = choose_device(chosen.training.device)
    check_target(directory)
    with Lock(directory):
        prepared = prepare(data, chosen, progress)
        # From the first step to the commit a signal must leave a valid model.
        with Interrupt() as interrupt:
            return _train(prepared, directory, chosen, device, resume, interrupt, progress)


def parse_options(values: Mapping[str, Any]) -> TrainOptions:
    """Build the options of a Python call.

    Raises:
        UsageError: a name is no option, or a value is of the wrong type or out of bounds.
    """
    try:
        return parsed(
            values,
            spelled=lambda name, value: f"{name}={value!r}",
            reference="help(aecli.train)",
        )
    except KeyError as error:
        name = str(error.args[0])
        near = nearest(name, option_names())
        hint = f"{near}=…" if near else "docs/options.md lists every option"
        raise UsageError(f"train has no option {name!r}", hint=hint) from None


def _train(
    prepared: Prepared,
    directory: Path,
    options: TrainOptions,
    device: torch.device,
    resume: bool,
    interrupt: Interrupt,
    progress: Progress,
) -> TrainResult:
    made = assemble(prepared, options, progress)
    notes = [*prepared.notes, *made.notes]
    for note in notes:
        progress.note(note)
    columns, network, objective = made.columns, made.network, made.objective
    identity = {
        "options": options.model_dump(mode="json", exclude={"training": {"time_limit", "threads"}}),
        "columns": [column.model_dump(mode="json") for column in columns],
        "rows": [len(prepared.train), len(prepared.valid)],
    }
    precision = choose_precision(options.training.precision, device, network)
    checkpoint = Checkpoint(directory, identity)
    loop = Loop(
        objective,
        prepared.train,
        prepared.valid,
        options.training,
        device=device,
        precision=precision,
        checkpoint=checkpoint,
        interrupt=interrupt,
        progress=progress,
    )
    progress.training(_described(network), options.training.epochs, len(prepared.train))
    fit = loop.fit(resume=resume)
    progress.stage("comparing with PCA")
    summary = _summarise(
        prepared, made, fit, options, notes, device=str(device), precision=precision
    )
    spec = _spec(prepared, columns, network, options, summary, objective)
    progress.stage("calibrating scores")
    spec, weights = _with_scores(spec, prepared, made)
    history = [_record(epoch) for epoch in fit.history]
    spec = save(directory, spec, weights, history)
    if fit.finished:
        checkpoint.remove()
    progress.finish()
    return TrainResult(model=directory, spec=spec, history=fit.history, signal=interrupt.signal)


def _with_scores(spec: ModelSpec, prepared: Prepared, made: Assembled) -> tuple[ModelSpec, bytes]:
    """Return the spec with its calibration, and the bytes of the weights file."""
    network, module = made.network, made.objective.network
    inputs = Inputs(prepared.layout).to(next(module.parameters()).device)
    fitted, calibration = fit_scores(module, inputs, made.columns, prepared.train, prepared.valid)
    extra = {"baseline.mean": made.pca.mean, "baseline.components": made.pca.components}
    extra |= fitted.tensors()
    if network.variational and network.classes:
        extra |= class_latents(made.objective, prepared.train, network.classes)
    return spec.model_copy(update={"calibration": calibration}), to_bytes(module, extra)


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
    compared, rows, latent = compare(network, inputs.to(device), layout, made.pca, held_out)
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
        baselines=compared,
        compared_rows=rows,
        dead_units=dead_hidden_units(network, inputs, prepared.train),
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
    versions = {name: version(name) for name in ("aecli", "torch", "pyarrow", "safetensors")}
    return ModelSpec(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"python": platform.python_version()} | versions,
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
