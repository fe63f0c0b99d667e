"""Train an autoencoder on a table and save it as a model directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch

from aecli.atomic_files import Lock
from aecli.device import choose_device, choose_precision, keep_freed_memory, set_threads
from aecli.errors import UsageError, nearest
from aecli.model_directory import check_target, model_directory, save
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.model_spec import ModelSpec, Network
from aecli.schema.option_values import OptionValues
from aecli.schema.options import TrainOptions, option_names
from aecli.schema.unused_options import idle_note
from aecli.schema.validation import parsed
from aecli.table.source import Data
from aecli.training.build import Assembled, assemble
from aecli.training.checkpoint import Checkpoint
from aecli.training.data import Prepared, prepare
from aecli.training.finalize import Trained, outcome
from aecli.training.fit import Fit
from aecli.training.interrupt import Interrupt
from aecli.training.trainer import Loop


@dataclass(frozen=True)
class TrainResult:
    """Hold what `train` made: the saved model's directory, its spec and its loss per epoch.

    `signal` is the SIGINT or SIGTERM that ended the training early, if one did; the model is valid.
    """

    model: Path
    spec: ModelSpec
    history: Sequence[Epoch]
    signal: int | None = None


def train(
    data: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    resume: bool = False,
    options: TrainOptions | None = None,
    progress: Progress = SILENT,
    **values: Unpack[OptionValues],
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
    device = ready(chosen)
    check_target(directory)
    with Lock(directory):
        prepared = prepare(data, chosen, progress)
        # From the first step to the commit a signal must leave a valid model.
        with Interrupt() as interrupt:
            fitted = fit(
                prepared,
                chosen,
                device,
                interrupt=interrupt,
                directory=directory,
                resume=resume,
                progress=progress,
            )
            trained = fitted.trained(progress)
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
    device = ready(options)
    prepared = prepare(data, options, progress)
    deaf = Interrupt(listen=False)
    trained = fit(prepared, options, device, interrupt=deaf, progress=progress).trained(progress)
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


Watch = Callable[[Epoch], str | None]


@dataclass(frozen=True)
class Fitted:
    """Hold a network that carries its best weights, with all that it came from."""

    prepared: Prepared
    options: TrainOptions
    made: Assembled
    fit: Fit
    notes: list[str]
    device: torch.device
    precision: str

    def trained(self, progress: Progress = SILENT) -> Trained:
        """Compare the network with PCA, calibrate its scores, and gather what is to be saved."""
        return outcome(
            self.prepared,
            self.made,
            self.fit,
            self.options,
            notes=self.notes,
            device=self.device,
            precision=self.precision,
            progress=progress,
        )


def ready(options: TrainOptions) -> torch.device:
    """Set this process up as the options say, and return the device to train on.

    Raises:
        UsageError: there is no such device.
    """
    set_threads(options.training.threads)
    keep_freed_memory()
    return choose_device(options.training.device)


def fit(
    prepared: Prepared,
    options: TrainOptions,
    device: torch.device,
    *,
    interrupt: Interrupt,
    directory: Path | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    progress: Progress = SILENT,
) -> Fitted:
    """Train on a prepared table; an unfinished training leaves a checkpoint in `directory`.

    Raises:
        UsageError: options contradict each other or do not fit the columns.
        OutputError: the network does not fit into memory.
        DivergedError: the loss stopped being finite before any epoch was good.
    """
    made = assemble(prepared, options, progress)
    notes = [note for note in (idle_note(options), *prepared.notes, *made.notes) if note]
    for note in notes:
        progress.note(note)
    precision = choose_precision(options.training.precision, device, made.network)
    loop = Loop(
        made.objective,
        prepared.train,
        prepared.valid,
        options.training,
        device=device,
        precision=precision,
        widest=made.network.widest,
        checkpoint=Checkpoint(directory, _identity(prepared, made, options)) if directory else None,
        interrupt=interrupt,
        progress=progress,
        watch=watch,
    )
    progress.training(_described(made.network), loop.epochs, len(prepared.train))
    found = loop.fit(resume=resume)
    return Fitted(prepared, options, made, found, notes, device, precision)


def _identity(prepared: Prepared, made: Assembled, options: TrainOptions) -> dict[str, object]:
    return {
        "options": options.model_dump(mode="json", exclude={"training": {"time_limit", "threads"}}),
        "columns": [column.model_dump(mode="json") for column in made.columns],
        "rows": [len(prepared.train), len(prepared.valid)],
    }


def _described(network: Network) -> str:
    sizes = [network.inputs, *network.encoder, *network.decoder, network.outputs]
    shape = "-".join(str(size) for size in sizes)
    return f"{shape} {network.activation}"
