"""Choose the device, the threads and the precision."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from aecli.errors import AecliWarning, OutputError, UsageError
from aecli.formatting import count
from aecli.schema.network import Network

BF16_WIDTH = 256
"""Minimum width for which bf16 is chosen: narrower networks lose accuracy."""

BF16_WORK = 1 << 30
"""Minimum product of the squared width and the batch for which bf16 is chosen where each kernel is
launched by itself: below it the additional kernels, which convert to bf16, cost more than they save
(benchmarks/RESULTS.md, Training on a GPU)."""


OPERATIONS_PER_THREAD = 16_000_000
"""Minimum number of operations of a step per thread: with less the threads wait for each other."""


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is a GPU if one is available.

    Raises:
        UsageError: the device does not exist.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    available = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in available or (index and not index.isdigit()):
        raise UsageError(
            f"--device {name!r} is not a device", hint="--device auto, cpu, cuda or cuda:1"
        )
    if int(index or 0) >= available[kind]:
        raise UsageError(
            f"--device {name}: this machine has {available[kind]} {kind} devices",
            hint="--device auto",
        )
    return torch.device(name)


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads, at most that of the cores; None keeps torch's default."""
    if threads is None:
        return
    cores = usable_cores()
    if threads > cores:
        message = f"--threads {threads}: this machine has {count(cores, 'core')}, so {cores} run"
        warnings.warn(message, AecliWarning, stacklevel=2)
    torch.set_num_threads(min(threads, cores))


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def step_threads(parameters: int, rows: int, threads: int) -> int:
    """Return how many of `threads` train an MLP of dense layers on batches of `rows` rows.

    A step has 6 operations per parameter and row: a multiplication and an addition, forward and
    twice backward (Kaplan et al. 2020, table 1).
    """
    return min(threads, max(1, 6 * parameters * rows // OPERATIONS_PER_THREAD))


@contextmanager
def limited_threads(threads: int | None = None) -> Iterator[None]:
    """Compute with a number of CPU threads, and restore the former number at the end.

    None changes nothing at the start: what runs inside sets the number.
    """
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(min(threads, usable_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step instead of returning it to the system.

    Each step frees and allocates the same tensors; page faults took up to half of a step's time.
    This does nothing except on Linux with glibc.
    """
    trim_threshold, mmap_threshold = -1, -3
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)  # the maximum that glibc accepts


def return_freed_memory() -> None:
    """Return memory that is free now to the system, where glibc keeps it."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def share_heap() -> None:
    """Let threads that start later allocate from one heap, where glibc has one for each of them.

    Each heap keeps what its thread freed: threads that pass batches on took a tenth more memory.
    """
    arena_max = -8
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(arena_max, 1)


def _glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library; None if it does not have it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def require_memory(parameters: int) -> None:
    """Raise if a network cannot be trained in this machine's memory.

    Weights, gradients and an optimizer's two moments take 16 bytes per parameter. Linux overcommits
    memory, and would kill the process without a message.

    Raises:
        OutputError: the network needs more than all of the memory.
    """
    needed = 16 * parameters
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise OutputError(
            f"out of memory: a network of {parameters:,} parameters does not fit",
            facts=[
                f"training needs {needed / 1e9:,.0f} GB; this machine has {memory / 1e9:,.0f} GB"
            ],
            hint="smaller layers by --encoder and --decoder, or fewer columns by --columns",
        )


def choose_precision(
    name: str, device: torch.device, network: Network, *, batch_size: int, captured: bool = False
) -> str:
    """Return `bf16` or `fp32`; `auto` is bf16 for wide networks where it is faster.

    The rule depends on sizes and hardware alone, so that two trainings have the same precision.

    Args:
        name: the option, `auto`, `bf16` or `fp32`.
        device: where the network is trained.
        network: its sizes.
        batch_size: number of samples of a batch.
        captured: whether the steps on a GPU are repeated as CUDA graphs.

    Raises:
        UsageError: torch cannot compute this network in bf16 on this device.
    """
    if network.architecture == "lstm" and device.type == "cpu":
        if name == "bf16":
            raise UsageError(
                "--precision bf16: torch cannot compute an LSTM in bf16 on a CPU",
                hint="--precision fp32",
            )
        return "fp32"
    if name == "bf16" and device.type == "cuda" and not has_bf16(device):
        raise UsageError(
            f"--precision bf16: the device {device} cannot compute in bf16",
            hint="--precision fp32",
        )
    if name != "auto":
        return name
    widest = max(network.encoder + network.decoder)
    slow = device.type == "cuda" and not captured and widest**2 * batch_size < BF16_WORK
    return "bf16" if widest >= BF16_WIDTH and not slow and has_bf16(device) else "fp32"


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network computes in this precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def deterministic_convolutions() -> Iterator[None]:
    """Let cuDNN use algorithms only that give the same bits each time, and restore its setting."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def has_bf16(device: torch.device) -> bool:
    """Return whether a device has instructions for bf16."""
    if device.type == "cuda":
        # torch.cuda.is_bf16_supported() is about the current device, which may be another one.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8
    # Without these instructions bf16 is 100 times slower; torch has no public test for them.
    return device.type == "cpu" and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
