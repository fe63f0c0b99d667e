"""Check every file of a model directory against the hash that was saved with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aecli.errors import ModelError
from aecli.model_directory.errors import (
    damaged_error,
    missing_error,
    name_list,
    unreadable_error,
    way_back,
)
from aecli.model_directory.generations import describe
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    SPEC_FILE,
    checkpoint_name,
    hashed_name,
    is_checkpoint,
    is_earlier_spec,
)
from aecli.model_directory.read import read_part, read_spec
from aecli.model_directory.spec_file import MAX_SPEC_BYTES, decode_spec
from aecli.regular_files import read_regular, sha256_of
from aecli.schema.model_spec import ModelSpec


@dataclass(frozen=True)
class CheckedFile:
    """File of a model directory: what it belongs to, its bytes, and its problem if it has one."""

    file: str
    belongs_to: str
    bytes: int
    problem: str | None


def verify(directory: Path) -> list[CheckedFile]:
    """Read every file of the model, its earlier generations and its checkpoint, and check it.

    Raises:
        ModelError: there is no model, or its `spec.json` is damaged.
    """
    spec = read_spec(directory)
    checked = [_checked(directory, SPEC_FILE, "the model", lambda: None)]
    checked += _parts(directory, spec, "the model")
    seen = {file.file for file in checked}
    for name in sorted(filter(is_earlier_spec, os.listdir(directory))):
        for file in _generation(directory, name):
            if file.file not in seen:
                checked.append(file)
                seen.add(file.file)
    return checked + list(_checkpoints(directory))


def require_whole(directory: Path, checked: Sequence[CheckedFile]) -> None:
    """Refuse a directory with a damaged file.

    Raises:
        ModelError: a file has a problem.
    """
    damaged = [file.file for file in checked if file.problem is not None]
    if damaged:
        raise ModelError(
            f"{len(damaged)} of the {len(checked)} files of {directory} are damaged",
            facts=[name_list(damaged)],
            hint=way_back(directory),
        )


def _parts(directory: Path, spec: ModelSpec, owner: str) -> Iterator[CheckedFile]:
    for part in spec.parts:
        yield _checked(directory, part.file, owner, partial(read_part, directory, part))


def _generation(directory: Path, name: str) -> Iterator[CheckedFile]:
    """Yield the spec of an earlier model, and the files that it names."""
    found: list[ModelSpec] = []

    def read() -> None:
        path = directory / name
        spec, _ = decode_spec(read_regular(path, MAX_SPEC_BYTES), path)
        if hashed_name("spec", spec.digest) != name:
            raise damaged_error(path, "its name is not that of its content")
        found.append(spec)

    file = _checked(directory, name, "an earlier model", read)
    owner = f"generation {describe(found[0]).id}" if found else file.belongs_to
    yield CheckedFile(file.file, owner, file.bytes, file.problem)
    for spec in found:
        yield from _parts(directory, spec, owner)


def _checkpoints(directory: Path) -> Iterator[CheckedFile]:
    folder = directory / CHECKPOINT_DIRECTORY
    for name in sorted(filter(is_checkpoint, os.listdir(folder) if folder.is_dir() else [])):
        file = f"{CHECKPOINT_DIRECTORY}/{name}"
        yield _checked(directory, file, "the unfinished training", partial(_hash, folder / name))


def _hash(path: Path) -> None:
    if checkpoint_name(sha256_of(path)) != path.name:
        raise damaged_error(path, "its content is not what was saved")


def _checked(directory: Path, name: str, owner: str, read: Callable[[], object]) -> CheckedFile:
    """Return a file after reading it with `read`, which raises where it is damaged."""
    path, problem = directory / name, None
    try:
        read()
    except FileNotFoundError:
        problem = missing_error(path)
    except OSError as error:
        problem = unreadable_error(path, error)
    except ModelError as error:
        problem = error
    size = path.stat(follow_symlinks=False).st_size if os.path.lexists(path) else 0
    text = None if problem is None else "; ".join((problem.what, *problem.facts))
    return CheckedFile(name, owner, size, text)
