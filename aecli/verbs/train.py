"""Train an autoencoder on a table and save it as a model directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from aecli.bundle import check_target, model_directory, save
from aecli.errors import UsageError, nearest
from aecli.files import Lock
from aecli.hardware import (
    choose_device,
    choose_precision,
    keep_freed_memory,
    set_threads,
)
from aecli.progress import SILENT, Progress
from aecli.spec.effect import idle_note
from aecli.spec.invalid import parsed
from aecli.spec.model import Network
from aecli.spec.options import TrainOptions, option_names
from aecli.table.source import Data
from aecli.training.checkpoint import Checkpoint
from aecli.training.interrupt import Interrupt
from aecli.training.loop import Loop
from aecli.training.prepare import Prepared, prepare
from aecli.verbs.assemble import assemble
from aecli.verbs.outcome import Trained, outcome
from aecli.verbs.results import TrainResult


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
    return outcome(
        prepared,
        made,
        fit,
        options,
        notes=notes,
        device=device,
        precision=precision,
        progress=progress,
    )


def _described(network: Network) -> str:
    sizes = [network.inputs, *network.encoder, *network.decoder, network.outputs]
    shape = "-".join(str(size) for size in sizes)
    return f"{shape} {network.activation}"
