"""Keep earlier models in a model directory, and list them."""

from __future__ import annotations

import shlex
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aecli.atomic_files import write_file
from aecli.errors import AecliWarning, ModelError, UsageError
from aecli.model_directory.errors import listed, readable
from aecli.model_directory.location import (
    HASH_DIGITS,
    MAX_GENERATIONS,
    SPEC_FILE,
    hashed_name,
    is_earlier_spec,
    is_hashed,
)
from aecli.model_directory.read import read_spec, require_part
from aecli.model_directory.spec_file import MAX_SPEC_BYTES, UPGRADE, spec_in
from aecli.regular_files import read_regular, require_openable
from aecli.schema.model_spec import ModelSpec
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import CHANGEABLE


@dataclass(frozen=True)
class Generation:
    """Summary of a model: its id, when it was trained, on which table, and how well.

    `loss` is the validation loss at the best epoch, or the training loss without validation rows.
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
    """Return the summary of a model."""
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
    """Return the id of a model: the first digits of its digest."""
    return spec.digest[:HASH_DIGITS]


def require_valid_count(keep_generations: int) -> None:
    """Check the number of earlier models to keep.

    Raises:
        UsageError: it is not an integer from 0 to `MAX_GENERATIONS`.
    """
    if type(keep_generations) is not int or not 0 <= keep_generations <= MAX_GENERATIONS:
        raise UsageError(
            f"keep_generations={keep_generations!r}: must be a whole number from 0 to "
            f"{MAX_GENERATIONS}",
            hint="keep_generations=1",
        )


def generations(directory: Path) -> list[ModelSpec]:
    """Return the specs of the earlier models in a directory, most recently replaced first.

    Models that are damaged or of a newer aecli are left out.

    Raises:
        OSError: a file cannot be read.
    """
    present = valid_spec(directory / SPEC_FILE)
    names = filter(is_earlier_spec, listed(directory))
    specs = {name: valid_spec(directory / name) for name in names}
    earlier = [
        spec
        for name, spec in specs.items()
        if spec is not None
        and name == hashed_name("spec", spec.digest)
        and (present is None or spec.digest != present.digest)
    ]
    return sorted(earlier, key=partial(_kept_at, directory), reverse=True)


def _kept_at(directory: Path, spec: ModelSpec) -> tuple[int, str, str]:
    """Return when a model was replaced, and when it was trained."""
    try:
        kept = (directory / hashed_name("spec", spec.digest)).lstat().st_mtime_ns
    except FileNotFoundError:  # removed by a training
        kept = 0
    return kept, spec.created, spec.digest


def valid_spec(path: Path) -> ModelSpec | None:
    """Return the spec in a file; None if it is missing, damaged or too new."""
    with suppress(ModelError):
        return _spec_of_our_version(path)
    return None


def _spec_of_our_version(path: Path) -> ModelSpec | None:
    """Return the spec in a file; None if it is missing or damaged.

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
    """Check that the model of a directory can be read, or is damaged; its files are not hashed.

    Raises:
        ModelError: a file cannot be read, or the model is of a newer aecli.
    """
    with readable(directory):
        spec = _spec_of_our_version(directory / SPEC_FILE)
        for part in spec.parts if spec else ():
            with suppress(FileNotFoundError):
                require_openable(directory / part.file)


def current_model(directory: Path) -> tuple[ModelSpec | None, str]:
    """Return the model of a directory if all of its files are valid, and else the problem.

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
    problem = file_problem(directory, spec)
    return (None, problem) if problem else (spec, "")


def file_problem(directory: Path, spec: ModelSpec) -> str:
    """Return the problem of a spec's files; an empty text if all are valid.

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
    """Return the model that a save will replace, None if it is damaged or missing.

    A damaged model causes a warning. An unfinished state of the training that continues as
    `resumed` is not returned.

    Raises:
        ModelError: it cannot be read, or is of a newer aecli.
    """
    if not (directory / SPEC_FILE).exists():
        return None
    with readable(directory):
        spec, problem = current_model(directory)
    if spec is None:
        message = f"the previous model is not kept: {problem}"
        warnings.warn(message, AecliWarning, stacklevel=2)
    return None if spec and resumed and continues(spec, resumed) else spec


def continues(unfinished: ModelSpec, resumed: ModelSpec) -> bool:
    """Return whether `resumed` is the continuation of the training `unfinished`."""
    same_table = (unfinished.columns, unfinished.label) == (resumed.columns, resumed.label)
    sides = (_without_limits(spec) for spec in (unfinished, resumed))
    return not unfinished.summary.finished and same_table and next(sides) == next(sides)


def _without_limits(spec: ModelSpec) -> TrainOptions:
    """Return the options without those that may change when a training is resumed."""
    training = spec.options.training.model_copy(update=dict.fromkeys(CHANGEABLE))
    return spec.options.model_copy(update={"training": training})


def keep_model(directory: Path, spec: ModelSpec) -> None:
    """Store the model of a directory as a generation.

    Raises:
        OSError: it cannot be read.
        OutputError: it cannot be written.
    """
    present = directory / SPEC_FILE
    content = read_regular(present, MAX_SPEC_BYTES)
    earlier = directory / hashed_name("spec", spec.digest)
    write_file(earlier, content, like=present, commits=False)


def remove_unused(directory: Path, keep: int | None = None) -> None:
    """Remove the files that neither the model of a directory nor its generations need.

    Nothing is removed if an earlier model is of a newer aecli, whose files are not known.

    Args:
        directory: the model directory, whose `spec.json` is valid or does not exist.
        keep: the number of generations to keep; None for all.

    Raises:
        OSError: a file cannot be read or removed.
        ModelError: the model is damaged, or an earlier one is of a newer aecli.
    """
    for name in filter(is_earlier_spec, listed(directory)):
        _spec_of_our_version(directory / name)
    kept = generations(directory)[:keep]
    specs = [*kept, read_spec(directory)] if (directory / SPEC_FILE).exists() else kept
    needed = {part.file for spec in specs for part in spec.parts}
    needed |= {hashed_name("spec", spec.digest) for spec in kept}
    unused = [name for name in listed(directory) if is_hashed(name) and name not in needed]
    # Specs first: a spec without its files would be listed as a generation.
    for name in sorted(unused, key=is_earlier_spec, reverse=True):
        (directory / name).unlink(missing_ok=True)


def rollback_command(directory: Path, generation: str) -> str:
    """Return the command that restores an earlier model."""
    return f"aecli rollback {generation} -m {shlex.quote(str(directory))}"
