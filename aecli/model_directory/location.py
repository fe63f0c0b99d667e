"""Names of the model directory and of its files."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from aecli.atomic_files import is_temporary
from aecli.directory_lock import LOCK
from aecli.errors import UsageError
from aecli.remote_files.path import RemotePath, location

SPEC_FILE = "spec.json"
CHECKPOINT_DIRECTORY = "checkpoint"
DEFAULT_DIRECTORY = "aecli_model"
MAX_GENERATIONS = 100
"""Maximum number of earlier models that a model directory keeps."""
UNNAMED_CHECKPOINT = "state.safetensors"
"""Name of a state in `checkpoint/` whose hash is not known yet."""
RUNS_DIRECTORY = "runs"
MODEL_VARIABLE = "AECLI_MODEL"
HASH_DIGITS = 12
"""Number of digits of a file's SHA-256 in its name; the spec has all 64."""

PART_SUFFIXES = {"weights": "safetensors", "history": "jsonl", "tuning": "json", "spec": "json"}
"""Suffixes of files that are named by their hash; `spec` is the spec of a generation."""

_HASHED = re.compile(
    "|".join(
        f"{kind}-[0-9a-f]{{{HASH_DIGITS}}}\\.{suffix}" for kind, suffix in PART_SUFFIXES.items()
    )
)


def model_directory(model: str | os.PathLike[str] | None, tag: str | None) -> Path:
    """Return the model directory: `model`, or `runs/TAG`, or `$AECLI_MODEL`, or `aecli_model`.

    Raises:
        UsageError: both are given, `model` is empty, or `tag` is not a plain name.
    """
    if model is not None and tag is not None:
        raise UsageError(
            f"--model {model} and --tag {tag} both name the model directory",
            facts=(f"--tag {tag} is short for --model {RUNS_DIRECTORY}/{tag}",),
            hint="give only one of them",
        )
    if tag is not None:
        if tag in ("", ".", "..") or "/" in tag or "\0" in tag:
            raise UsageError(
                f"--tag {tag!r} is not a plain name",
                hint=f"--model {shlex.quote(f'{RUNS_DIRECTORY}/{tag}')}",
            )
        return Path(RUNS_DIRECTORY, tag)
    if model is not None and not os.fspath(model):
        raise UsageError("--model '' is not a directory", hint=f"--model {DEFAULT_DIRECTORY}")
    return location(model or os.environ.get(MODEL_VARIABLE) or DEFAULT_DIRECTORY)


def has_spec(directory: Path) -> bool:
    """Return whether there is a spec; False also for a remote one that cannot be read."""
    if not isinstance(directory, RemotePath):
        return os.path.lexists(directory / SPEC_FILE)
    try:
        return (directory / SPEC_FILE).exists()
    except OSError:
        return False


def require_not_a_part(output: str) -> None:
    """Raise for an output that would replace a file of a model.

    Raises:
        UsageError: the output is a file of a model.
    """
    path = location(output)
    if not isinstance(path, RemotePath):
        path = Path(os.path.realpath(output))
    if output != "-" and is_model_file(path.name) and has_spec(path.parent):
        raise UsageError(
            f"the output {output} is a file of a model",
            hint=f"-o {shlex.quote('new_' + path.name)}",
        )


def hashed_name(kind: str, sha256: str) -> str:
    """Return the name of a file of a kind (a key of `PART_SUFFIXES`) with this hash."""
    return f"{kind}-{sha256[:HASH_DIGITS]}.{PART_SUFFIXES[kind]}"


def is_hashed(name: str) -> bool:
    """Return whether a name is one of `hashed_name`."""
    return _HASHED.fullmatch(name) is not None


def is_earlier_spec(name: str) -> bool:
    """Return whether a name is that of a generation's spec."""
    return is_hashed(name) and name.startswith("spec-")


def checkpoint_name(sha256: str) -> str:
    """Return the name of the state of an unfinished training, with all digits of its hash."""
    return f"state-{sha256}.safetensors"


def is_checkpoint(name: str) -> bool:
    """Return whether a name is one of `checkpoint_name`."""
    return re.fullmatch(r"state-[0-9a-f]{64}\.safetensors", name) is not None


def is_checkpoint_file(name: str) -> bool:
    """Return whether a name in `checkpoint/` is one of a training's files."""
    return name == UNNAMED_CHECKPOINT or is_checkpoint(name) or is_temporary(name)


def is_model_file(name: str) -> bool:
    """Return whether a name is one of the names in a model directory."""
    known = name in (SPEC_FILE, CHECKPOINT_DIRECTORY, LOCK)
    return known or is_temporary(name) or is_hashed(name)
