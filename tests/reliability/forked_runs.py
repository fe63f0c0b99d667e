"""Run commands in children forked from this process, with a limit of time and of memory."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LOOKS_PER_SECOND = 100


@dataclass(frozen=True)
class Run:
    """Result of one run: exit code, signal, peak memory, seconds and what it printed on stderr."""

    code: int | None
    signal: int | None
    peak_bytes: int
    seconds: float
    stderr: str
    timed_out: bool

    def failures(self, max_bytes: int) -> list[str]:
        """Return what must not happen, whatever the input is."""
        found = ["time-out"] if self.timed_out else []
        if self.peak_bytes > max_bytes:
            found.append("memory")
        if self.signal is not None and not found:
            found.append(f"signal {self.signal}")
        if self.code == 1 or (self.code == 6 and "out of memory" in self.stderr):
            found.append(f"exit {self.code}")
        return found


def run_forked(action: Callable[[], int], folder: Path, *, seconds: float, max_bytes: int) -> Run:
    """Run `action` in a child, which is killed after `seconds` and far above `max_bytes`.

    Args:
        action: returns the exit code.
        folder: for what the child prints.
        seconds: of CPU time; in a wait it may take ten times as much.
        max_bytes: of resident memory; the child is killed at twice as much.
    """
    output = folder / "stderr.txt"
    child = os.fork()
    if child == 0:
        _become(action, output)
    began = time.monotonic()
    timed_out, peak = False, 0
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _resident_bytes(child))
        waited = time.monotonic() - began
        timed_out = waited > 10 * seconds or _cpu_seconds(child) > seconds
        if timed_out or peak > 2 * max_bytes:
            os.kill(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            break
        time.sleep(1 / _LOOKS_PER_SECOND)
    signaled = os.WIFSIGNALED(status)
    return Run(
        code=None if signaled else os.waitstatus_to_exitcode(status),
        signal=os.WTERMSIG(status) if signaled else None,
        peak_bytes=max(peak, usage.ru_maxrss * 1024),
        seconds=time.monotonic() - began,
        stderr=output.read_text(errors="replace"),
        timed_out=timed_out,
    )


def _become(action: Callable[[], int], output: Path) -> None:
    """Run `action` with its output in a file, and end this process."""
    code = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        null = os.open(os.devnull, os.O_RDWR)
        for source, target in ((null, 0), (null, 1), (file, 2)):
            os.dup2(source, target)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = action()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process, all of its threads together."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
