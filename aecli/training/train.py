"""Train an autoencoder on a table and save it as a model directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from aecli.device import limited_threads
from aecli.directory_lock import Lock
from aecli.errors import UsageError, nearest
from aecli.model_directory.generations import Generation, require_valid_count, rollback_command
from aecli.model_directory.location import model_directory
from aecli.model_directory.save import check_target, save
from aecli.model_directory.staging import StagedDirectory
from aecli.progress import SILENT, Epoch, Progress
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.model_spec import ModelSpec
from aecli.schema.option_values import OptionValues
from aecli.schema.options import TrainOptions, option_names
from aecli.schema.validation import validate_options
from aecli.table.source import Data
from aecli.training.checkpoint import Checkpoint
from aecli.training.data import prepare
from aecli.training.finalize import TrainedModel, finalize
from aecli.training.fit import FittedNetwork, configure_process, fit
from aecli.training.interrupt import Interrupt
from aecli.training.rank_sample import shared_table


@dataclass(frozen=True)
class TrainResult:
    """Result of `train`: the saved model's directory, its spec and its loss per epoch.

    `signal` is the SIGINT or SIGTERM that ended the training early, if one did; the model is valid.
    `replaced` is the previous model, `undo` the command that restores it; None if there was none
    or it is not kept.
    """

    model: Path
    spec: ModelSpec
    history: Sequence[Epoch]
    signal: int | None = None
    replaced: Generation | None = None
    undo: str | None = None


@limited_threads()
def train(
    data: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    resume: bool = False,
    keep_generations: int = 1,
    options: TrainOptions | None = None,
    progress: Progress = SILENT,
    ranks: Ranks = ONE_PROCESS,
    **values: Unpack[OptionValues],
) -> TrainResult:
    """Train on `data` and save the model; `values` are options by name, such as `encoder=[64, 8]`.

    Args:
        data: paths, globs or folders, `-`, or a table in memory (Arrow, pandas, polars).
        model: the model directory; default: `AECLI_MODEL`, else `./aecli_model`.
        tag: short for the directory `runs/TAG`.
        resume: continue a stopped training; the result is bit-identical to an uninterrupted one.
        keep_generations: how many earlier models stay in the directory, for `rollback`; 0 to 100.
        options: every option at once, instead of `values`.
        progress: called as the training proceeds.
        ranks: the processes that train together, each of which calls this with equal arguments.

    Raises:
        UsageError: an option is unknown, out of bounds, or does not fit the table.
        DataError: the table cannot be read or cannot be learned from.
        DivergedError: the loss became non-finite before the first complete epoch.
        ModelError: the existing model is of a newer aecli, or a file of it is not regular.
        OutputError: the model cannot be written.
        LockedError: another run is writing this model directory.
    """
    if options is not None and values:
        raise UsageError(f"train takes options or {next(iter(values))}=…, not both")
    chosen = options or parse_options(values)
    directory = model_directory(model, tag)
    require_valid_count(keep_generations)
    device = configure_process(chosen)
    progress = progress if ranks.rank == 0 else SILENT
    with _locked(directory, ranks) as staged:
        prepared = shared_table(prepare(data, chosen, progress, ranks=ranks), ranks)
        # From the first step to the commit a signal must leave a valid model.
        with Interrupt(repeated=ranks.size > 1) as interrupt:
            fitted = fit(
                prepared, chosen, device, interrupt=interrupt, directory=staged.local,
                resume=resume, saved=staged.save_checkpoint, progress=progress,
            )  # fmt: skip
            saved = ranks.from_first(
                lambda: _finalize_and_save(
                    fitted, directory, staged.local, interrupt, keep_generations, progress=progress
                )
            )
        progress.finish()
    return saved


def _finalize_and_save(
    fitted: FittedNetwork,
    directory: Path,
    local: Path,
    interrupt: Interrupt,
    keep_generations: int,
    *,
    progress: Progress,
) -> TrainResult:
    """Finalize a training on rows of all ranks, save the model, and remove the checkpoint.

    `local` is the model directory, or its copy on disk.
    """
    trained = finalize(
        fitted.of_sample(), interrupt=interrupt, seconds=fitted.seconds_left, progress=progress
    )
    spec, replaced = save(
        local, trained.spec, trained.weights, trained.records(),
        keep_generations=keep_generations, resumed=fitted.result.resumed,
    )  # fmt: skip
    if spec.summary.finished:
        Checkpoint(local, {}).remove()
    undo = rollback_command(directory, replaced.id) if replaced and keep_generations else None
    return TrainResult(directory, spec, trained.history, interrupt.signal, replaced, undo)


@contextmanager
def _locked(directory: Path, ranks: Ranks) -> Iterator[StagedDirectory]:
    """Stage and lock the model directory, which the first rank writes."""
    staged = StagedDirectory(directory)
    with ExitStack() as stack:

        def lock() -> None:
            check_target(directory)
            stack.enter_context(staged)
            stack.enter_context(Lock(staged.local))

        ranks.from_first(lock)
        yield staged


@limited_threads()
def train_in_memory(data: Data, options: TrainOptions, progress: Progress = SILENT) -> TrainedModel:
    """Train on `data` as `train` does, without writing files or catching signals.

    Raises:
        UsageError: an option does not fit the table.
        DataError: the table cannot be learned from.
        DivergedError: the loss became non-finite before the first complete epoch.
    """
    device = configure_process(options)
    prepared = prepare(data, options, progress)
    interrupt = Interrupt(listen=False)
    fitted = fit(prepared, options, device, interrupt=interrupt, progress=progress)
    trained = finalize(fitted, interrupt=interrupt, seconds=fitted.seconds_left, progress=progress)
    progress.finish()
    return trained


def parse_options(values: Mapping[str, Any]) -> TrainOptions:
    """Build the options of a Python call.

    Raises:
        UsageError: a name is not an option, or a value is of the wrong type or out of bounds.
    """
    try:
        return validate_options(
            values,
            spelled=lambda name, value: f"{name}={value!r}",
        )
    except KeyError as error:
        name = str(error.args[0])
        near = nearest(name, option_names(), file="model")
        hint = f"{near}=…" if near else "docs/options.md lists every option"
        raise UsageError(f"train has no option {name!r}", hint=hint) from None
