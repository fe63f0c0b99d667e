"""Name the model directory, and the files in it."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from aecli.atomic_files import is_temporary
from aecli.directory_lock import LOCK
from aecli.errors import UsageError

SPEC_FILE = "spec.json"
CHECKPOINT_DIRECTORY = "checkpoint"
DEFAULT_DIRECTORY = "aecli_model"
UNNAMED_CHECKPOINT = "state.safetensors"
"""Name of a state in `checkpoint/` before its hash is known."""
RUNS_DIRECTORY = "runs"
MODEL_VARIABLE = "AECLI_MODEL"
HASH_DIGITS = 12
"""Digits of a file's SHA-256 in its name; its spec has all 64."""

PART_SUFFIXES = {"weights": "safetensors", "history": "jsonl", "tuning": "json", "spec": "json"}
"""Suffixes of the files that are named by their hash; `spec` is that of an earlier generation."""

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
            hint=f"--model {shlex.quote(str(model))}",
        )
    if tag is not None:
        if tag in ("", ".", "..") or "/" in tag or "\0" in tag:
            raise UsageError(
                f"--tag {tag!r} is not a plain name",
                hint=f"--model {shlex.quote(f'{RUNS_DIRECTORY}/{tag}')}",
            )
        return Path(RUNS_DIRECTORY, tag)
    if model is not None and not os.fspath(model):
        raise UsageError("--model '' names no directory", hint=f"--model {DEFAULT_DIRECTORY}")
    return Path(model or os.environ.get(MODEL_VARIABLE) or DEFAULT_DIRECTORY)


def require_not_a_part(output: str) -> None:
    """Refuse an output that would replace a file of a model.

    Raises:
        UsageError: it would.
    """
    path = Path(os.path.realpath(output))
    if output != "-" and is_ours(path.name) and os.path.lexists(path.with_name(SPEC_FILE)):
        raise UsageError(
            f"the output {output} is a file of a model",
            hint=f"-o {shlex.quote('new_' + path.name)}",
        )


def hashed_name(kind: str, sha256: str) -> str:
    """Return the name of a file of some kind (a key of `PART_SUFFIXES`) with this hash."""
    return f"{kind}-{sha256[:HASH_DIGITS]}.{PART_SUFFIXES[kind]}"


def is_hashed(name: str) -> bool:
    """Return whether a name is one that a save makes of a file's hash."""
    return _HASHED.fullmatch(name) is not None


def is_earlier_spec(name: str) -> bool:
    """Return whether a name is that of the spec of an earlier generation."""
    return is_hashed(name) and name.startswith("spec-")


def checkpoint_name(sha256: str) -> str:
    """Return the name of the state of an unfinished training, which has all digits of its hash."""
    return f"state-{sha256}.safetensors"


def is_checkpoint(name: str) -> bool:
    """Return whether a name is one of `checkpoint_name`."""
    return re.fullmatch(r"state-[0-9a-f]{64}\.safetensors", name) is not None


def is_checkpoint_file(name: str) -> bool:
    """Return whether a name in `checkpoint/` is one that a training gives."""
    return name == UNNAMED_CHECKPOINT or is_checkpoint(name) or is_temporary(name)


def is_ours(name: str) -> bool:
    """Return whether a name in a model directory is one that aecli gives."""
    known = name in (SPEC_FILE, CHECKPOINT_DIRECTORY, LOCK)
    return known or is_temporary(name) or is_hashed(name)
