"""Errors of a directory that contains no model, or a damaged one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aecli.errors import ModelError
from aecli.formatting import check_file_command
from aecli.model_directory.location import (
    DEFAULT_DIRECTORY,
    SPEC_FILE,
    is_earlier_spec,
    is_hashed,
    is_model_file,
)
from aecli.remote_files.path import RemotePath, location


def damaged_error(path: Path, *facts: str) -> ModelError:
    """Return the error of a damaged file of a model."""
    return ModelError(f"{path} is damaged", facts=facts, hint=recovery_command(path.parent))


def missing_error(path: Path) -> ModelError:
    """Return the error of a missing file that a spec refers to."""
    return ModelError(f"{path} is missing", hint=recovery_command(path.parent))


def recovery_command(directory: Path) -> str:
    """Return the command for a model that cannot be used: `rollback` if possible, else `train`."""
    if any(is_earlier_spec(name) for name in names_in(directory)):
        return f"aecli rollback -m {shlex.quote(str(directory))}"
    return train_command(directory)


def names_in(directory: Path) -> list[str]:
    """Return the sorted names in a directory; none if it cannot be listed."""
    try:
        return listed(directory)
    except OSError:
        return []


def listed(directory: Path) -> list[str]:
    """Return the sorted names in a directory.

    Raises:
        OSError: it cannot be listed.
    """
    return sorted(path.name for path in directory.iterdir())


def train_command(directory: Path | str) -> str:
    """Return the command that trains a model in this directory."""
    return f"aecli train DATA -m {shlex.quote(str(directory))}"


def unreadable_error(path: Path, error: OSError) -> ModelError:
    """Return the error of a file of a model that cannot be read."""
    return ModelError(f"cannot read {path}: {error.strerror}", hint=check_file_command(str(path)))


@contextmanager
def readable(directory: Path) -> Iterator[None]:
    """Turn system errors into the error of a model file that cannot be read.

    Raises:
        ModelError: a file cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise unreadable_error(location(error.filename or directory), error) from error


def no_model_error(directory: Path) -> ModelError:
    """Return the error of a directory without a model, with its content as a fact."""
    train = train_command(directory)
    remote = isinstance(directory, RemotePath)
    if not (remote or os.path.exists(directory)):
        return ModelError(f"there is no model directory {directory}", hint=train)
    if not (remote or os.path.isdir(directory)):
        return _file_error(directory)
    names = names_in(directory)
    if any(is_earlier_spec(name) for name in names):
        fact = "it has an earlier model"
        what = f"{directory / SPEC_FILE} is missing"
        return ModelError(what, facts=(fact,), hint=recovery_command(directory))
    models = [name for name in names if os.path.isfile(directory / name / SPEC_FILE)]
    if models:
        return ModelError(
            f"{directory} is not a model directory, but contains some: {name_list(models)}",
            hint=f"-m {shlex.quote(str(directory / models[0]))}",
        )
    fact = f"it has: {name_list(names)}" if names else "it is empty"
    if names and all(is_model_file(name) and not is_hashed(name) for name in names):
        fact = "a training in it has not saved a model yet"
    message = f"{directory} is not a model directory: it has no {SPEC_FILE}"
    return ModelError(message, facts=(fact,), hint=train)


def _file_error(path: Path) -> ModelError:
    inside = os.path.isfile(path.parent / SPEC_FILE) and is_model_file(path.name)
    model = path.parent if inside else DEFAULT_DIRECTORY
    hint = f"-m {shlex.quote(str(model))}" if inside else train_command(model)
    return ModelError(f"{path} is a file; a model is a directory", hint=hint)


def name_list(names: Sequence[str], limit: int = 5) -> str:
    """Return the first names, and the number of others."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
