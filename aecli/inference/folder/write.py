"""Write the output of a command as a folder with one file per input file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from aecli.atomic_files import output_error
from aecli.errors import DataError, UsageError
from aecli.formatting import count
from aecli.inference.folder.records import FolderRecords, ShardRecord
from aecli.inference.folder.shards import (
    Shard,
    find_shards,
    parse_part,
    require_whole_series,
    table_arguments,
)
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.stream_result import StreamResult
from aecli.progress import SILENT, Progress
from aecli.schema.read_options import ReadOptions
from aecli.table.source import Data, open_source

Result = TypeVar("Result", bound=StreamResult)

FAILED_SHOWN = 3


def require_no_folder_options(*, resume: bool, shard: str | None) -> None:
    """Raise for an option of folders where the output is a file.

    Raises:
        UsageError: one is set.
    """
    if resume or shard:
        flag = "--resume" if resume else f"--shard {shard}"
        raise UsageError(f"{flag} is for a folder as output", hint=f"{flag} -o out/")


def write_folder(
    model: LoadedModel,
    data: Data,
    folder: str,
    write: Callable[[Data, str | None], Result],
    result: type[Result],
    *,
    to: str | None,
    resume: bool,
    shard: str | None,
    settings: Mapping[str, Any],
    read: ReadOptions | None,
    began: float,
    progress: Progress = SILENT,
) -> Result:
    """Write one file per file of a table, a record of each, and `_SUCCESS` when all are there.

    Args:
        model: the loaded model.
        data: the paths of the table.
        folder: the output, which is created.
        write: writes the output of one file, and returns the result.
        result: class of the result.
        to: format of the files, for any suffix.
        resume: whether to keep the files that are finished.
        shard: `K/N`, every Nth file from the Kth; None: all files.
        settings: the command and its options that change the output, which `resume` compares.
        read: how the table is read.
        began: start of the command by `time.perf_counter`.
        progress: called with a note on each file that failed.

    Raises:
        UsageError: the table is not in files, or `resume` finds files of another model.
        DataError: files cannot be read; the others are written.
        OutputError: the folder cannot be written.
    """
    number, parts = parse_part(shard) if shard else (0, 1)
    arguments = table_arguments(data, folder)
    shards = find_shards(open_source(data, read), arguments, Path(folder), to)
    require_whole_series(model, shards)
    settings = {**settings, "to": to, "read": (read or ReadOptions()).model_dump()}
    records = FolderRecords(Path(folder), model.spec.digest, settings)
    records.create()
    own = shards[number::parts]
    found = records.finished(shards, own) if resume else {}
    finished = {
        each.name: restored
        for each in own
        if each.name in found and (restored := _restored(found[each.name], each, result, model))
    }
    records.forget([shard for shard in own if shard.name not in finished])
    results: list[Result] = []
    failed: list[DataError] = []
    for each in own:
        if each.name in finished:
            results.append(finished[each.name])
            continue
        try:
            results.append(_written(each, write, records))
        except DataError as error:
            failed.append(error)
            progress.note(f"{each.name} failed: {error}")
    if failed:
        raise _failure(failed, len(own))
    records.complete(shards)
    if not results:  # more parts than files
        return result(model.directory, folder, 0, [], 0.0, {}, {}, [], files=0)
    return replace(result.merged(results, folder), seconds=time.perf_counter() - began)


def _restored(
    record: ShardRecord, shard: Shard, result: type[Result], model: LoadedModel
) -> Result | None:
    """Return the result in a record; None if another version of aecli wrote other fields."""
    try:
        return result.restored(record.result, model=model.directory, output=str(shard.output))
    except (TypeError, KeyError, AttributeError):
        return None


def _written(
    shard: Shard, write: Callable[[Data, str | None], Result], records: FolderRecords
) -> Result:
    try:
        shard.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(shard.output, error) from error
    result = write(shard.source, str(shard.output))
    values = {k: v for k, v in asdict(result).items() if k not in ("model", "output")}
    records.add(shard, result.rows, values)
    return result


def _failure(failed: Sequence[DataError], files: int) -> DataError:
    if files == 1:
        return failed[0]
    rest = len(failed) - FAILED_SHOWN
    facts = [str(error) for error in failed[:FAILED_SHOWN]]
    return DataError(
        f"{len(failed):,} of {count(files, 'file')} failed",
        facts=[*facts, f"and {rest:,} more"] if rest > 0 else facts,
        hint=f"correct or remove them; --resume keeps the other {files - len(failed):,}",
    )
