"""Save a model, or a new spec for its weights; the rename of `spec.json` is the commit."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aecli.atomic_files import (
    is_temporary,
    output_error,
    warn_after_commit,
    write_file,
)
from aecli.directory_lock import LOCK, is_lock_file
from aecli.errors import AecliError, ModelError, UsageError
from aecli.json_lines import to_json_lines
from aecli.model_directory.errors import listed, name_list
from aecli.model_directory.generations import (
    Generation,
    describe,
    keep_model,
    remove_unused,
    replaced_model,
    require_readable,
    require_valid_count,
)
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    DEFAULT_DIRECTORY,
    SPEC_FILE,
    hashed_name,
    is_checkpoint_file,
    is_hashed,
    is_model_file,
)
from aecli.model_directory.read import read_spec
from aecli.model_directory.spec_file import encode_spec, is_model_spec, is_newer, newer_error
from aecli.model_directory.staging import require_writable
from aecli.regular_files import not_regular_error, require_regular
from aecli.remote_files.path import RemotePath
from aecli.schema.model_spec import ModelSpec, StoredFile


def check_target(directory: Path) -> None:
    """Check that a model may be saved in `directory`: it is new, empty, or contains a model.

    Raises:
        UsageError: it contains other files and no model.
        ModelError: the model there cannot be read or is of a newer aecli, or a file of it is not a
            regular file.
        OutputError: the target is a file, or cannot be listed.
    """
    if not (isinstance(directory, RemotePath) or os.path.exists(directory)):
        return
    require_writable(directory)
    try:
        if isinstance(directory, RemotePath) and directory.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        names = listed(directory)
        for name in filter(is_model_file, names):
            _require_regular_type(directory / name)
        foreign = [name for name in names if not _is_own(directory / name)]
        foreign += _foreign_checkpoints(directory)
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error
    if SPEC_FILE in names:
        # An unrecognisable spec belongs to a model if there are other files of a model.
        if is_model_spec(directory) or any(map(is_hashed, names)):
            require_readable(directory)
            return
        foreign = [SPEC_FILE]
    if foreign:
        raise UsageError(
            f"{directory} contains other files and no model; nothing is written there",
            facts=(f"it has: {name_list(foreign)}",),
            hint=f"-m {shlex.quote(str(directory / DEFAULT_DIRECTORY))}",
        )


def _is_own(path: Path) -> bool:
    """Return whether a file belongs to a model; other programs have files named `.lock` too."""
    return is_model_file(path.name) and (path.name != LOCK or is_lock_file(path))


def _foreign_checkpoints(directory: Path) -> list[str]:
    """Return the names in `checkpoint/` that are not of a training's files."""
    folder = directory / CHECKPOINT_DIRECTORY
    names = listed(folder) if folder.is_dir() else []
    return [f"{folder.name}/{name}" for name in names if not is_checkpoint_file(name)]


def _require_regular_type(path: Path) -> None:
    """Raise for a link, a pipe or a device under the name of a model's file."""
    if path.name == CHECKPOINT_DIRECTORY:
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise not_regular_error(path, mode)
    elif not is_temporary(path.name):
        require_regular(path)


def save(
    directory: Path,
    spec: ModelSpec,
    weights: bytes,
    history: Sequence[Mapping[str, object]],
    tuning: Mapping[str, object] | None = None,
    *,
    keep_generations: int = 1,
    resumed: bool = False,
) -> tuple[ModelSpec, Generation | None]:
    """Save a model; return its spec as `read_spec` returns it, and the replaced model, if any.

    The old model is complete until the new one is, and then becomes a generation; a damaged old
    model causes a warning. The caller has the directory's `Lock`.

    Args:
        directory: the model directory; created if it does not exist.
        spec: the spec, without its files.
        weights: the bytes of a safetensors file.
        history: the record of each epoch.
        tuning: the search that chose the options, if any; see `read_tuning`.
        keep_generations: the number of earlier models to keep in the directory.
        resumed: whether a training was resumed, whose unfinished model is not kept.

    Raises:
        UsageError: the directory contains other files and no model, or `keep_generations` is not a
            number from 0 to 100.
        ModelError: the model there is of a newer aecli, or a file of it is not a regular file.
        OutputError: it cannot be written; the previous model is unchanged.
    """
    require_valid_count(keep_generations)
    check_target(directory)
    contents = {"weights": weights, "history": to_json_lines(history)}
    if tuning is not None:
        contents["tuning"] = to_json_lines([tuning])
    stored = {kind: _stored(kind, content) for kind, content in contents.items()}
    # An unreadable spec must fail here; after the save both models would be lost.
    content, saved = encode_spec(spec.model_copy(update={"tuning": None, **stored}))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error
    with _clean_up_after_failure(directory):
        replaced = replaced_model(directory, resumed=spec if resumed else None)
        if replaced and keep_generations:
            keep_model(directory, replaced)
        for kind, part in stored.items():
            file = directory / part.file
            write_file(file, contents[kind], like=directory / SPEC_FILE, commits=False)
        write_file(directory / SPEC_FILE, content)
    with warn_after_commit(directory):
        remove_unused(directory, keep_generations)
    return saved, describe(replaced) if replaced else None


@contextmanager
def _clean_up_after_failure(directory: Path) -> Iterator[None]:
    """Remove the files that a failed save wrote; `spec.json` decides which are needed."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError, AecliError):
            remove_unused(directory)
        if isinstance(error, OSError):
            raise output_error(directory / SPEC_FILE, error) from error
        raise


def _stored(kind: str, content: bytes) -> StoredFile:
    digest = hashlib.sha256(content).hexdigest()
    return StoredFile(file=hashed_name(kind, digest), sha256=digest, size=len(content))


def replace_spec(directory: Path, old: ModelSpec, new: ModelSpec) -> None:
    """Replace the spec of a saved model, but not its weights. The caller has the directory's lock.

    Raises:
        ModelError: the model there is no longer `old`, or is of a newer aecli, whose keys would be
            lost.
        OutputError: the spec cannot be written; the model is unchanged.
    """
    check_target(directory)
    present = read_spec(directory)
    if present.digest != old.digest:
        what = f"a newer model has replaced the one in {directory} while it was being read"
        raise ModelError(what, hint="run the same command again")
    if is_newer(present.schema_):
        raise newer_error(present.schema_, directory)
    content, _ = encode_spec(new)
    write_file(directory / SPEC_FILE, content)
