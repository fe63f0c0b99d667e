"""Put an earlier model of a model directory back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from aecli.directory_lock import Lock
from aecli.model_directory.errors import no_model_error
from aecli.model_directory.generations import Generation, describe, roll_back
from aecli.model_directory.location import model_directory


@dataclass(frozen=True)
class RollbackResult:
    """Result of `rollback`: the model that is there now, and the one that was there before.

    `replaced` is None where the model before was damaged; it is not kept then.
    """

    model: Path
    restored: Generation
    replaced: Generation | None


def rollback(
    generation: str | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
) -> RollbackResult:
    """Put an earlier model back, in one commit; the present one can be put back in the same way.

    Args:
        generation: the first digits of its id, which `inspect` lists; the newest by default.
        model: the model directory; `AECLI_MODEL` or `./aecli_model` by default.
        tag: short for the directory `runs/TAG`.

    Raises:
        UsageError: there is no such generation.
        ModelError: there is no model, or the earlier model is damaged.
        OutputError: it cannot be written; the model is unchanged.
        LockedError: another run is writing this model directory.
    """
    directory = model_directory(model, tag)
    if not directory.is_dir():
        raise no_model_error(directory)
    with Lock(directory):
        restored, before = roll_back(directory, generation)
    return RollbackResult(
        model=directory,
        restored=describe(restored),
        replaced=None if before is None else describe(before),
    )
