"""Put an earlier model of a model directory back: `rollback`."""

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
from aecli.model_directory.errors import no_model_error, readable, train_command
from aecli.model_directory.generations import (
    Generation,
    describe,
    generation_id,
    generations,
    keep_model,
    present_model,
    problem_of,
    rollback_command,
    whole_spec,
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
from aecli.regular_files import read_regular
from aecli.schema.model_spec import ModelSpec


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
    with readable(directory):
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise no_model_error(directory) from error
    if SPEC_FILE not in names and not any(map(is_earlier_spec, names)):
        raise no_model_error(directory)
    with Lock(directory), readable(directory):
        restored, before, problem = roll_back(directory, generation)
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


def roll_back(
    directory: Path, generation: str | None = None
) -> tuple[ModelSpec, ModelSpec | None, str]:
    """Make an earlier model that of the directory; return it, the one before, and what is wrong.

    The model before becomes a generation in its place. A damaged one is not kept: None, and its
    problem. The caller holds the directory's lock.

    Args:
        directory: the model directory.
        generation: the first digits of an earlier model's id; the last replaced by default.

    Raises:
        UsageError: there is no such generation.
        ModelError: the earlier model is damaged, or the present one is of a newer aecli.
        OSError: a file cannot be read.
        OutputError: it cannot be written; the model is unchanged.
    """
    try:
        present, problem = present_model(directory)
    except OSError:
        # It may be whole; what cannot be read now must neither block the way back nor be lost.
        present, problem = whole_spec(directory / SPEC_FILE), ""
    found = generations(directory)
    target = _chosen(directory, found, present, generation)
    _require_whole(directory, target, found)
    earlier = directory / hashed_name("spec", target.digest)
    content = read_regular(earlier, MAX_SPEC_BYTES)
    if present is not None:
        keep_model(directory, present)
    write_file(directory / SPEC_FILE, content, like=earlier)
    with warn_after_commit(directory):
        earlier.unlink()
    return target, present, problem


def _chosen(
    directory: Path, found: Sequence[ModelSpec], present: ModelSpec | None, generation: str | None
) -> ModelSpec:
    if not found:
        raise _nothing_kept(directory, present)
    if generation is None:
        return found[0]
    matching = [spec for spec in found if spec.digest.startswith(generation.lower())]
    if len(matching) == 1:
        return matching[0]
    if not matching and present is not None and present.digest.startswith(generation.lower()):
        what = f"{generation} is the model of {directory} already"
    else:
        number = len(matching) or "no"
        what = f"{number} earlier models of {directory} have an id that begins with {generation!r}"
    listed = matching or found
    raise UsageError(
        what,
        facts=[f"{generation_id(spec)} of {spec.created[:19]}" for spec in listed[:4]],
        hint=rollback_command(directory, generation_id(listed[0])),
    )


def _nothing_kept(directory: Path, present: ModelSpec | None) -> UsageError | ModelError:
    """Return the error of a directory without an earlier model that could be read."""
    train, there = train_command(directory), present or whole_spec(directory / SPEC_FILE)
    own = there and hashed_name("spec", there.digest)
    names = [name for name in sorted(os.listdir(directory)) if is_earlier_spec(name)]
    damaged = [name for name in names if name != own]
    if damaged:
        what = f"the earlier models of {directory} cannot be used"
        facts = [f"{name} is damaged or of a newer aecli" for name in damaged[:4]]
        return ModelError(what, facts=facts, hint=train)
    fact = "a training keeps the model that it replaces; with --keep-generations N the last N"
    hint = f"aecli inspect -m {shlex.quote(str(directory))}" if present else train
    return UsageError(f"{directory} keeps no earlier model", facts=(fact,), hint=hint)


def _require_whole(directory: Path, target: ModelSpec, found: Sequence[ModelSpec]) -> None:
    """Refuse a damaged earlier model, and name one that is whole."""
    problem = problem_of(directory, target)
    if not problem:
        return
    others = (spec for spec in found if spec is not target and not problem_of(directory, spec))
    other = next(others, None)
    raise ModelError(
        f"the earlier model {generation_id(target)} of {directory} is damaged",
        facts=(problem, "nothing was changed"),
        hint=rollback_command(directory, generation_id(other))
        if other
        else train_command(directory),
    )
