"""Figures and costs that several benchmarks share."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness import Row, Run

import aecli

Result = TypeVar("Result")

AECLI = [sys.executable, "-P", "-m", "aecli"]
"""Command line of the imported aecli, also where the working directory has another."""

POLL_SECONDS = 0.02
"""Seconds between two looks at the memory of a process."""


@dataclass(frozen=True)
class Trained:
    """A trained model: its folder, the result of the training, and its CPU seconds."""

    model: str
    result: Any
    seconds: float


@contextmanager
def trained(run: Run, rows: Any, **options: Any) -> Iterator[Trained]:
    """Train with the seed of a run, one epoch where it is quick; remove the model afterwards."""
    shortened = {"epochs": 1} if run.quick else {}
    with tempfile.TemporaryDirectory() as folder:
        model, began = f"{folder}/m", cpu_seconds()
        result = aecli.train(rows, model=model, **{"seed": run.seed, **options, **shortened})
        yield Trained(model, result, cpu_seconds() - began)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it started and waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def seconds_of(action: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU seconds and the seconds of a call."""
    began, cpu = time.perf_counter(), cpu_seconds()
    action()
    return cpu_seconds() - cpu, time.perf_counter() - began


def median_cpu(action: Callable[[], object], turns: int) -> float:
    """Return the median of the CPU seconds of calls."""
    return statistics.median(seconds_of(action)[0] for _ in range(turns))


def in_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a new process: `aecli.train` tunes the memory allocator of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(function, *arguments).result()


def run_aecli(*arguments: object) -> tuple[float, float, float]:
    """Run a command of aecli; return its CPU seconds, seconds and peak memory in MB."""
    return run_process([*AECLI, *map(str, arguments)])


def run_process(command: list[str], folder: Path | None = None) -> tuple[float, float, float]:
    """Run a process; return its CPU seconds, seconds and peak memory in MB.

    The peak includes the memory of the process that calls: `in_process` has one of little memory.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    seconds = time.perf_counter() - began
    return usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024


def peak_anonymous(command: list[str]) -> tuple[float, float]:
    """Run a process; return its peaks in MB of anonymous memory and of all resident memory.

    Pages of mapped files are not anonymous: the system takes them back where it needs memory. Both
    are polled in /proc/PID/status; of a process and those that it started, the largest counts.
    """
    peaks = {"RssAnon": 0, "VmHWM": 0}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        for status in statuses(process.pid):
            fields = dict(line.split(":", 1) for line in status.splitlines())
            for name in peaks:
                peaks[name] = max(peaks[name], int(fields.get(name, "0 kB").split()[0]))
        time.sleep(POLL_SECONDS)
    assert process.returncode == 0, command
    return peaks["RssAnon"] / 1024, peaks["VmHWM"] / 1024


def statuses(pid: int) -> Iterator[str]:
    """Yield /proc/PID/status of a process and of those that it started and that still run."""
    with suppress(OSError):  # it ended
        yield Path(f"/proc/{pid}/status").read_text()
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from statuses(int(child))


def of_label(found: Any) -> Row:
    """Return the figures of the classifier, if there is one."""
    head = found.classification
    return {} if head is None else {"AUROC": head.auroc, "accuracy": head.accuracy}


def of_columns(found: Any, who: str = "value") -> Row:
    """Return R², the accuracy of categories and the scaled MSE, of the model or of PCA (`pca`)."""
    suffix = "" if who == "value" else f"_{who}"
    columns = [column for column in found.columns if column.metric == "accuracy"]
    shares = [getattr(column, who) for column in columns if column.observed]
    return {
        "R²": getattr(found, f"number_r2{suffix}"),
        "categories": statistics.mean(shares) if shares else None,
        "scaled MSE": getattr(found, f"number_mse{suffix}"),
    }
