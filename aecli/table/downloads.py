"""Copy remote files that are not read by ranges into a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aecli.errors import OutputError
from aecli.remote_files.path import RemotePath
from aecli.remote_files.status import RemoteFileError
from aecli.table.formats import PARQUET_MAGIC, open_file, reading

REMOTE_THREADS = 8
"""Number of remote files that are opened or copied at the same time."""


class Downloads:
    """Copies of the remote files of a table in a temporary folder, deleted with this object.

    Parquet files are read by ranges where the server supports that, and are not copied.

    Args:
        paths: the files, of which those on disk are not copied.
        format: of the files, or `auto`.

    Attributes:
        local: the copies, by the paths of their files.

    Raises:
        DataError: a file cannot be read.
        OutputError: there is not enough space for a copy.
    """

    def __init__(self, paths: Sequence[Path], format: str) -> None:
        self.local: dict[Path, Path] = {}
        self._format = format
        remote = [path for path in paths if isinstance(path, RemotePath)]
        if not remote:
            return
        self._folder = Path(tempfile.mkdtemp(prefix="aecli-download-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        threads = ThreadPoolExecutor(REMOTE_THREADS)
        try:
            copies = threads.map(self._copy, range(len(remote)), remote)
            pairs = zip(remote, copies, strict=True)
            self.local.update({path: copy for path, copy in pairs if copy})
        finally:
            threads.shutdown(cancel_futures=True)

    def _copy(self, number: int, path: RemotePath) -> Path | None:
        """Return the copy of a file; None for a file that is read by ranges."""
        with reading(str(path)):
            status = path.remote_status()
            if status.ranges and self._format in ("auto", "parquet") and _is_parquet(path):
                return None
            copy = self._folder / str(number) / path.name
            try:
                copy.parent.mkdir()
                with open(copy, "wb") as file:
                    path.download(file)
            except (FileNotFoundError, RemoteFileError):
                raise
            except OSError as error:
                raise OutputError(
                    f"cannot copy {path} into {tempfile.gettempdir()}: {error.strerror}",
                    hint="TMPDIR=/a/larger/disk aecli …",
                ) from error
        return copy


def _is_parquet(path: RemotePath) -> bool:
    with open_file(path) as file:
        return bool(file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC)
