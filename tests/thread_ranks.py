"""Run a function on several ranks in one process: threads that exchange pickled values."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError
from typing import TypeVar

import torch

from aecli.ranks import Ranks

Value = TypeVar("Value")

TIMEOUT = 60
"""Seconds after which a rank that waits for another one fails."""


class ThreadRanks(Ranks):
    """One of the threads that train together; values are pickled as between processes."""

    def __init__(self, rank: int, size: int, barrier: Barrier, values: list[bytes]) -> None:
        self.rank = rank
        self.size = size
        self._barrier = barrier
        self._values = values

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all ranks, in their order, on each of them."""
        self._values[self.rank] = pickle.dumps(value)
        self._barrier.wait(TIMEOUT)
        values: list[Value] = [pickle.loads(part) for part in self._values]
        self._barrier.wait(TIMEOUT)
        return values

    def from_first(self, value: Callable[[], Value]) -> Value:
        """Return what rank 0 computes, on each of them."""
        first: Value = self.gather(value() if self.rank == 0 else None)[0]  # type: ignore[assignment]
        return first

    def add(self, tensor: torch.Tensor) -> None:
        """Replace a tensor by the sum of those of all ranks."""
        tensor.copy_(torch.stack(self.gather(tensor.detach().clone())).sum(0))


def on_ranks(size: int, function: Callable[[Ranks], Value]) -> list[Value]:
    """Return what a function returns on each of `size` ranks; raise what the first one raises."""
    barrier = Barrier(size)
    values = [b""] * size

    def run(rank: int) -> Value:
        try:
            return function(ThreadRanks(rank, size, barrier, values))
        except BaseException:
            barrier.abort()  # the others wait for this rank
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(run, rank) for rank in range(size)]
    errors = [future.exception() for future in futures]
    for error in sorted(filter(None, errors), key=lambda e: isinstance(e, BrokenBarrierError)):
        raise error
    return [future.result() for future in futures]
