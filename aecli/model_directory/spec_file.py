"""Encode and decode `spec.json`: its digest, its schema version, and keys of later versions."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from aecli.errors import ModelError
from aecli.model_directory.errors import damaged_error, train_command, unreadable_error
from aecli.model_directory.location import SPEC_FILE, has_spec, is_hashed
from aecli.regular_files import read_regular
from aecli.remote_files.path import WEB, RemotePath, location
from aecli.schema.model_spec import MAX_COLUMNS, NO_DIGEST, SCHEMA, ModelSpec

# 100,000 columns with 128 categories each take about half of this.
MAX_SPEC_BYTES = 512 << 20

UPGRADE = "pip install --upgrade aecli"
"""Hint for a model that needs a newer aecli."""

_MANY_BLANKS = b" " * (1 << 20)

FAMILY = SCHEMA.partition("/")[0]
_SCHEMA = re.compile(FAMILY.replace(".", r"\.") + r"/(\d{1,9})(?:\.(\d{1,9}))?")
_FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w*")
_MAJOR, _MINOR = map(int, SCHEMA.partition("/")[2].split("."))


def encode_spec(spec: ModelSpec) -> tuple[bytes, ModelSpec]:
    """Return the content of `spec.json`, and the spec as `decode_spec` returns it.

    Raises:
        ValueError: the spec could not be read again.
    """
    text = spec.model_copy(update={"schema_": SCHEMA, "digest": NO_DIGEST}).model_dump_json(
        by_alias=True, indent=2
    )
    content = f"{text}\n".encode()
    digest = digest_of(content)
    content = content.replace(NO_DIGEST.encode(), digest.encode(), 1)
    return content, ModelSpec.model_validate_json(content)


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a spec with 64 zeros as its digest.

    White space at the ends of lines and the type of line ends are ignored; all else is hashed.
    """
    return hashlib.sha256(b"".join(map(bytes.strip, content.splitlines()))).hexdigest()


def decode_spec(content: bytes, path: Path) -> tuple[ModelSpec, list[str]]:
    """Return the spec in the content of the file `path`, and its keys of a later version.

    Raises:
        ModelError: it is damaged, beyond a limit, or of an unsupported version.
    """
    if len(content) > MAX_SPEC_BYTES:
        raise damaged_error(path, f"it has more than {MAX_SPEC_BYTES:,} bytes")
    if _MANY_BLANKS in content:
        raise damaged_error(path, f"it has {len(_MANY_BLANKS):,} blanks in a row")
    try:
        value = from_json(content)
    except ValueError as error:
        raise damaged_error(path, f"it is not JSON: {error}") from error
    minor = _readable_minor(value, path)
    columns = value.get("columns")
    if isinstance(columns, list) and len(columns) > MAX_COLUMNS:  # before each one is validated
        raise damaged_error(path, f"it has {len(columns):,} columns; the limit is {MAX_COLUMNS:,}")
    try:
        spec, unknown = _validated(value)
    except ValidationError as error:
        if minor > _MINOR:
            raise newer_error(value["schema"], path.parent) from error
        raise damaged_error(path, *_problems(error)) from error
    if not _has_its_digest(content, spec.digest):
        raise damaged_error(path, "its content was changed: its digest differs")
    return spec, unknown


def spec_in(path: Path) -> ModelSpec:
    """Return the spec in a file, ignoring keys of a later version.

    Raises:
        OSError: the file cannot be read.
        ModelError: it is damaged, beyond a limit, or of an unsupported version.
    """
    return decode_spec(read_regular(path, MAX_SPEC_BYTES), path)[0]


def _readable_minor(value: Any, path: Path) -> int:
    """Return the minor version of a spec's schema; raise if the major version is unsupported."""
    schema = value.get("schema") if isinstance(value, dict) else None
    match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if match is None:
        raise damaged_error(path, f"it is not an {FAMILY}")
    if int(match[1]) > _MAJOR:
        raise newer_error(match[0], path.parent)
    if match[2] is None:
        raise ModelError(
            f"{path.parent} was saved by an aecli before 0.2.0, which this one cannot read",
            hint=train_command(path.parent),
        )
    return int(match[2])


def is_newer(schema: str) -> bool:
    """Return whether a schema that `spec_in` reads has keys that this aecli does not know."""
    match = _SCHEMA.fullmatch(schema)
    return match is None or int(match[2] or 0) > _MINOR


def newer_error(schema: str, directory: Path) -> ModelError:
    """Return the error of a model that only a newer aecli can read or change."""
    return ModelError(
        f"{directory} was saved by a newer aecli",
        facts=(f"its schema is {schema}; this aecli knows {SCHEMA}",),
        hint=UPGRADE,
    )


def is_model_spec(directory: Path) -> bool:
    """Return whether `spec.json` belongs to a model, even to a damaged one.

    Raises:
        ModelError: the model is of a newer aecli, or the file cannot be read.
    """
    try:
        schema = _schema_in(directory / SPEC_FILE)
    except OSError as error:
        raise unreadable_error(directory / SPEC_FILE, error) from error
    match = _SCHEMA.fullmatch(schema)
    if match is not None and int(match[1]) > _MAJOR:
        raise newer_error(schema, directory)
    return bool(schema)


def is_model(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a model directory, which may be damaged.

    Web servers may answer any address, so that there the content of the spec decides. Addresses
    with a query, or with a suffix such as `.csv`, are those of files.
    """
    directory = location(path)
    if isinstance(directory, RemotePath) and directory.scheme in WEB:
        if directory.query or _FILE_SUFFIX.fullmatch(directory.suffix):
            return False
        try:
            return bool(_schema_in(directory / SPEC_FILE))
        except OSError:
            return False
    if has_spec(directory):
        return True
    if isinstance(directory, RemotePath):
        return False
    try:
        return any(map(is_hashed, os.listdir(directory)))
    except (OSError, ValueError):
        return False


def _schema_in(path: Path) -> str:
    """Return the schema of a spec; nothing for another file, or without one."""
    try:
        value = from_json(read_regular(path, MAX_SPEC_BYTES))
    except (FileNotFoundError, ValueError):
        return ""
    schema = value.get("schema") if isinstance(value, dict) else None
    ours = isinstance(schema, str) and schema.startswith(FAMILY + "/")
    return str(schema) if ours else ""


def _validated(value: Any) -> tuple[ModelSpec, list[str]]:
    """Return the spec in a JSON value, and its unknown keys, which are ignored.

    Raises:
        ValidationError: the value is not a spec, apart from unknown keys.
    """
    try:
        return ModelSpec.model_validate(value), []
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        locations = [problem["loc"] for problem in problems if problem["type"] == "extra_forbidden"]
        if len(locations) < len(problems):
            raise
    for *parents, key in locations:
        del reduce(getitem, parents, value)[key]
    return ModelSpec.model_validate(value), _keys(locations)


def _keys(locations: Sequence[tuple[int | str, ...]]) -> list[str]:
    """Return the unique names of keys, without the indices of columns."""
    paths = (".".join(str(step) for step in path if isinstance(step, str)) for path in locations)
    return list(dict.fromkeys(paths))


def _has_its_digest(content: bytes, digest: str) -> bool:
    blank = content.replace(digest.encode(), NO_DIGEST.encode(), 1)
    return digest_of(blank) == digest


def _problems(error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        f"{'.'.join(map(str, problem['loc'])) or 'spec'}: {problem['msg']}"
        for problem in problems
        if problem["type"] != "extra_forbidden"
    ][:3]
