"""Where the tasks of a command run: in its process, or on a Ray cluster.

The cluster is that of `RAY_ADDRESS`, else one on this machine.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import islice
from typing import Any, BinaryIO, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from aecli.errors import AecliError, AecliWarning, OutputError, UsageError
from aecli.start_up import shorten_imports

Computed = TypeVar("Computed")

Engine = Literal["local", "ray"]

ENGINES: tuple[Engine, ...] = get_args(Engine)

MAX_RETRIES = 3
"""How often a task is repeated whose process was killed."""

MAX_SUBMITTED = 1_000
"""Maximum number of tasks that run or wait for a processor."""

CANCEL_SECONDS = 20.0
"""Time that cancelled tasks have to remove incomplete files, before they are killed."""

CONNECT_SECONDS = 10.0

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_task_oom_retries": str(MAX_RETRIES),
}
_ENVIRONMENT_OF_ONE_MACHINE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",
}
"""Lets a cluster of one machine listen on the loopback interface only, on every system, and its
processes have the priority of the command instead of niceness 15."""

_ENVIRONMENT_OF_A_CLUSTER = {
    "RAY_NUM_REDIS_GET_RETRIES": "1",
    "RAY_py_gcs_connect_timeout_s": str(int(CONNECT_SECONDS / 2)),
}
"""Without these Ray asks a server that refuses it 20 times, one without answers for 15 minutes."""

_LOGGED = re.compile(r"\] \w+\.\w+:\d+: +(.*)")
"""Message of a line that Ray's libraries write to stderr."""


def require_engine(name: str) -> Engine:
    """Return an engine by its name.

    Raises:
        UsageError: it does not exist, Ray is not installed, or its cluster does not answer.
    """
    if name == "local":
        return "local"
    if name != "ray":
        raise UsageError(f"--engine {name}: must be {' or '.join(ENGINES)}", hint="--engine ray")
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:  # a folder with this name has no origin
        raise UsageError(
            "--engine ray needs Ray, which is not installed", hint="pip install 'aecli[ray]'"
        )
    if address := _address():
        _require_port(address)
    return "ray"


def run_on_ray(
    function: Callable[[str], Computed],
    names: Callable[[int], Sequence[str]],
    *,
    cores: int,
    cpus: int,
    gpus: int = 0,
    may_continue: Callable[[], bool] = lambda: True,
) -> Generator[tuple[str, Computed | AecliError]]:
    """Yield each name with the result of a function, or its error, in the order in which they end.

    A task whose process is killed is repeated. Tasks that have not ended are cancelled where the
    caller closes the iterator or gets an exception, such as KeyboardInterrupt.

    Args:
        function: called in a process of the cluster, which has the same aecli.
        names: returns its arguments, one per task, for the number of tasks that run at once.
        cores: processors of a cluster on this machine.
        cpus: processors that each task uses, at most those of the largest machine.
        gpus: GPUs that each task uses.
        may_continue: called every second; the tasks are cancelled if it returns False.

    Raises:
        UsageError: the cluster cannot be used.
    """
    with _connected(cores) as (ray, is_own):
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes()]
        cpus = min(cpus, max(machines, default=0) or cpus)
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=MAX_RETRIES)(_call)
        call = partial(task.remote, [ray.put(function)], os.getcwd(), is_own)
        at_once = sum(machine // cpus for machine in machines)
        waiting, pending = iter(names(max(at_once, 1))), dict[Any, str]()
        try:
            while True:
                for name in islice(waiting, MAX_SUBMITTED - len(pending)):
                    pending[call(name)] = name
                if not pending:
                    return
                ended, _ = ray.wait(list(pending), timeout=1.0)
                for reference in ended:
                    name = pending.pop(reference)
                    yield name, _outcome(ray, reference, name)
                if not may_continue():
                    return
        finally:
            _cancel(ray, list(pending))


def _call(stored: Sequence[Any], folder: str, is_own: bool, name: str) -> tuple[Any, list[str]]:
    """Call a function in a process of the cluster; return its result and its warnings.

    Args:
        stored: the reference of the function, which a process loads once for all of its tasks.
        folder: the current folder of the command.
        is_own: whether the process runs no other tasks.
        name: the argument.
    """
    function = _loaded(stored[0], is_own)
    with suppress(OSError):  # relative paths are relative to the folder of the command
        os.chdir(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=AecliWarning)
        try:
            outcome = function(name)
        except AecliError as error:
            outcome = error
    return outcome, [str(warning.message) for warning in caught]


@lru_cache(maxsize=1)
def _loaded(reference: Any, is_own: bool) -> Callable[[str], Any]:
    """Return the function behind a reference; it may have to import torch."""
    import ray

    if is_own:
        shorten_imports()
    function: Callable[[str], Any] = ray.get(reference)
    return function


def _outcome(ray: Any, reference: Any, name: str) -> Any:
    """Return the result of a task that ended, or the error by which it failed."""
    try:
        outcome, messages = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, ray.exceptions.RaySystemError):
            raise error.cause from error
        raise UsageError(
            "--engine ray: the processes of the cluster cannot load the task",
            facts=str(error.cause).splitlines()[:1],
            hint="the same aecli on every machine of the cluster",
        ) from error
    except ray.exceptions.RayError as error:
        return OutputError(
            f"{name}: its process was killed {MAX_RETRIES + 1} times",
            facts=[str(error).splitlines()[0]],
            hint="--threads with more processors per task, so that fewer tasks share the memory",
        )
    for message in messages:
        warnings.warn(message, AecliWarning, stacklevel=2)
    return outcome


