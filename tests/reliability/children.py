"""Run a function or an aecli command in a forked child, and command lines as real processes.

The parent has imported everything already, so that a child starts in milliseconds.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aecli.cli.errors import report_error, show_warnings
from aecli.cli.main import main
from tests.reliability.system_calls import Call, SystemCalls

ROOT = Path(__file__).parents[2]
TIMEOUT = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a child ended: exit code (negative: a signal), stderr, seconds, CPU seconds, calls.

    `peak` is its largest resident memory in bytes; `timed_out` says whether a limit ended it.
    """

    code: int
    err: str
    seconds: float
    cpu: float = 0.0
    calls: Sequence[Call] = ()
    peak: int = 0
    timed_out: bool = False

    @property
    def warnings(self) -> list[str]:
        """Return the lines of warnings on stderr."""
        return [line for line in self.err.splitlines() if line.startswith("aecli: warning: ")]


def fork(run: Callable[[], int], calls: SystemCalls | None = None) -> int:
    """Run a function in a forked child with these system calls; return its process id.

    Its stderr goes to the file descriptor 2 of the child, as always.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: there may be threads
        process = os.fork()
    if process:
        return process
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if calls is not None:
            calls.install()
        code = run()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


def run_child(
    run: Callable[[], int],
    calls: SystemCalls | None = None,
    *,
    kill_after: float | None = None,
    memory: int | None = None,
    cpu_seconds: float | None = None,
    most_resident: int | None = None,
) -> Outcome:
    """Run a function in a forked child, and return how it ended.

    Args:
        run: returns the exit code.
        calls: the system calls of the child.
        kill_after: seconds until it gets SIGKILL.
        memory: bytes of address space that it may allocate besides what the parent has.
        cpu_seconds: CPU time after which it is killed; waiting, it may take ten times as long.
        most_resident: bytes of resident memory above which it is killed.
    """
    with tempfile.TemporaryFile("w+") as err, tempfile.TemporaryFile("w+") as made:

        def redirected() -> int:
            os.dup2(err.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  # of the whole child
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            if memory is not None:
                _limit_memory(memory)
            code = run()
            if calls is not None:
                json.dump([(c.name, c.path, c.target, c.failed) for c in calls.calls], made)
                made.flush()
            return code

        began = time.perf_counter()
        process = fork(redirected, calls)
        limit = 10 * cpu_seconds if cpu_seconds else TIMEOUT
        seconds = limit if kill_after is None else kill_after
        code, cpu, peak, timed_out = _wait(process, seconds, cpu_seconds, most_resident)
        seconds = time.perf_counter() - began
        err.seek(0)
        made.seek(0)
        found = [Call(*call) for call in json.loads(made.read() or "[]")]
        return Outcome(code, err.read(), seconds, cpu, found, peak, timed_out)


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _wait(
    process: int, seconds: float, cpu_seconds: float | None, most_resident: int | None
) -> tuple[int, float, int, bool]:
    """Return the exit code of a child, its CPU seconds, its peak memory, and if time ended it."""
    until = time.perf_counter() + seconds
    peak, timed_out, options = 0, False, os.WNOHANG
    while True:
        ended, status, used = os.wait4(process, options)
        if ended:
            cpu, peak = used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss * 1024)
            return os.waitstatus_to_exitcode(status), cpu, peak, timed_out
        if most_resident is not None:
            peak = max(peak, resident_bytes(process))
        timed_out = time.perf_counter() > until or _cpu_above(process, cpu_seconds)
        if timed_out or (most_resident is not None and peak > most_resident):
            os.kill(process, signal.SIGKILL)
            options = 0
        else:
            time.sleep(0.001)


def _cpu_above(process: int, seconds: float | None) -> bool:
    """Return whether the threads of a process have taken more CPU time than this together."""
    if seconds is None:
        return False
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > seconds


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process; a forked child begins with that of its parent."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()


def command(*arguments: object) -> Callable[[], int]:
    """Return a function that runs `aecli` with these arguments in this process."""
    return lambda: main([str(argument) for argument in arguments])


def reported(run: Callable[[], object]) -> Callable[[], int]:
    """Return a function that calls `run` and ends as a command would."""

    def call() -> int:
        with warnings.catch_warnings():
            show_warnings()
            try:
                run()
            except BaseException as error:
                return report_error(error, debug=False)
        return 0

    return call


def aecli_process(*arguments: object, folder: Path, kill_after: float | None = None) -> Outcome:
    """Run `aecli` as a process of its own in a folder, and return how it ended."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("AECLI_")}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "aecli", *map(str, arguments)],
            cwd=folder,
            env={**known, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
        try:
            code = process.wait(TIMEOUT if kill_after is None else kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        err.seek(0)
        return Outcome(code, err.read(), time.perf_counter() - began)
