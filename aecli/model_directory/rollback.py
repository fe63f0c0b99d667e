"""Restore an earlier model of a model directory: `rollback`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aecli.atomic_files import warn_after_commit, write_file
from aecli.directory_lock import Lock
from aecli.errors import ModelError, UsageError
from aecli.model_directory.errors import (
    listed,
    no_model_error,
    readable,
    train_command,
)
from aecli.model_directory.generations import (
    Generation,
    current_model,
    describe,
    file_problem,
    generation_id,
    generations,
    keep_model,
    rollback_command,
    valid_spec,
)
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    SPEC_FILE,
    hashed_name,
    is_checkpoint,
    is_earlier_spec,
    model_directory,
)
from aecli.model_directory.spec_file import MAX_SPEC_BYTES
from aecli.model_directory.staging import StagedDirectory, require_writable
from aecli.regular_files import read_regular
from aecli.schema.model_spec import ModelSpec


@dataclass(frozen=True)
class RollbackResult:
    """Result of `rollback`: the restored model, and the one that it replaced.

    `replaced` is kept as an earlier model; it is None if it was damaged, with a note.
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
    """Restore an earlier model in one step; the current one becomes an earlier model.

    Args:
        generation: the first digits of an earlier model's id; default: the last one replaced.
        model: the model directory; `AECLI_MODEL` or `./aecli_model` by default.
        tag: short for the directory `runs/TAG`.

    Raises:
        UsageError: the earlier model does not exist.
        ModelError: there is no model, the current one is of a newer aecli, or the earlier one is
            damaged.
        OutputError: the spec cannot be written; the model is unchanged.
        LockedError: another run is writing this model directory.
    """
    directory = model_directory(model, tag)
    require_writable(directory)
    with readable(directory):
        try:
            names = listed(directory)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise no_model_error(directory) from error
    if SPEC_FILE not in names and not any(map(is_earlier_spec, names)):
        raise no_model_error(directory)
    with (
        StagedDirectory(directory) as staged,
        Lock(staged.local),
        readable(staged.local),
    ):
        restored, before, problem = roll_back(staged.local, generation)
    replaced = None if before is None else describe(before)
    return RollbackResult(directory, describe(restored), replaced, list(_notes(directory, problem)))


def _notes(directory: Path, problem: str) -> Iterator[str]:
    if problem:
        yield f"the previous model was not kept: {problem}"
    unfinished: list[str] = []
    with suppress(OSError):  # the earlier model is already restored
        unfinished = listed(directory / CHECKPOINT_DIRECTORY)
    if any(map(is_checkpoint, unfinished)):
        yield "there is also an unfinished training: its own command with --resume continues it"


def roll_back(
    directory: Path, generation: str | None = None
) -> tuple[ModelSpec, ModelSpec | None, str]:
    """Restore an earlier model; return it, the previous model, and the previous model's problem.

    The previous model becomes a generation. A damaged one is not kept and returned as None. The
    caller has the directory's lock.

    Args:
        directory: the model directory.
        generation: the first digits of an earlier model's id; default: the last one replaced.

    Raises:
        UsageError: the generation does not exist.
        ModelError: the earlier model is damaged, or the current one is of a newer aecli.
        OSError: a file cannot be read.
        OutputError: the spec cannot be written; the model is unchanged.
    """
    try:
        current, problem = current_model(directory)
    except OSError:
        # It may be valid: an unreadable file must neither prevent the rollback nor lose the model.
        current, problem = valid_spec(directory / SPEC_FILE), ""
    earlier_models = generations(directory)
    target = _chosen(directory, earlier_models, current, generation)
    _require_undamaged(directory, target, earlier_models)
    earlier = directory / hashed_name("spec", target.digest)
    content = read_regular(earlier, MAX_SPEC_BYTES)
    if current is not None:
        keep_model(directory, current)
    write_file(directory / SPEC_FILE, content, like=earlier)
    with warn_after_commit(directory):
        earlier.unlink()
    return target, current, problem


def _chosen(
    directory: Path, earlier: Sequence[ModelSpec], current: ModelSpec | None, generation: str | None
) -> ModelSpec:
    if not earlier:
        raise _no_generation_error(directory, current)
    if generation is None:
        return earlier[0]
    matching = [spec for spec in earlier if spec.digest.startswith(generation.lower())]
    if len(matching) == 1:
        return matching[0]
    if not matching and current is not None and current.digest.startswith(generation.lower()):
        what = f"{generation} is already the model of {directory}"
    else:
        number = len(matching) or "no"
        what = f"{number} earlier models of {directory} have an id that begins with {generation!r}"
    listed = matching or earlier
    raise UsageError(
        what,
        facts=[f"{generation_id(spec)} of {spec.created[:19]}" for spec in listed[:4]],
        hint=rollback_command(directory, generation_id(listed[0])),
    )


def _no_generation_error(directory: Path, current: ModelSpec | None) -> UsageError | ModelError:
    """Return the error of a directory without a readable earlier model."""
    train, spec = train_command(directory), current or valid_spec(directory / SPEC_FILE)
    current_name = spec and hashed_name("spec", spec.digest)
    names = [name for name in listed(directory) if is_earlier_spec(name)]
    damaged = [name for name in names if name != current_name]
    if damaged:
        what = f"the earlier models of {directory} cannot be used"
        facts = [f"{name} is damaged or of a newer aecli" for name in damaged[:4]]
        return ModelError(what, facts=facts, hint=train)
    fact = "train keeps the model that it replaces; --keep-generations N keeps N"
    hint = f"aecli inspect -m {shlex.quote(str(directory))}" if current else train
    return UsageError(f"{directory} has no earlier model", facts=(fact,), hint=hint)


def _require_undamaged(directory: Path, target: ModelSpec, earlier: Sequence[ModelSpec]) -> None:
    """Raise for a damaged earlier model; the hint is another one that is valid."""
    problem = file_problem(directory, target)
    if not problem:
        return
    others = (spec for spec in earlier if spec is not target and not file_problem(directory, spec))
    other = next(others, None)
    raise ModelError(
        f"the earlier model {generation_id(target)} of {directory} is damaged",
        facts=(problem, "nothing was changed"),
        hint=rollback_command(directory, generation_id(other))
        if other
        else train_command(directory),
    )
