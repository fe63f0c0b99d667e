"""Put an earlier model of a model directory back: `rollback`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aecli.directory_lock import Lock
from aecli.model_directory.errors import no_model_error, unreadable_error
from aecli.model_directory.generations import Generation, describe, roll_back
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    SPEC_FILE,
    is_checkpoint,
    is_earlier_spec,
    model_directory,
)


@dataclass(frozen=True)
class RollbackResult:
    """Result of `rollback`: the model that was put back, and the one that it replaced.

    `replaced` is kept as an earlier model; it is None where it was damaged, as a note then says.
    """

    model: Path
    restored: Generation
    replaced: Generation | None
    notes: Sequence[str]


def rollback(
    generation: str | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
) -> RollbackResult:
    """Put an earlier model back in one step; the present one becomes an earlier model.

    Args:
        generation: the first digits of the earlier model's id; by default of the one replaced last.
        model: the model directory; `AECLI_MODEL` or `./aecli_model` by default.
        tag: short for the directory `runs/TAG`.

    Raises:
        UsageError: there is no such earlier model.
        ModelError: there is no model, the present one is of a newer aecli, or the earlier one is
            damaged.
        OutputError: it cannot be written; the model is unchanged.
        LockedError: another run is writing this model directory.
    """
    directory = model_directory(model, tag)
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise no_model_error(directory) from error
    except OSError as error:
        raise unreadable_error(directory, error) from error
    if SPEC_FILE not in names and not any(map(is_earlier_spec, names)):
        raise no_model_error(directory)
    with Lock(directory):
        try:
            restored, before, problem = roll_back(directory, generation)
        except OSError as error:
            raise unreadable_error(Path(error.filename or directory), error) from error
    replaced = None if before is None else describe(before)
    return RollbackResult(directory, describe(restored), replaced, list(_notes(directory, problem)))


def _notes(directory: Path, problem: str) -> Iterator[str]:
    if problem:
        yield f"the model before was not kept: {problem}"
    unfinished: list[str] = []
    with suppress(OSError):  # the earlier model is back already
        unfinished = os.listdir(directory / CHECKPOINT_DIRECTORY)
    if any(map(is_checkpoint, unfinished)):
        yield "an unfinished training is still here: its own command with --resume goes on with it"
