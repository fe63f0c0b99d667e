"""Notice that the process of another rank has ended or stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from aecli.distributed.environment import Launch

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

BEAT_SECONDS = 5.0

SILENT_SECONDS = 40.0
"""Time without a heartbeat after which a process counts as ended."""


class Heartbeat:
    """Thread that tells the other ranks that this one runs, and watches the next one.

    A process waits for others without a time limit, since any of them may be slow, and a machine
    that is switched off closes no connection. So the process ends here if the next rank is silent.
    """

    def __init__(self, store: Store, launch: Launch) -> None:
        self._store = store
        self._own, self._next = (
            f"heartbeat/{rank % launch.size}" for rank in (launch.rank, launch.rank + 1)
        )
        self._watched = (launch.rank + 1) % launch.size
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._store.set(self._own, "0")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join(BEAT_SECONDS)

    def _run(self) -> None:
        last, since, beats = b"", time.monotonic(), 0
        while not self._stopped.wait(BEAT_SECONDS):
            beats += 1
            try:
                self._store.set(self._own, str(beats))
                beat = self._store.get(self._next)
            except RuntimeError:  # the launcher has ended
                beat = last
            if beat != last:
                last, since = beat, time.monotonic()
            elif time.monotonic() - since > SILENT_SECONDS:
                self._end()

    def _end(self) -> None:
        """End the process, whose main thread may wait in an exchange that nothing interrupts."""
        print(
            f"aecli: error: process {self._watched} of this training has not answered for "
            f"{SILENT_SECONDS:.0f} s\n  try: the same command with --resume",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        os._exit(1)
