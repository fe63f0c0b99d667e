"""Train a prepared table's network: what `train` saves, and what `tune` measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aecli import __version__
from aecli.device import (
    choose_device,
    choose_precision,
    keep_freed_memory,
    limited_threads,
    set_threads,
    step_threads,
)
from aecli.errors import DivergedError, OutputError
from aecli.formatting import count
from aecli.metrics.pca import PCA
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.consistency import unused_options_note
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import CHANGEABLE
from aecli.training.build import TrainingSetup, build_training
from aecli.training.checkpoint import Checkpoint
from aecli.training.data import PreparedTable
from aecli.training.epoch_steps import has_static_steps, is_captured
from aecli.training.fit_result import FitResult
from aecli.training.interrupt import Interrupt
from aecli.training.memory import release_table
from aecli.training.paired_losses import cross_entropies, is_clearly_lower
from aecli.training.schedule import default_batch_size
from aecli.training.selection import (
    compares_binned,
    has_lower_criterion,
    is_binned_by_rule,
    selection_note,
    with_binned_inputs,
)
from aecli.training.trainer import Trainer

EpochCallback = Callable[[Epoch], str | None]
"""Called after each complete epoch; a returned text is the reason to stop."""

NOT_COMPARED = "classifier without binned inputs: the comparison with them was stopped"


@dataclass(frozen=True)
class FittedNetwork:
    """Trained network with its best weights, and the inputs of its training.

    `options` are those of the user; `binned` is whether the network has copies of numbers in bins
    as inputs.
    """

    prepared: PreparedTable
    options: TrainOptions
    binned: bool
    setup: TrainingSetup
    result: FitResult
    notes: list[str]
    device: torch.device
    precision: str

    def of_sample(self) -> FittedNetwork:
        """Return the same network with rows of all ranks, a sample if there are several."""
        return replace(self, prepared=self.prepared.sampled)

    @property
    def parameters(self) -> int:
        """Return the number of parameters of the network."""
        return sum(parameter.numel() for parameter in self.setup.objective.network.parameters())

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
    saved: Callable[[], None] | None = None,
    on_epoch: EpochCallback | None = None,
    progress: Progress = SILENT,
    binned: bool | None = None,
) -> FittedNetwork:
    """Train on a prepared table; an unfinished training leaves a checkpoint in `directory`.

    Without `binned`, binned inputs are chosen or not; `on_epoch` is called in the first training
    only, `saved` when a checkpoint was written.

    Raises:
        UsageError: options contradict each other or do not fit the columns.
        OutputError: the network does not fit into memory.
        DivergedError: the loss became non-finite before the first complete epoch.
    """
    release_table()
    first = is_binned_by_rule(prepared, options) if binned is None else binned
    fitted = _fit(
        prepared, options, device, binned=first, interrupt=interrupt, directory=directory,
        resume=resume, saved=saved, on_epoch=on_epoch, progress=progress,
    )  # fmt: skip
    if binned is not None or not fitted.result.finished or fitted.result.stopped_by_caller:
        return fitted
    several = prepared.ranks.size > 1
    if several or not compares_binned(prepared, options, fitted.parameters, fitted.result):
        return fitted
    return _select(fitted, prepared, interrupt, progress)


def _select(
    fitted: FittedNetwork, prepared: PreparedTable, interrupt: Interrupt, progress: Progress
) -> FittedNetwork:
    """Return the network with binned inputs where it is clearly better on validation rows.

    A network whose training was stopped, or diverged, is not chosen.
    """
    options, left = fitted.options, fitted.seconds_left
    if interrupt.signal is not None or (left is not None and left <= 0):
        return _not_compared(fitted, fitted.result.seconds, progress)
    training = options.training.model_copy(update={"time_limit": left})
    limited = options.model_copy(update={"training": training})
    progress.stage("training with binned inputs")
    try:
        binned = _fit(
            prepared, limited, fitted.device, binned=True, interrupt=interrupt,
            fitted_pca=fitted.setup.fitted_pca,
        )  # fmt: skip
    except (DivergedError, OutputError):
        return fitted
    seconds = fitted.result.seconds + binned.result.seconds
    if not binned.result.finished:
        return _not_compared(fitted, seconds, progress)
    losses, others = (cross_entropies(each.setup, prepared.valid) for each in (binned, fitted))
    chosen = is_clearly_lower(losses, others) and has_lower_criterion(binned.result, fitted.result)
    note = selection_note(binned.result, fitted.result, chosen)
    progress.note(note)
    kept = binned if chosen else fitted
    result = replace(kept.result, seconds=seconds)
    return replace(kept, options=options, result=result, notes=[*kept.notes, note])


def _not_compared(fitted: FittedNetwork, seconds: float, progress: Progress) -> FittedNetwork:
    """Return the network with a note, because the comparison with binned inputs was stopped."""
    progress.note(NOT_COMPARED)
    result = replace(fitted.result, seconds=seconds)
    return replace(fitted, result=result, notes=[*fitted.notes, NOT_COMPARED])


def _fit(
    prepared: PreparedTable,
    options: TrainOptions,
    device: torch.device,
    *,
    binned: bool,
    interrupt: Interrupt,
    directory: Path | None = None,
    resume: bool = False,
    saved: Callable[[], None] | None = None,
    on_epoch: EpochCallback | None = None,
    progress: Progress = SILENT,
    fitted_pca: PCA | None = None,
) -> FittedNetwork:
    """Train with binned inputs or without."""
    applied, ranks = options, prepared.ranks
    if binned:
        prepared, applied = with_binned_inputs(prepared, options)
    setup = build_training(prepared, applied, progress, fitted_pca=fitted_pca)
    notes = _notes(options, prepared, setup, progress)
    batch_size = options.training.batch_size or default_batch_size(
        prepared.n_train, options.training.optimizer.name, images=setup.images
    )
    network = setup.objective.network
    captured = ranks.size == 1 and is_captured(options.training, device, network, progress)
    precision = ranks.from_first(lambda: choose_precision(
        options.training.precision, device, setup.network, batch_size=batch_size, captured=captured
    ))  # fmt: skip
    identity = _identity(prepared, setup, options)
    checkpoint = Checkpoint(directory, identity, saved) if directory else None
    trainer = Trainer(
        setup.objective,
        prepared.train,
        prepared.valid,
        options.training,
        device=device,
        precision=precision,
        batch_size=batch_size,
        widest=setup.network.widest,
        checkpoint=checkpoint,
        interrupt=interrupt,
        progress=progress,
        on_epoch=on_epoch,
        target=setup.target,
        images=setup.images,
        static=has_static_steps(options.training, device),
        captured=captured,
        ranks=ranks,
    )
    unit = "row" if prepared.train.windows is None else "window"
    progress.training(trainer.epochs, prepared.n_train, unit)
    with limited_threads(_threads(setup, options, batch_size, progress)):
        result = trainer.fit(resume=resume)
    return FittedNetwork(prepared, options, binned, setup, result, notes, device, result.precision)


def _notes(
    options: TrainOptions, prepared: PreparedTable, setup: TrainingSetup, progress: Progress
) -> list[str]:
    """Return the notes on a training, which the user reads before its start."""
    notes = [note for note in (unused_options_note(options), *prepared.notes, *setup.notes) if note]
    for note in notes:
        progress.note(note)
    return notes


def _threads(
    setup: TrainingSetup, options: TrainOptions, batch_size: int, progress: Progress
) -> int:
    """Return the number of threads of a step; layers other than dense ones use all."""
    threads = torch.get_num_threads()
    if options.training.threads is not None or setup.network.architecture != "mlp":
        return threads
    parameters = sum(weight.numel() for weight in setup.objective.network.parameters())
    chosen = step_threads(parameters, batch_size, threads)
    progress.debug(f"steps on {chosen} of {count(threads, 'thread')}")
    return chosen


def _identity(
    prepared: PreparedTable, setup: TrainingSetup, options: TrainOptions
) -> dict[str, object]:
    """Return the options and data that must be equal in a stopped and a resumed training."""
    return {
        "version": __version__,
        "options": options.model_dump(mode="json", exclude={"training": set(CHANGEABLE)}),
        "columns": [column.model_dump(mode="json") for column in setup.columns],
        "rows": [prepared.n_train, prepared.n_valid],
        "ranks": prepared.ranks.size,
    }
