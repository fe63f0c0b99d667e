"""Write the output of a command as a folder with one file per input file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TypeVar

from aecli.atomic_files import output_error
from aecli.engine import Engine, require_engine
from aecli.errors import AecliError, DataError, UsageError
from aecli.formatting import count
from aecli.inference.folder.records import FolderRecords, ShardRecord
from aecli.inference.folder.shards import (
    Shard,
    find_shards,
    is_folder,
    parse_part,
    require_whole_series,
    table_arguments,
)
from aecli.inference.folder.tasks import write_in_order, write_on_ray
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.stream_result import StreamResult
from aecli.progress import SILENT, Progress
from aecli.remote_files.path import location
from aecli.schema.read_options import ReadOptions
from aecli.table.source import Data, open_source

Opened = TypeVar("Opened")
Result = TypeVar("Result", bound=StreamResult)

FAILED_SHOWN = 3


@dataclass(frozen=True)
class OutputFolder:
    """Folder to write, and how: the format of its files, `resume`, `K/N`, and the engine."""

    path: str
    to: str | None
    resume: bool
    shard: str | None
    engine: Engine


def output_folder(
    output: str | None, *, to: str | None, resume: bool, shard: str | None, engine: str
) -> OutputFolder | None:
    """Return the folder that an output names; None if the output is a file.

    Raises:
        UsageError: the engine cannot be used, or an option of folders is set and the output is a
            file.
    """
    if output is not None and is_folder(output):
        return OutputFolder(output, to, resume, shard, require_engine(engine))
    flags = {"--resume": resume, f"--shard {shard}": shard, f"--engine {engine}": engine != "local"}
    for flag in (flag for flag, given in flags.items() if given):
        raise UsageError(f"{flag} is for a folder as output", hint=f"{flag} -o out/")
    return None


def write_folder(
    command: str,
    model: LoadedModel,
    data: Data,
    folder: OutputFolder,
    open_pass: partial[Opened],
    write: Callable[..., Result],
    result: type[Result],
    *,
    threads: int | None,
    began: float,
    progress: Progress = SILENT,
) -> Result:
    """Write one file per file of a table, a record of each, and `_SUCCESS` when all are there.

    Args:
        command: its name.
        model: the loaded model.
        data: the paths of the table.
        folder: the output, which is created.
        open_pass: opens a file of the table, of a model; its keywords are the options that change
            the output, which `resume` compares.
        write: writes what `open_pass` returns to a file, and returns the result.
        result: class of the result.
        threads: threads of the network.
        began: start of the command by `time.perf_counter`.
        progress: called with a note on each file that failed.

    Raises:
        UsageError: the table is not in files, or `resume` finds files of another model.
        DataError: files cannot be read; the others are written.
        OutputError: the folder cannot be written.
    """
    number, parts = parse_part(folder.shard) if folder.shard else (0, 1)
    arguments, path = table_arguments(data, folder.path), location(folder.path)
    read = open_pass.keywords["read"] or ReadOptions()
    shards = find_shards(open_source(data, read), arguments, path, folder.to)
    require_whole_series(model, shards)
    options = {name: value for name, value in open_pass.keywords.items() if name != "read"}
    settings = {"command": command, **options, "to": folder.to, "read": read.model_dump()}
    records = FolderRecords(path, model.spec.digest, settings)
    records.create()
    own = shards[number::parts]
    found = _finished(records, shards, own, result, model) if folder.resume else {}
    pending = [shard for shard in own if shard.name not in found]
    records.forget(pending)
    write_one = partial(_write_shard, model, open_pass, write, folder.to, records)
    if folder.engine == "ray":
        _determine_readings(model, open_pass, pending)
        gpus = int(model.device.type == "cuda")
        outcomes = write_on_ray(write_one, pending, threads or 1, gpus, progress)
    else:
        outcomes = write_in_order(write_one, pending, progress)
    failed: dict[str, AecliError] = {}
    with closing(outcomes):
        for name, outcome in outcomes:
            if isinstance(outcome, AecliError):
                failed[name] = outcome
                progress.note(f"{name} failed: {outcome}")
            else:
                found[name] = outcome
    if failed:
        raise _failure([failed[shard.name] for shard in own if shard.name in failed], len(own))
    records.complete(shards)
    if not own:  # more parts than files
        return result(model.directory, folder.path, 0, [], 0.0, {}, {}, [], files=0)
    merged = result.merged([found[shard.name] for shard in own], folder.path)
    return replace(merged, seconds=time.perf_counter() - began)


def _determine_readings(
    model: LoadedModel, open_pass: Callable[..., object], shards: Sequence[Shard]
) -> None:
    """Determine how text columns are read, for which all files are read, once for all tasks."""
    for shard in shards[:1]:
        with suppress(DataError):  # the task of this file has the same error
            open_pass(model, shard.source, progress=SILENT)


def _finished(
    records: FolderRecords,
    every: Sequence[Shard],
    own: Sequence[Shard],
    result: type[Result],
    model: LoadedModel,
) -> dict[str, Result]:
    """Return the results of the files that an earlier command finished, by name."""
    stored = records.finished(every, own)
    restored = {
        shard.name: _restored(stored[shard.name], shard, result, model)
        for shard in own
        if shard.name in stored
    }
    return {name: result for name, result in restored.items() if result is not None}


def _restored(
    record: ShardRecord, shard: Shard, result: type[Result], model: LoadedModel
) -> Result | None:
    """Return the result in a record; None if another version of aecli wrote other fields."""
    try:
        return result.restored(record.result, model=model.directory, output=str(shard.output))
    except (TypeError, KeyError, AttributeError):
        return None


def _write_shard(
    model: LoadedModel,
    open_pass: Callable[..., Opened],
    write: Callable[..., Result],
    to: str | None,
    records: FolderRecords,
    shard: Shard,
    progress: Progress,
) -> Result:
    began = time.perf_counter()
    try:
        shard.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(shard.output, error) from error
    opened = open_pass(model, shard.source, progress=progress)
    result = write(opened, str(shard.output), to, began=began)
    values = {k: v for k, v in asdict(result).items() if k not in ("model", "output")}
    records.add(shard, result.rows, values)
    return result


def _failure(failed: Sequence[AecliError], files: int) -> AecliError:
    if files == 1:
        return failed[0]
    rest = len(failed) - FAILED_SHOWN
    facts = [str(error) for error in failed[:FAILED_SHOWN]]
    return type(failed[0])(
        f"{len(failed):,} of {count(files, 'file')} failed",
        facts=[*facts, f"and {rest:,} more"] if rest > 0 else facts,
        hint=f"correct or remove them; --resume keeps the other {files - len(failed):,}",
    )
