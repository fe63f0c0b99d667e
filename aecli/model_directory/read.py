"""Read a model: its spec and the files that the spec refers to, all of the same training."""

from __future__ import annotations

import hashlib
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from aecli.errors import AecliWarning, ModelError
from aecli.json_lines import parse_json_lines
from aecli.model_directory.cache import read_cached
from aecli.model_directory.errors import (
    damaged_error,
    missing_error,
    name_list,
    no_model_error,
    unreadable_error,
)
from aecli.model_directory.location import SPEC_FILE
from aecli.model_directory.spec_file import MAX_SPEC_BYTES, decode_spec
from aecli.regular_files import read_regular, require_regular, sha256_of
from aecli.remote_files.path import RemotePath
from aecli.schema.model_spec import ModelSpec, StoredFile

Part = TypeVar("Part")

MAX_REPLACEMENTS = 1_000
"""Maximum number of times that a model may be replaced while it is read."""


def read_spec(directory: Path) -> ModelSpec:
    """Read and validate `spec.json` of a model directory; warn about keys of a later version.

    Raises:
        ModelError: there is no model, or it is damaged, beyond a limit, or of a newer aecli.
    """
    spec, unknown = decode_spec(spec_content(directory), directory / SPEC_FILE)
    if unknown:
        warnings.warn(
            f"{directory} is of a newer aecli ({spec.schema_}); ignored: {name_list(unknown)}",
            AecliWarning,
            stacklevel=2,
        )
    return spec


def spec_content(directory: Path) -> bytes:
    """Return the bytes of `spec.json`.

    Raises:
        ModelError: it is missing, or cannot be read.
    """
    path = directory / SPEC_FILE
    try:
        return read_regular(path, MAX_SPEC_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise no_model_error(directory) from error
    except OSError as error:
        raise unreadable_error(path, error) from error


def read_model(directory: Path, read: Callable[[ModelSpec], Part]) -> tuple[ModelSpec, Part]:
    """Read the spec and, with `read`, its files; again if a newer model replaced it meanwhile.

    `read` may raise the FileNotFoundError of a file that was removed meanwhile.

    Raises:
        ModelError: there is no model, or it is damaged, incomplete or of a newer aecli.
    """
    spec = read_spec(directory)
    for _ in range(MAX_REPLACEMENTS):
        try:
            return spec, read(spec)
        except FileNotFoundError as error:
            newer = read_spec(directory)
            if newer.digest == spec.digest:
                raise missing_error(Path(error.filename)) from error
            spec = newer
    raise replaced_too_often(directory)


def replaced_too_often(directory: Path) -> ModelError:
    """Return the error of a model that is replaced repeatedly while it is read."""
    return ModelError(
        f"{directory} is replaced faster than it can be read", hint="run the same command again"
    )


def read_weights(directory: Path, spec: ModelSpec) -> bytes:
    """Return the bytes of the weights file, after checking its size and SHA-256.

    Raises:
        FileNotFoundError: it is missing.
        ModelError: it is damaged, or cannot be read.
    """
    return read_part(directory, spec.weights)


def read_history(directory: Path, spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the records of the epochs, oldest first.

    Raises:
        FileNotFoundError: the file is missing.
        ModelError: it is damaged, or cannot be read.
    """
    path = directory / spec.history.file
    return parse_json_lines(read_part(directory, spec.history), path)


def read_tuning(directory: Path, spec: ModelSpec) -> dict[str, Any] | None:
    """Return the record of the search that chose the model's options, None without a search.

    Raises:
        FileNotFoundError: the file is missing.
        ModelError: it is damaged, or cannot be read.
    """
    if spec.tuning is None:
        return None
    path = directory / spec.tuning.file
    return next(iter(parse_json_lines(read_part(directory, spec.tuning), path)), None)


def read_part(directory: Path, part: StoredFile) -> bytes:
    """Return the content of a file of a spec, after checking its size and SHA-256.

    Raises:
        FileNotFoundError: it is missing.
        ModelError: it is damaged, or cannot be read.
    """
    try:
        return part_content(directory, part)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable_error(directory / part.file, error) from error


def require_part(directory: Path, part: StoredFile) -> None:
    """Check a file of a spec without loading it into memory.

    Raises:
        OSError: it cannot be read.
        ModelError: it is damaged.
    """
    path = directory / part.file
    require_regular(path)
    size = path.lstat().st_size
    if size != part.size:
        raise damaged_error(path, f"it has {size:,} of the {part.size:,} bytes saved")
    if sha256_of(path) != part.sha256:
        raise damaged_error(path, "its SHA-256 differs from the saved one")


def part_content(directory: Path, part: StoredFile) -> bytes:
    """Return the same as `read_part`, without converting system errors.

    Raises:
        OSError: it cannot be read.
        ModelError: it is damaged.
    """
    path = directory / part.file
    try:
        if isinstance(path, RemotePath):
            content = read_cached(path, part)
        else:
            content = read_regular(path, part.size)
    except MemoryError as error:
        what = f"{path} needs {part.size:,} bytes of memory, more than available"
        raise ModelError(what, hint=f"ls -l {shlex.quote(str(path))}") from error
    if len(content) > part.size:
        raise damaged_error(path, f"it has more than the {part.size:,} bytes that were saved")
    if len(content) < part.size:
        raise damaged_error(path, f"it has {len(content):,} of the {part.size:,} bytes saved")
    digest = hashlib.sha256(content).hexdigest()
    if digest != part.sha256:
        raise damaged_error(path, f"its SHA-256 is {digest[:12]}…, not {part.sha256[:12]}…")
    return content
