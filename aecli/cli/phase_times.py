"""Measure the seconds of each phase of a command, for `--debug`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

Clock = Callable[[], float]

START_UP = "start-up"

STATUS = Path("/proc/self/stat")

IMPORTED = time.time()


class PhaseTimes:
    """Wall and CPU seconds of the phases of a command; times of phases of the same name are added.

    The first phase is the start-up, from the start of the process.
    """

    def __init__(self, wall: Clock = time.time, cpu: Clock = time.process_time) -> None:
        self._wall, self._cpu = wall, cpu
        self._seconds: dict[str, tuple[float, float]] = {}
        self._phase = START_UP
        self._began = (_process_start(), 0.0)

    def start(self, phase: str) -> None:
        """End the current phase and start another."""
        self._end_phase()
        self._phase = phase

    def lines(self) -> list[str]:
        """End the current phase; return a table of all phases, or no line before the first."""
        self._end_phase()
        if len(self._seconds) == 1:
            return []
        times = self._seconds.values()
        total = (sum(wall for wall, _ in times), sum(cpu for _, cpu in times))
        rows = [*self._seconds.items(), ("sum", total)]
        width = max(len(name) for name, _ in rows)
        head = f"{'phase':{width}}  wall s   CPU s"
        return [head, *(f"{name:{width}} {wall:7.2f} {cpu:7.2f}" for name, (wall, cpu) in rows)]

    def _end_phase(self) -> None:
        now = self._wall(), self._cpu()
        wall, cpu = self._seconds.get(self._phase, (0.0, 0.0))
        began = self._began
        self._seconds[self._phase] = (wall + now[0] - began[0], cpu + now[1] - began[1])
        self._began = now


def _process_start() -> float:
    """Return the time at which this process began, in seconds since 1970 (man 5 proc_pid_stat).

    Without /proc, as on macOS, it is the time at which this module was imported.
    """
    if not STATUS.exists():
        return IMPORTED
    after_name = STATUS.read_text(encoding="utf-8").rpartition(")")[2]
    since_boot = int(after_name.split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
