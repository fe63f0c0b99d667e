"""Train a prepared table's network: what `train` saves, and what `tune` measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from aecli.hardware import choose_device, choose_precision, keep_freed_memory, set_threads
from aecli.progress import SILENT, Epoch, Progress
from aecli.spec.effect import idle_note
from aecli.spec.model import Network
from aecli.spec.options import TrainOptions
from aecli.training.checkpoint import Checkpoint
from aecli.training.fit import Fit
from aecli.training.interrupt import Interrupt
from aecli.training.loop import Loop
from aecli.training.prepare import Prepared
from aecli.verbs.assemble import Assembled, assemble
from aecli.verbs.outcome import Trained, outcome

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
