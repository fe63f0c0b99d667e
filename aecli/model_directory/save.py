"""Save a model, or a new spec for its weights; renaming `spec.json` is the commit."""

from __future__ import annotations

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
from aecli.directory_lock import LOCK, is_our_lock
from aecli.errors import AecliError, ModelError, UsageError
from aecli.json_lines import to_json_lines
from aecli.model_directory.errors import name_list
from aecli.model_directory.generations import (
    Generation,
    describe,
    keep_model,
    remove_unused,
    replaced_model,
    require_keepable,
    require_readable,
)
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    DEFAULT_DIRECTORY,
    SPEC_FILE,
    hashed_name,
    is_checkpoint_file,
    is_hashed,
    is_ours,
)
from aecli.model_directory.read import read_spec
from aecli.model_directory.spec_file import encode_spec, holds_our_spec, newer_error
from aecli.regular_files import not_regular_error, require_regular
from aecli.schema.model_spec import SCHEMA, ModelSpec, StoredFile


def check_target(directory: Path) -> None:
    """Check that a model may be saved in `directory`: it is new, empty, or holds a model.

    Raises:
        UsageError: it holds other files and no model.
        ModelError: the model there cannot be read or is of a newer aecli, or a file of it is a link
            or not a file.
        OutputError: it is a file, or cannot be listed.
    """
    if not os.path.exists(directory):
        return
    try:
        names = sorted(os.listdir(directory))
        for name in filter(is_ours, names):
            _require_own(directory / name)
        foreign = [name for name in names if not _is_own(directory / name)]
        foreign += _foreign_checkpoints(directory)
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error
    if SPEC_FILE in names:
        # One that is damaged beyond recognition is ours where it stands beside our other files.
        if holds_our_spec(directory) or any(map(is_hashed, names)):
            require_readable(directory)
            return
        foreign = [SPEC_FILE]
    if foreign:
        raise UsageError(
            f"{directory} holds other files and no model; nothing is written there",
            facts=(f"it has: {name_list(foreign)}",),
            hint=f"-m {shlex.quote(str(directory / DEFAULT_DIRECTORY))}",
        )


def _is_own(path: Path) -> bool:
    """Return whether a file is one of ours; other programs have files called `.lock`, too."""
    return is_ours(path.name) and (path.name != LOCK or is_our_lock(path))


def _foreign_checkpoints(directory: Path) -> list[str]:
    """Return the names in `checkpoint/` that no training gives."""
    folder = directory / CHECKPOINT_DIRECTORY
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [f"{folder.name}/{name}" for name in names if not is_checkpoint_file(name)]


def _require_own(path: Path) -> None:
    """Refuse a link, a pipe or a device in the place of a file of a model."""
    if path.name == CHECKPOINT_DIRECTORY:
        mode = os.lstat(path).st_mode
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
    """Save a model; return its spec as `read_spec` will, and the model that it replaced, if any.

    The old model stays complete until the new one is, and then becomes a generation to roll back
    to; a damaged one is a warning. The caller holds the directory's `Lock`.

    Args:
        directory: the model directory; made where it does not exist.
        spec: the spec, without the files it names.
        weights: the bytes of a safetensors file.
        history: the record of each epoch.
        tuning: the search that the options came from, if any; see `read_tuning`.
        keep_generations: how many earlier models stay in the directory.
        resumed: a training was resumed, whose unfinished model is not kept.

    Raises:
        UsageError: the directory holds other files and no model, or `keep_generations` is not a
            number from 0 to 100.
        ModelError: the model there is of a newer aecli, or a file of it is a link or not a file.
        OutputError: it cannot be written; the model that was there is unchanged.
    """
    require_keepable(keep_generations)
    check_target(directory)
    contents = {"weights": weights, "history": to_json_lines(history)}
    if tuning is not None:
        contents["tuning"] = to_json_lines([tuning])
    stored = {kind: _stored(kind, content) for kind, content in contents.items()}
    # An unreadable spec fails this save here; after the save both models would be lost.
    content, saved = encode_spec(spec.model_copy(update={"tuning": None, **stored}))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error
    with _nothing_left_of_a_failure(directory):
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
def _nothing_left_of_a_failure(directory: Path) -> Iterator[None]:
    """Remove what a failed save wrote; `spec.json` says what is needed, whoever wrote it."""
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
    """Replace the spec of a saved model, whose weights stay. The caller holds the directory's lock.

    Raises:
        ModelError: the model there is no longer `old`, or of a newer aecli, whose keys it would
            lose.
        OutputError: it cannot be written; the model is unchanged.
    """
    check_target(directory)
    present = read_spec(directory)
    if present.digest != old.digest:
        what = f"a newer model has replaced the one that was being read in {directory}"
        raise ModelError(what, hint="run the same command again")
    if present.schema_ != SCHEMA:
        raise newer_error(present.schema_, directory)
    content, _ = encode_spec(new)
    write_file(directory / SPEC_FILE, content)
