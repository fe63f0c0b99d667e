"""Read and write the model directory: `spec.json`, its weights, `history.jsonl`, `tuning.json`.

A save is atomic: the weights get a unique name, made from their hash, and renaming `spec.json`,
which names them, is the commit.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from aecli.atomic_files import (
    LOCK,
    atomic_path,
    clean_temporaries,
    is_temporary,
    output_error,
    sha256_of,
)
from aecli.errors import ModelError, UsageError
from aecli.json_lines import read_json_lines, to_json_lines
from aecli.schema.model_spec import SCHEMA, ModelSpec, WeightsFile

SPEC_FILE = "spec.json"
HISTORY_FILE = "history.jsonl"
TUNING_FILE = "tuning.json"
CHECKPOINT_DIRECTORY = "checkpoint"
DEFAULT_DIRECTORY = "aecli_model"
RUNS_DIRECTORY = "runs"
MODEL_VARIABLE = "AECLI_MODEL"
# 100,000 columns with 128 categories each come to about half of this.
MAX_SPEC_BYTES = 512 << 20

_WEIGHTS = re.compile(r"weights-[0-9a-f]{12}\.safetensors")
_FAMILY = SCHEMA.partition("/")[0] + "/"


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
                f"--tag {tag!r} is no plain name",
                hint=f"--model {shlex.quote(f'{RUNS_DIRECTORY}/{tag}')}",
            )
        return Path(RUNS_DIRECTORY, tag)
    if model is not None and not os.fspath(model):
        raise UsageError("--model '' names no directory", hint=f"--model {DEFAULT_DIRECTORY}")
    return Path(model or os.environ.get(MODEL_VARIABLE) or DEFAULT_DIRECTORY)


def read_spec(directory: Path) -> ModelSpec:
    """Read and validate `spec.json` of a model directory.

    Raises:
        ModelError: there is no model, it is damaged, beyond a limit, or from a newer aecli.
    """
    value = _read_json(directory)
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, str) or not schema.startswith(_FAMILY):
        raise _damaged_error(directory, f"it does not say that it is an {_FAMILY[:-1]}")
    if schema != SCHEMA:
        raise ModelError(
            f"{directory} was saved by a newer aecli",
            facts=(f"its schema is {schema}; this aecli reads {SCHEMA}",),
            hint="pip install --upgrade aecli",
        )
    try:
        return ModelSpec.model_validate(_with_current_names(value))
    except ValidationError as error:
        raise _damaged_error(directory, *_problems(error)) from error


def _with_current_names(spec: Any) -> Any:
    """Return a spec with the current option names: `trimmed_loss` was once saved as `robust`."""
    options = spec.get("options")
    losses = options.get("losses") if isinstance(options, dict) else None
    if isinstance(losses, dict) and "robust" in losses:
        losses["trimmed_loss"] = losses.pop("robust")
    return spec


def _read_json(directory: Path) -> Any:
    path = directory / SPEC_FILE
    try:
        size = path.stat().st_size
        if size > MAX_SPEC_BYTES:
            raise _damaged_error(
                directory, f"it has {size:,} bytes; at most {MAX_SPEC_BYTES:,} are read"
            )
        return from_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_model_error(directory) from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise _damaged_error(directory, f"it is no JSON: {error}") from error


def _problems(error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        f"{'.'.join(map(str, problem['loc'])) or 'spec'}: {problem['msg']}"
        for problem in problems[:3]
    ]


def _damaged_error(directory: Path, *facts: str) -> ModelError:
    message = f"{directory / SPEC_FILE} is damaged"
    return ModelError(message, facts=facts, hint=_train_command(directory))


def _train_command(directory: Path | str) -> str:
    return f"aecli train DATA -m {shlex.quote(str(directory))}"


def _no_model_error(directory: Path) -> ModelError:
    train = _train_command(directory)
    if not os.path.exists(directory):
        return ModelError(f"there is no model directory {directory}", hint=train)
    if not directory.is_dir():
        return _file_error(directory)
    names = sorted(os.listdir(directory))
    models = [name for name in names if (directory / name / SPEC_FILE).is_file()]
    if models:
        return ModelError(
            f"{directory} is no model directory, but holds some: {_name_list(models)}",
            hint=f"-m {shlex.quote(str(directory / models[0]))}",
        )
    fact = f"it has: {_name_list(names)}" if names else "it is empty"
    if names and all(_is_our_file(name) for name in names):
        fact = "a training that wrote to it has not saved a model"
    message = f"{directory} is no model directory: it has no {SPEC_FILE}"
    return ModelError(message, facts=(fact,), hint=train)


def _file_error(path: Path) -> ModelError:
    inside = (path.parent / SPEC_FILE).is_file() and _is_our_file(path.name)
    hint = f"-m {shlex.quote(str(path.parent))}" if inside else _train_command(DEFAULT_DIRECTORY)
    return ModelError(f"{path} is a file; a model is a directory", hint=hint)


def _name_list(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def weights_path(directory: Path, spec: ModelSpec) -> Path:
    """Return the weights file that `spec` names, after checking its size and SHA-256.

    Raises:
        ModelError: it is missing, truncated or damaged, or a newer model has replaced it.
    """
    path = directory / spec.weights.file
    train = _train_command(directory)
    try:
        size = path.stat().st_size
        digest = sha256_of(path) if size == spec.weights.size else None
    except FileNotFoundError as error:
        if read_spec(directory).weights.file != spec.weights.file:
            what = f"a newer model has replaced the one that was being read in {directory}"
            raise ModelError(what, hint="run the same command again") from error
        raise ModelError(f"{path} is missing", hint=train) from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if digest is None:
        facts = (f"it has {size:,} bytes; {SPEC_FILE} says {spec.weights.size:,}",)
        raise ModelError(f"{path} is damaged", facts=facts, hint=train)
    if digest != spec.weights.sha256:
        facts = (f"its SHA-256 is {digest[:12]}…; {SPEC_FILE} says {spec.weights.sha256[:12]}…",)
        raise ModelError(f"{path} is damaged", facts=facts, hint=train)
    return path


def check_target(directory: Path) -> None:
    """Check that a model may be saved in `directory`: it is new, empty, or holds a model.

    Raises:
        UsageError: it holds other files and no model.
        OutputError: it is a file, or cannot be listed.
    """
    if not os.path.exists(directory):
        return
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error
    foreign = [name for name in names if not _is_our_file(name)]
    if SPEC_FILE in names:
        if _is_our_spec(directory):
            return
        foreign = [SPEC_FILE]
    if foreign:
        raise UsageError(
            f"{directory} holds other files and no model; nothing is written there",
            facts=(f"it has: {_name_list(foreign)}",),
            hint=f"-m {shlex.quote(str(directory / DEFAULT_DIRECTORY))}",
        )


def _is_our_file(name: str) -> bool:
    known = name in (SPEC_FILE, HISTORY_FILE, TUNING_FILE, CHECKPOINT_DIRECTORY, LOCK)
    return known or is_temporary(name) or _WEIGHTS.fullmatch(name) is not None


def _is_our_spec(directory: Path) -> bool:
    try:
        value = _read_json(directory)
    except ModelError:
        return False
    return isinstance(value, dict) and str(value.get("schema")).startswith(_FAMILY)


def save(
    directory: Path,
    spec: ModelSpec,
    weights: bytes,
    history: Sequence[Mapping[str, object]],
    tuning: Mapping[str, object] | None = None,
) -> ModelSpec:
    """Save a model and return its spec as `read_spec` will, with the weights file filled in.

    `weights` are the bytes of a safetensors file; of `spec.weights` only `parameters` is kept.
    `tuning` is the search that the options came from, if any; see `read_tuning`. The old model
    stays complete until the new one is, and is then removed. The caller holds the directory's
    `atomic_files.Lock`.

    Raises:
        UsageError: the directory holds other files and no model.
        OutputError: it cannot be written; the model that was there is unchanged.
    """
    check_target(directory)
    digest = hashlib.sha256(weights).hexdigest()
    file = f"weights-{digest[:12]}.safetensors"
    stored = WeightsFile(
        file=file, sha256=digest, size=len(weights), parameters=spec.weights.parameters
    )
    text = spec.model_copy(update={"weights": stored}).model_dump_json(by_alias=True, indent=2)
    # An unreadable spec fails this save here; after the save both models would be lost.
    saved = ModelSpec.model_validate_json(text)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error
    clean_temporaries(directory)
    _write(directory / file, weights)
    _write(directory / HISTORY_FILE, to_json_lines(history))
    if tuning is not None:
        _write(directory / TUNING_FILE, to_json_lines([{**tuning, "weights": file}]))
    _write(directory / SPEC_FILE, f"{text}\n".encode())
    _remove_old_weights(directory, keep=file)
    if tuning is None:
        (directory / TUNING_FILE).unlink(missing_ok=True)
    return saved


def replace_spec(directory: Path, old: ModelSpec, new: ModelSpec) -> None:
    """Replace the spec of a saved model, whose weights stay. The caller holds the directory's lock.

    Raises:
        ModelError: the model there is no longer `old`.
        OutputError: it cannot be written; the model is unchanged.
    """
    if read_spec(directory).weights != old.weights:
        what = f"a newer model has replaced the one that was being read in {directory}"
        raise ModelError(what, hint="run the same command again")
    text = new.model_dump_json(by_alias=True, indent=2)
    ModelSpec.model_validate_json(text)
    clean_temporaries(directory)
    _write(directory / SPEC_FILE, f"{text}\n".encode())


def _write(target: Path, content: bytes) -> None:
    with atomic_path(target) as path:
        path.write_bytes(content)


def _remove_old_weights(directory: Path, *, keep: str) -> None:
    for name in os.listdir(directory):
        if _WEIGHTS.fullmatch(name) and name != keep:
            (directory / name).unlink(missing_ok=True)


def read_history(directory: Path) -> list[dict[str, Any]]:
    """Return the records of the epochs, oldest first; none if there is no history.

    Raises:
        ModelError: a line is damaged.
    """
    return read_json_lines(directory / HISTORY_FILE)


def read_tuning(directory: Path, spec: ModelSpec) -> dict[str, Any] | None:
    """Return the record of the search that the model's options came from.

    None if there was no search, or if the file names the weights of another model.

    Raises:
        ModelError: the file is damaged.
    """
    records = read_json_lines(directory / TUNING_FILE)
    return next((r for r in records if r.get("weights") == spec.weights.file), None)
