"""Run code in another process that holds a file or a lock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from aecli.atomic_files import *
from aecli.directory_lock import *
"""


@contextmanager
def running(code: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `code` in another process with `d` as its directory, until it has printed a line."""
    command = [sys.executable, "-c", f"{HOLD}d = Path(sys.argv[1])\n{code}", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()
