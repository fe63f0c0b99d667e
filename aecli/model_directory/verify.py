"""Check every file of a model directory against its saved hash."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aecli.errors import ModelError
from aecli.model_directory.errors import (
    damaged_error,
    missing_error,
    names_in,
    recovery_command,
    unreadable_error,
)
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    SPEC_FILE,
    checkpoint_name,
    hashed_name,
    is_checkpoint,
    is_earlier_spec,
)
from aecli.model_directory.read import (
    MAX_REPLACEMENTS,
    read_spec,
    replaced_too_often,
    require_part,
)
from aecli.model_directory.spec_file import spec_in
from aecli.regular_files import sha256_of
from aecli.schema.model_spec import ModelSpec

OWNER = "the model"
"""Owner of the files that `spec.json` refers to."""


@dataclass(frozen=True)
class CheckedFile:
    """File of a model directory: its owner, its size in bytes, and its problem, if any.

    The owner is `the model`, the id of an earlier model, or `checkpoint`.
    """

    file: str
    belongs_to: str
    bytes: int
    problem: str | None


def verify(directory: Path) -> list[CheckedFile]:
    """Read and check every file of the model, its earlier generations and its checkpoint.

    If a training replaces the model meanwhile, the new one is checked.

    Raises:
        ModelError: there is no model, or its `spec.json` is damaged; the facts list which earlier
            models are undamaged.
    """
    for _ in range(MAX_REPLACEMENTS):
        try:
            spec = read_spec(directory)
        except ModelError as error:
            facts = [*error.facts, *_states_of_generations(directory)]
            raise ModelError(error.what, facts=facts, hint=error.hint) from error
        checked = _all_files(directory, spec)
        if all(file.problem is None for file in checked) or _is_present(directory, spec):
            return checked
    raise replaced_too_often(directory)


def _all_files(directory: Path, spec: ModelSpec) -> list[CheckedFile]:
    checked = [_checked(directory, SPEC_FILE, OWNER, lambda: None)]
    checked += _parts(directory, spec, OWNER)
    for name in _earlier_specs(directory):
        earlier = list(_generation(directory, name))
        # A training may remove an earlier model at any moment.
        checked += earlier if name in names_in(directory) else []
    checked += _checkpoints(directory)
    files: dict[str, CheckedFile] = {}
    for file in checked:
        files.setdefault(file.file, file)
    return list(files.values())


def _is_present(directory: Path, spec: ModelSpec) -> bool:
    try:
        return read_spec(directory).digest == spec.digest
    except ModelError:
        return False


def _earlier_specs(directory: Path) -> list[str]:
    return list(filter(is_earlier_spec, names_in(directory)))


def _states_of_generations(directory: Path) -> Iterator[str]:
    """Yield for each earlier model whether it is undamaged."""
    for name in _earlier_specs(directory):
        files = list(_generation(directory, name))
        bad = next((file for file in files if file.problem), None)
        yield f"{files[0].belongs_to}: {f'{bad.file} {bad.problem}' if bad else 'undamaged'}"


def require_undamaged(directory: Path, checked: Sequence[CheckedFile]) -> None:
    """Raise for a directory with a damaged file, with one command to try.

    Raises:
        ModelError: a file has a problem.
    """
    bad = [file for file in checked if file.problem is not None]
    if not bad:
        return
    what = f"{len(bad)} of {len(checked)} files of {directory} are damaged or missing"
    facts = [f"{file.file} {file.problem}" for file in bad[:3]]
    if any(file.belongs_to == OWNER for file in bad):
        raise ModelError(what, facts=facts, hint=recovery_command(directory))
    earlier = {file.belongs_to for file in bad} - {CHECKPOINT_DIRECTORY}
    specs = (shlex.quote(str(directory / hashed_name("spec", each))) for each in sorted(earlier))
    hint = f"rm {' '.join(specs)}" if earlier else "train without --resume"
    raise ModelError(what, facts=[*facts, "the model itself is undamaged"], hint=hint)


def _parts(directory: Path, spec: ModelSpec, owner: str) -> Iterator[CheckedFile]:
    for part in spec.parts:
        yield _checked(directory, part.file, owner, partial(require_part, directory, part))


def _generation(directory: Path, name: str) -> Iterator[CheckedFile]:
    """Yield the spec of an earlier model, and the files that it refers to."""
    specs: list[ModelSpec] = []

    def read() -> None:
        path = directory / name
        spec = spec_in(path)
        if hashed_name("spec", spec.digest) != name:
            raise damaged_error(path, "its name does not match its content")
        specs.append(spec)

    file = _checked(directory, name, name.removeprefix("spec-").removesuffix(".json"), read)
    yield file
    for spec in specs:
        yield from _parts(directory, spec, file.belongs_to)


def _checkpoints(directory: Path) -> Iterator[CheckedFile]:
    folder = directory / CHECKPOINT_DIRECTORY
    if folder.is_symlink():
        problem = "is a symbolic link"
        yield CheckedFile(folder.name, CHECKPOINT_DIRECTORY, folder.lstat().st_size, problem)
        return
    for name in filter(is_checkpoint, names_in(folder)):
        path = folder / name
        checked = _checked(
            directory, f"{CHECKPOINT_DIRECTORY}/{name}", CHECKPOINT_DIRECTORY, partial(_hash, path)
        )
        # A running training may replace it at any moment.
        if path.name in names_in(folder):
            yield checked


def _hash(path: Path) -> None:
    if checkpoint_name(sha256_of(path)) != path.name:
        raise damaged_error(path, "its content was changed")


def _checked(directory: Path, name: str, owner: str, read: Callable[[], object]) -> CheckedFile:
    """Return a file after reading it with `read`, which raises if it is damaged."""
    path, problem = directory / name, None
    try:
        read()
    except FileNotFoundError:
        problem = missing_error(path)
    except OSError as error:
        problem = unreadable_error(path, error)
    except ModelError as error:
        problem = error
    text = None
    if problem is not None:
        text = "; ".join((problem.what.removeprefix(f"{path} "), *problem.facts))
    return CheckedFile(name, owner, _size(path), text)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
