"""Capture functions as CUDA graphs, which repeat their kernels without the cost of launching each.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs describes what a graph may contain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE

REPLAYS_AHEAD = 2
"""Replays that the device may be behind, so that time limits and signals are noticed soon."""

_FAILED: list[torch.cuda.CUDAGraph] = []
"""Graphs whose capture failed: torch's allocator keeps a pointer to them."""


@contextmanager
def side_stream(device: torch.device) -> Iterator[None]:
    """Run what follows on a stream that can be captured; the default stream cannot."""
    if device.type != "cuda":
        yield
        return
    outer = torch.cuda.current_stream(device)
    inner = torch.cuda.Stream(device)
    inner.wait_stream(outer)
    with torch.cuda.stream(inner):
        yield
    outer.wait_stream(inner)


def copying_stream(device: torch.device, written: Iterable[Tensor]) -> torch.cuda.Stream | None:
    """Return a stream for copies to tensors, which another stream reads; None on a CPU."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))  # which may still use their memory
    for tensor in written:
        tensor.record_stream(stream)
    return stream


def memory_pool(device: torch.device) -> _POOL_HANDLE | None:
    """Return memory that graphs share, none of which reads what another one leaves there."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def capture(
    function: Callable[[], None], device: torch.device, pool: _POOL_HANDLE | None
) -> Callable[[], None]:
    """Return a function that repeats on the device what `function` does, without running it now.

    It must have run on the current stream before, because libraries allocate memory in the first
    calls. All tensors that it reads and writes keep their addresses. Random numbers are those that
    torch's generator of the device would draw next. On a CPU `function` itself is returned.

    Raises:
        RuntimeError: it cannot be captured; nothing has changed, and it can be run instead.
    """
    if device.type != "cuda":
        return function
    graph = torch.cuda.CUDAGraph()
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    unused = generator.clone_state()
    stream = torch.cuda.current_stream(device)
    try:
        # Only this thread must do nothing that a capture forbids: another may copy the next rows.
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            function()
    except Exception as error:
        # A capture that fails leaves its mark on the generator, which then refuses to draw.
        generator.graphsafe_set_state(unused)
        _FAILED.append(graph)
        torch.cuda.empty_cache()
        raise RuntimeError(_first_error(error)) from error
    return _paced(graph.replay)


def obstacle(network: nn.Module) -> str | None:
    """Return why a graph cannot contain the network; None if it can.

    cuDNN draws the dropout of an LSTM from a state in memory, which seeding replaces: a graph would
    keep the first one, and a resumed training would have other random numbers.
    """
    drops = any(isinstance(part, nn.RNNBase) and part.dropout for part in network.modules())
    return "dropout between LSTM layers has random numbers of its own" if drops else None


def _paced(replay: Callable[[], None]) -> Callable[[], None]:
    """Return a function that first waits until at most `REPLAYS_AHEAD` replays are unfinished."""
    ends = deque(torch.cuda.Event() for _ in range(REPLAYS_AHEAD))

    def run() -> None:
        ends[0].synchronize()
        replay()
        ends[0].record()
        ends.rotate(-1)

    return run


def _first_error(error: BaseException) -> str:
    """Return the first line of the error that made a capture fail, not of what followed from it."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]
