"""Write a model directory on an object store: in a folder on disk first, then file by file."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from aecli.atomic_files import output_error, warn_after_commit
from aecli.errors import AecliError, OutputError
from aecli.model_directory.errors import readable
from aecli.model_directory.location import (
    CHECKPOINT_DIRECTORY,
    SPEC_FILE,
    is_checkpoint,
    is_hashed,
)
from aecli.remote_files.path import RemotePath

UPLOAD_SECONDS = 60.0
"""Minimum time between two uploads of checkpoints."""


class StagedDirectory:
    """Model directory for changes: the directory itself, or a copy on disk of a remote one.

    A copy is uploaded when the block ends without an error: new files first, then `spec.json`, and
    the files that it no longer needs are deleted after that. If the upload fails, the copy is kept.

    Attributes:
        local: the directory on disk.

    Raises:
        ModelError: the remote directory cannot be read.
        OutputError: it cannot be written; its previous model is unchanged.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._uploaded_at = time.monotonic()
        # Files of another run that writes the same directory are not deleted.
        self._known: set[str] = set()
        self.local = directory

    def __enter__(self) -> StagedDirectory:
        if isinstance(self._directory, RemotePath):
            require_writable(self._directory)
            self.local = Path(tempfile.mkdtemp(prefix="aecli-model-"))
            try:
                with readable(self._directory):
                    self._known.update(_download(self._directory, self.local))
            except BaseException:
                shutil.rmtree(self.local, ignore_errors=True)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(self._directory, RemotePath):
            return
        if error is None:
            self._publish(self._directory)
        shutil.rmtree(self.local, ignore_errors=True)
        if isinstance(error, AecliError):
            raise self._renamed(error) from error

    def save_checkpoint(self) -> None:
        """Upload the checkpoint of a training, at most once a minute.

        Raises:
            OutputError: it cannot be written.
        """
        directory, now = self._directory, time.monotonic()
        if isinstance(directory, RemotePath) and now - self._uploaded_at >= UPLOAD_SECONDS:
            try:
                self._upload(directory, is_checkpoint_name)
            except OSError as error:
                raise output_error(directory / CHECKPOINT_DIRECTORY, error) from error
            self._uploaded_at = time.monotonic()

    def _publish(self, directory: RemotePath) -> None:
        try:
            self._upload(directory, is_stored_name)
        except OSError as error:
            failed = output_error(directory / SPEC_FILE, error)
            raise OutputError(
                failed.what, facts=[f"the model is in {self.local}"], hint=failed.hint
            ) from error

    def _upload(self, directory: RemotePath, belongs: Callable[[str], bool]) -> None:
        """Make the remote files for which `belongs` is true those on disk.

        The names of all files except `spec.json` contain their hash.
        """
        files = (path for path in self.local.rglob("*") if path.is_file())
        paths = {str(path.relative_to(self.local)): path for path in files}
        names = [name for name in paths if belongs(name)]
        present = {str(path.relative_to(directory)): path for path in directory.files_below()}
        for name in sorted(names, key=lambda name: (name == SPEC_FILE, name)):
            same = name in present and present[name].stat().st_size == paths[name].stat().st_size
            if name == SPEC_FILE or not same:
                (directory / name).upload(paths[name])
            self._known.add(name)
        with warn_after_commit(directory):
            for name in filter(belongs, self._known - paths.keys()):
                (directory / name).unlink(missing_ok=True)
            self._known &= paths.keys()

    def _renamed(self, error: AecliError) -> AecliError:
        """Return an error that names the remote directory instead of its copy."""
        old, new = str(self.local), str(self._directory)
        return type(error)(
            error.what.replace(old, new),
            facts=[fact.replace(old, new) for fact in error.facts],
            hint=error.hint and error.hint.replace(old, new),
        )


def require_writable(directory: Path) -> None:
    """Check that the server of a remote directory can be written to.

    Raises:
        OutputError: its bucket does not exist, or it is a web server.
    """
    try:
        if isinstance(directory, RemotePath):
            directory.require_writable()
    except OSError as error:
        raise output_error(directory / SPEC_FILE, error) from error


def is_checkpoint_name(name: str) -> bool:
    """Return whether a name below a model directory is that of a checkpoint."""
    folder, _, file = name.partition("/")
    return folder == CHECKPOINT_DIRECTORY and is_checkpoint(file)


def is_stored_name(name: str) -> bool:
    """Return whether a file of a model directory is kept: not its lock or a temporary file."""
    return name == SPEC_FILE or is_hashed(name) or is_checkpoint_name(name)


def _download(directory: RemotePath, local: Path) -> Iterator[str]:
    """Copy the files of a remote directory, and yield their names."""
    for path in directory.files_below():
        name = str(path.relative_to(directory))
        if is_stored_name(name):
            copy = local / name
            copy.parent.mkdir(exist_ok=True)
            with open(copy, "wb") as file:
                path.download(file)
            # The order of earlier models, and of checkpoints, is that of their times.
            changed = path.stat().st_mtime_ns
            os.utime(copy, ns=(changed, changed))
            yield name
