"""Keep earlier models in a model directory, list them, and go back to one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aecli.atomic_files import warn_after_commit, write_file
from aecli.errors import ModelError, UsageError
from aecli.model_directory.errors import train_command, unreadable_error
from aecli.model_directory.location import (
    HASH_DIGITS,
    SPEC_FILE,
    hashed_name,
    is_earlier_spec,
    is_hashed,
)
from aecli.model_directory.read import read_spec, require_part
from aecli.model_directory.spec_file import MAX_SPEC_BYTES, UPGRADE, spec_in
from aecli.regular_files import read_regular
from aecli.schema.model_spec import ModelSpec
from aecli.schema.options import TrainOptions

MOST_GENERATIONS = 100
"""Maximum number of earlier models that a directory keeps."""


@dataclass(frozen=True)
class Generation:
    """Model of a directory in short: its id, when it was trained, on what, and how well.

    `loss` is its validation loss at the best epoch, the training loss without validation rows.
    """

    id: str
    created: str
    table: str
    label: str | None
    columns: int
    latent: int
    epochs: int
    loss: float | None


def describe(spec: ModelSpec) -> Generation:
    """Return a model in short."""
    summary = spec.summary
    return Generation(
        id=generation_id(spec),
        created=spec.created,
        table=spec.table,
        label=spec.label.name if spec.label else None,
        columns=len(spec.columns),
        latent=spec.network.latent,
        epochs=summary.epochs,
        loss=(summary.valid or summary.train).get("total"),
    )


def generation_id(spec: ModelSpec) -> str:
    """Return the digits that name a generation."""
    return spec.digest[:HASH_DIGITS]


def require_keepable(keep_generations: int) -> None:
    """Check the number of earlier models to keep.

    Raises:
        UsageError: it is not a whole number from 0 to `MOST_GENERATIONS`.
    """
    if type(keep_generations) is not int or not 0 <= keep_generations <= MOST_GENERATIONS:
        raise UsageError(
            f"keep_generations={keep_generations!r}: must be a whole number from 0 to "
            f"{MOST_GENERATIONS}",
            hint="keep_generations=1",
        )


def generations(directory: Path) -> list[ModelSpec]:
    """Return the specs of the earlier models that a directory keeps, the last replaced first.

    Damaged ones, and those that this aecli cannot read, are left out.

    Raises:
        OSError: a file cannot be read.
    """
    present = _whole_spec(directory / SPEC_FILE)
    names = filter(is_earlier_spec, os.listdir(directory))
    found = {name: _whole_spec(directory / name) for name in names}
    earlier = [
        spec
        for name, spec in found.items()
        if spec is not None
        and name == hashed_name("spec", spec.digest)
        and (present is None or spec.digest != present.digest)
    ]
    return sorted(earlier, key=partial(_kept_at, directory), reverse=True)


def _kept_at(directory: Path, spec: ModelSpec) -> tuple[int, str, str]:
    """Return when a model was replaced, then when it was trained."""
    try:
        kept = (directory / hashed_name("spec", spec.digest)).lstat().st_mtime_ns
    except FileNotFoundError:  # a trainer has removed it
        kept = 0
    return kept, spec.created, spec.digest


def _whole_spec(path: Path) -> ModelSpec | None:
    """Return the spec in a file; None without one, or where it is damaged."""
    try:
        return spec_in(path)
    except (FileNotFoundError, ModelError):
        return None


def present_model(directory: Path) -> tuple[ModelSpec | None, str]:
    """Return the model of a directory if all of its files are whole, and else what is wrong.

    Raises:
        OSError: a file cannot be read.
        ModelError: the model is of a newer aecli.
    """
    path = directory / SPEC_FILE
    try:
        spec = spec_in(path)
    except FileNotFoundError:
        return None, f"{path} is missing"
    except ModelError as error:
        if error.hint == UPGRADE:
            raise
        return None, "; ".join((error.what, *error.facts))
    problem = problem_of(directory, spec)
    return (None, problem) if problem else (spec, "")


def problem_of(directory: Path, spec: ModelSpec) -> str:
    """Return what is wrong with the files that a spec names; nothing where all are whole.

    Raises:
        OSError: a file cannot be read.
    """
    for part in spec.parts:
        try:
            require_part(directory, part)
        except FileNotFoundError:
            return f"{directory / part.file} is missing"
        except ModelError as error:
            return "; ".join((error.what, *error.facts))
    return ""


def keep_current(directory: Path, *, resumed: ModelSpec | None = None) -> ModelSpec | None:
    """Make the model of a directory one of its generations; return it, None without a whole one.

    An unfinished state of the same training as `resumed` is not kept.

    Raises:
        ModelError: it cannot be read, or is of a newer aecli.
        OutputError: it cannot be written.
    """
    try:
        spec, _ = present_model(directory)
        if spec is not None and (resumed is None or not continues(spec, resumed)):
            _keep_spec(directory, spec)
    except OSError as error:
        raise unreadable_error(Path(error.filename or directory), error) from error
    return spec


def continues(unfinished: ModelSpec, resumed: ModelSpec) -> bool:
    """Return whether `resumed` is the same training as `unfinished`, which was stopped."""
    same_table = (unfinished.columns, unfinished.label) == (resumed.columns, resumed.label)
    sides = (_without_limits(spec) for spec in (unfinished, resumed))
    return not unfinished.summary.finished and same_table and next(sides) == next(sides)


def _without_limits(spec: ModelSpec) -> TrainOptions:
    """Return the options without those that a resumed training may change."""
    training = spec.options.training.model_copy(update={"time_limit": None, "threads": None})
    return spec.options.model_copy(update={"training": training})


def _keep_spec(directory: Path, spec: ModelSpec) -> None:
    present = directory / SPEC_FILE
    content = read_regular(present, MAX_SPEC_BYTES)
    earlier = directory / hashed_name("spec", spec.digest)
    write_file(earlier, content, like=present, commits=False)


def remove_unused(directory: Path, keep: int | None = None) -> None:
    """Remove what neither the model of a directory nor the last of its generations need.

    Nothing is removed where only a newer aecli can tell what an earlier model needs.

    Args:
        directory: the model directory, whose `spec.json` is whole or does not exist.
        keep: how many generations stay; None for all.

    Raises:
        OSError: a file cannot be read or removed.
        ModelError: the model is damaged, or an earlier one is of a newer aecli.
    """
    for name in filter(is_earlier_spec, os.listdir(directory)):
        _require_readable_version(directory / name)
    kept = generations(directory)[:keep]
    specs = [*kept, read_spec(directory)] if (directory / SPEC_FILE).exists() else kept
    needed = {part.file for spec in specs for part in spec.parts}
    needed |= {hashed_name("spec", spec.digest) for spec in kept}
    unused = [name for name in os.listdir(directory) if is_hashed(name) and name not in needed]
    # Specs first: one that is left without its files would be offered as a generation.
    for name in sorted(unused, key=is_earlier_spec, reverse=True):
        (directory / name).unlink(missing_ok=True)


def _require_readable_version(path: Path) -> None:
    """Raise the error of a spec that only a newer aecli can read; a damaged one is none of it."""
    try:
        spec_in(path)
    except FileNotFoundError:
        return
    except ModelError as error:
        if error.hint == UPGRADE:
            raise


def rollback_command(directory: Path, generation: str) -> str:
    """Return the command that puts an earlier model back."""
    return f"aecli rollback {generation} -m {shlex.quote(str(directory))}"


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
        present, problem = _whole_spec(directory / SPEC_FILE), ""
    found = generations(directory)
    target = _chosen(directory, found, present, generation)
    _require_whole(directory, target, found)
    earlier = directory / hashed_name("spec", target.digest)
    content = read_regular(earlier, MAX_SPEC_BYTES)
    if present is not None:
        _keep_spec(directory, present)
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
    train, there = train_command(directory), present or _whole_spec(directory / SPEC_FILE)
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
