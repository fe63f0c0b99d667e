"""Copy standard input to a file that leaves nothing behind, so that it can be read twice."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path

from aecli.errors import DataError, OutputError, UsageError

STDIN = "-"
_DESCRIPTORS = Path("/proc/self/fd")
_CHUNK = 1 << 20


class Spool:
    """Hold what came from standard input in a temporary file, as long as the object lives."""

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "standard input is a terminal; - reads what is piped in",
                hint="aecli … - < data.csv",
            )
        # Without a name where /proc can still open it: nothing stays even after `kill -9`.
        named = not _DESCRIPTORS.is_dir()
        make = tempfile.NamedTemporaryFile if named else tempfile.TemporaryFile
        try:
            self._file = make(prefix="aecli-stdin-")
            shutil.copyfileobj(sys.stdin.buffer, self._file, _CHUNK)
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot spool standard input into {tempfile.gettempdir()}: {error.strerror}",
                hint="TMPDIR=/a/larger/disk aecli …",
            ) from error
        weakref.finalize(self, self._file.close)
        if os.fstat(self._file.fileno()).st_size == 0:
            raise DataError("standard input is empty", hint="aecli … - < data.csv")
        self.path = Path(self._file.name) if named else _DESCRIPTORS / str(self._file.fileno())
