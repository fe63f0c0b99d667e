"""Keep earlier models in a model directory, list them, and go back to one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from aecli.atomic_files import warn_after_commit, write_file
from aecli.errors import ModelError, UsageError
from aecli.model_directory.errors import missing_error, unreadable_error
from aecli.model_directory.location import (
    HASH_DIGITS,
    SPEC_FILE,
    hashed_name,
    is_earlier_spec,
    is_hashed,
)
from aecli.model_directory.read import read_part, read_spec
from aecli.model_directory.spec_file import MAX_SPEC_BYTES, decode_spec
from aecli.regular_files import read_regular
from aecli.schema.model_spec import ModelSpec


def generations(directory: Path) -> list[ModelSpec]:
    """Return the specs of the earlier models that a directory keeps, the newest first.

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
    return sorted(earlier, key=lambda spec: (spec.created, spec.digest), reverse=True)


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
        id=spec.digest[:HASH_DIGITS],
        created=spec.created,
        table=spec.table,
        label=spec.label.name if spec.label else None,
        columns=len(spec.columns),
        latent=spec.network.latent,
        epochs=summary.epochs,
        loss=(summary.valid or summary.train).get("total"),
    )


def _whole_spec(path: Path) -> ModelSpec | None:
    """Return the spec in a file; None without one, or where it is damaged."""
    try:
        return decode_spec(read_regular(path, MAX_SPEC_BYTES), path)[0]
    except (FileNotFoundError, ModelError):
        return None


def keep_current(directory: Path, *, unfinished: bool = True) -> ModelSpec | None:
    """Make the model of a directory one of its generations; return it, None without a whole one.

    With `unfinished` false, one whose training can go on is not kept.

    Raises:
        OSError: it cannot be read.
        OutputError: it cannot be written.
    """
    present = directory / SPEC_FILE
    spec = _whole_spec(present)
    if spec is not None and (unfinished or spec.summary.finished):
        content = read_regular(present, MAX_SPEC_BYTES)
        write_file(directory / hashed_name("spec", spec.digest), content, like=present)
    return spec


def remove_unused(directory: Path, keep: int | None = None) -> None:
    """Remove what neither the model of a directory nor its newest generations need.

    Args:
        directory: the model directory, whose `spec.json` is whole or does not exist.
        keep: how many generations stay; None for all.

    Raises:
        OSError: a file cannot be read or removed.
        ModelError: the model is damaged; nothing is removed.
    """
    kept = generations(directory)[:keep]
    specs = [*kept, read_spec(directory)] if (directory / SPEC_FILE).exists() else kept
    needed = {part.file for spec in specs for part in spec.parts}
    needed |= {hashed_name("spec", spec.digest) for spec in kept}
    for name in os.listdir(directory):
        if is_hashed(name) and name not in needed:
            (directory / name).unlink(missing_ok=True)


def roll_back(directory: Path, generation: str | None = None) -> tuple[ModelSpec, ModelSpec | None]:
    """Make an earlier model that of the directory; return its spec and that of the one before.

    The model before becomes a generation in its place, so that nothing is lost. The caller holds
    the directory's lock.

    Args:
        directory: the model directory.
        generation: the first digits of an earlier model's id; the newest one by default.

    Raises:
        UsageError: there is no such generation.
        ModelError: the earlier model is damaged.
        OutputError: it cannot be written; the model is unchanged.
    """
    try:
        target = _chosen(directory, generations(directory), generation)
        for part in target.parts:
            read_part(directory, part)
        earlier = directory / hashed_name("spec", target.digest)
        content = read_regular(earlier, MAX_SPEC_BYTES)
        before = keep_current(directory)
    except FileNotFoundError as error:
        raise missing_error(Path(error.filename)) from error
    except OSError as error:
        raise unreadable_error(Path(error.filename), error) from error
    write_file(directory / SPEC_FILE, content, like=earlier)
    with warn_after_commit(directory):
        earlier.unlink()
    return target, before


def _chosen(directory: Path, found: list[ModelSpec], generation: str | None) -> ModelSpec:
    if not found:
        raise UsageError(
            f"{directory} keeps no earlier model",
            facts=("a training keeps the one that it replaces, with --keep-generations more",),
            hint=f"aecli inspect {directory}",
        )
    if generation is None:
        return found[0]
    matching = [spec for spec in found if spec.digest.startswith(generation.lower())]
    if len(matching) == 1 and generation:
        return matching[0]
    raise UsageError(
        f"{len(matching) or 'no'} earlier models of {directory} begin with {generation!r}",
        facts=[f"{spec.digest[:HASH_DIGITS]}  of {spec.created[:19]}" for spec in found[:3]],
        hint=f"aecli rollback {found[0].digest[:HASH_DIGITS]}",
    )
