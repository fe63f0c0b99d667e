"""Train a prepared table's network: what `train` saves, and what `tune` measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from aecli.device import choose_device, choose_precision, keep_freed_memory, set_threads
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.consistency import unused_options_note
from aecli.schema.options import TrainOptions
from aecli.training.build import TrainingSetup, build_training
from aecli.training.checkpoint import Checkpoint
from aecli.training.data import PreparedTable
from aecli.training.interrupt import Interrupt
from aecli.training.trainer import FitResult, Trainer

EpochCallback = Callable[[Epoch], str | None]
"""Called after each complete epoch; a returned text is the reason to stop."""


@dataclass(frozen=True)
class FittedNetwork:
    """Trained network with its best weights, and the inputs of its training."""

    prepared: PreparedTable
    options: TrainOptions
    setup: TrainingSetup
    result: FitResult
    notes: list[str]
    device: torch.device
    precision: str

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds of the time limit that training left; None without a limit."""
        limit = self.options.training.time_limit
        return None if limit is None else limit - self.result.seconds


def configure_process(options: TrainOptions) -> torch.device:
    """Set the threads and memory of this process; return the device to train on.

    Raises:
        UsageError: the device is not available.
    """
    set_threads(options.training.threads)
    keep_freed_memory()
    return choose_device(options.training.device)


def fit(
    prepared: PreparedTable,
    options: TrainOptions,
    device: torch.device,
    *,
    interrupt: Interrupt,
    directory: Path | None = None,
    resume: bool = False,
    on_epoch: EpochCallback | None = None,
    progress: Progress = SILENT,
) -> FittedNetwork:
    """Train on a prepared table; an unfinished training leaves a checkpoint in `directory`.

    Raises:
        UsageError: options contradict each other or do not fit the columns.
        OutputError: the network does not fit into memory.
        DivergedError: the loss became non-finite before the first complete epoch.
    """
    setup = build_training(prepared, options, progress)
    notes = [note for note in (unused_options_note(options), *prepared.notes, *setup.notes) if note]
    for note in notes:
        progress.note(note)
    precision = choose_precision(options.training.precision, device, setup.network)
    checkpoint = Checkpoint(directory, _identity(prepared, setup, options)) if directory else None
    trainer = Trainer(
        setup.objective,
        prepared.train,
        prepared.valid,
        options.training,
        device=device,
        precision=precision,
        widest=setup.network.widest,
        checkpoint=checkpoint,
        interrupt=interrupt,
        progress=progress,
        on_epoch=on_epoch,
    )
    unit = "row" if prepared.train.windows is None else "window"
    progress.training(trainer.epochs, len(prepared.train), unit)
    result = trainer.fit(resume=resume)
    return FittedNetwork(prepared, options, setup, result, notes, device, precision)


def _identity(
    prepared: PreparedTable, setup: TrainingSetup, options: TrainOptions
) -> dict[str, object]:
    """Return the options and data that must be equal in a stopped and a resumed training."""
    return {
        "options": options.model_dump(mode="json", exclude={"training": {"time_limit", "threads"}}),
        "columns": [column.model_dump(mode="json") for column in setup.columns],
        "rows": [len(prepared.train), len(prepared.valid)],
    }
