"""Choose the device, the threads and the precision."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from aecli.errors import OutputError, UsageError
from aecli.schema.network import Network

BF16_WIDTH = 256
"""Minimum width for which bf16 is chosen: narrower networks lose accuracy and gain no speed."""


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
    """Set the number of CPU threads; None keeps torch's default, all cores."""
    if threads is not None:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step instead of returning it to the system.

    Each step frees and allocates the same tensors; page faults took up to half of a step's time.
    This does nothing except on Linux with glibc.
    """
    trim_threshold, mmap_threshold = -1, -3
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)  # the maximum that glibc accepts


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


def choose_precision(name: str, device: torch.device, network: Network) -> str:
    """Return `bf16` or `fp32`; `auto` is bf16 for wide networks on hardware that supports it.

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
    if name != "auto":
        return name
    widest = max(network.encoder + network.decoder)
    return "bf16" if widest >= BF16_WIDTH and _has_bf16(device) else "fp32"


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network computes in this precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without these instructions bf16 is 100 times slower; torch has no public test for them.
    return device.type == "cpu" and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