def _cancel(ray: Any, references: list[Any]) -> None:
    """Interrupt tasks, and kill those that do not end."""
    for force in (False, True):
        for reference in references:
            # A signal is often noticed when a task ends, and Ray aborts a process that cancels it.
            if _unfinished(ray, [reference], 0.0):
                ray.cancel(reference, force=force)
        references = _unfinished(ray, references, CANCEL_SECONDS)


def _unfinished(ray: Any, references: list[Any], seconds: float) -> list[Any]:
    """Return the tasks that have not ended after some seconds."""
    if not references:
        return []
    _, unfinished = ray.wait(references, num_returns=len(references), timeout=seconds)
    return list(unfinished)


@contextmanager
def _connected(cores: int) -> Iterator[tuple[Any, bool]]:
    """Yield Ray, connected to a cluster, and whether the connection is made and ended here.

    If there is no cluster, it is one of this process.
    """
    with _own_signals():
        ray = _imported_ray()
        connected = ray.is_initialized()
        if not connected:
            _connect(ray, cores)
    if connected:
        yield ray, False
        return
    # Ray prints messages on killed processes to stdout, and has no option against it.
    ray._private.worker._worker_logs_enabled = False
    try:
        yield ray, True
    finally:
        ray.shutdown()
        ray._private.worker._worker_logs_enabled = True


def _connect(ray: Any, cores: int) -> None:
    address = _address()
    local = {} if address else {"num_cpus": cores, "include_dashboard": False}
    with tempfile.TemporaryFile() as messages:
        try:
            with _redirected_stderr(messages):
                ray.init(
                    address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **local
                )
        except Exception as error:  # also of class Exception itself
            messages.seek(0)
            logged = _LOGGED.findall(messages.read().decode(errors="replace"))
            raise _unusable(address, error, logged[-1:]) from error


@contextmanager
def _redirected_stderr(file: BinaryIO) -> Iterator[None]:
    """Write messages on stderr to a file, such as those of Ray's libraries while it connects."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _address() -> str | None:
    """Return the address of the cluster to use; None for one of this process."""
    address = os.environ.get("RAY_ADDRESS")
    return None if address in ("", "local") else address


def _require_port(address: str) -> None:
    """Raise if no process listens at an address, to which Ray would try to connect forever.

    Raises:
        UsageError: the address is wrong, or nothing listens there.
    """
    try:
        url = urlsplit("//" + address.removeprefix("ray://"))
        if url.port is not None:
            socket.create_connection((url.hostname, url.port), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _unusable(address, error) from error


def _unusable(address: str | None, error: Exception, logged: Sequence[str] = ()) -> UsageError:
    where = f"RAY_ADDRESS={address}" if address else "a Ray cluster on this machine"
    hint = "ray status" if address else "the command without --engine"
    if any("Unauthenticated" in line for line in logged):
        hint = "RAY_AUTH_MODE=token RAY_AUTH_TOKEN=…, with the token of the cluster"
    return UsageError(
        f"--engine ray: {where} cannot be used",
        facts=[*(str(error) or type(error).__name__).splitlines()[:1], *logged],
        hint=hint,
    )


def _imported_ray() -> Any:
    more = _ENVIRONMENT_OF_A_CLUSTER if _address() else _ENVIRONMENT_OF_ONE_MACHINE
    for name, value in {**_ENVIRONMENT, **more}.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the handlers of signals, of which Ray replaces that of SIGTERM when imported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
