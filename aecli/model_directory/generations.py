"""Keep earlier models in a model directory, and list them."""

from __future__ import annotations

import os
import shlex
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aecli.atomic_files import write_file
from aecli.errors import AecliWarning, ModelError, UsageError
from aecli.model_directory.errors import readable
from aecli.model_directory.location import (
    HASH_DIGITS,
    SPEC_FILE,
    hashed_name,
    is_earlier_spec,
    is_hashed,
)
from aecli.model_directory.read import read_spec, require_part
from aecli.model_directory.spec_file import MAX_SPEC_BYTES, UPGRADE, spec_in
from aecli.regular_files import open_regular, read_regular
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
    present = whole_spec(directory / SPEC_FILE)
    names = filter(is_earlier_spec, os.listdir(directory))
    found = {name: whole_spec(directory / name) for name in names}
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


def whole_spec(path: Path) -> ModelSpec | None:
    """Return the spec in a file; None without one, or where it is damaged or too new."""
    with suppress(ModelError):
        return _spec_of_our_version(path)
    return None


def _spec_of_our_version(path: Path) -> ModelSpec | None:
    """Return the spec in a file; None without one, or where it is damaged.

    Raises:
        OSError: it cannot be read.
        ModelError: it is of a newer aecli.
    """
    try:
        return spec_in(path)
    except FileNotFoundError:
        return None
    except ModelError as error:
        if error.hint == UPGRADE:
            raise
        return None


def require_readable(directory: Path) -> None:
    """Check that the model of a directory can be kept, or told to be damaged; it is not hashed.

    Raises:
        ModelError: a file cannot be read, or the model is of a newer aecli.
    """
    with readable(directory):
        spec = _spec_of_our_version(directory / SPEC_FILE)
        for part in spec.parts if spec else ():
            with suppress(FileNotFoundError):
                os.close(open_regular(directory / part.file))


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


def replaced_model(directory: Path, *, resumed: ModelSpec | None = None) -> ModelSpec | None:
    """Return the model that a save will replace, None without a whole one.

    A damaged one is a warning, and an unfinished state of the same training as `resumed` is none.

    Raises:
        ModelError: it cannot be read, or is of a newer aecli.
    """
    if not (directory / SPEC_FILE).exists():
        return None
    with readable(directory):
        spec, problem = present_model(directory)
    if spec is None:
        message = f"the model that was there is not kept: {problem}"
        warnings.warn(message, AecliWarning, stacklevel=2)
    return None if spec and resumed and continues(spec, resumed) else spec


def continues(unfinished: ModelSpec, resumed: ModelSpec) -> bool:
    """Return whether `resumed` is the same training as `unfinished`, which was stopped."""
    same_table = (unfinished.columns, unfinished.label) == (resumed.columns, resumed.label)
    sides = (_without_limits(spec) for spec in (unfinished, resumed))
    return not unfinished.summary.finished and same_table and next(sides) == next(sides)


def _without_limits(spec: ModelSpec) -> TrainOptions:
    """Return the options without those that a resumed training may change."""
    training = spec.options.training.model_copy(update={"time_limit": None, "threads": None})
    return spec.options.model_copy(update={"training": training})


def keep_model(directory: Path, spec: ModelSpec) -> None:
    """Make the model of a directory one of its generations.

    Raises:
        OSError: it cannot be read.
        OutputError: it cannot be written.
    """
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
        _spec_of_our_version(directory / name)
    kept = generations(directory)[:keep]
    specs = [*kept, read_spec(directory)] if (directory / SPEC_FILE).exists() else kept
    needed = {part.file for spec in specs for part in spec.parts}
    needed |= {hashed_name("spec", spec.digest) for spec in kept}
    unused = [name for name in os.listdir(directory) if is_hashed(name) and name not in needed]
    # Specs first: one that is left without its files would be offered as a generation.
    for name in sorted(unused, key=is_earlier_spec, reverse=True):
        (directory / name).unlink(missing_ok=True)


def rollback_command(directory: Path, generation: str) -> str:
    """Return the command that puts an earlier model back."""
    return f"aecli rollback {generation} -m {shlex.quote(str(directory))}"
