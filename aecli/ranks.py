"""Processes that train one model together; a process by itself is one rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Shared = TypeVar("Shared")


class Ranks:
    """The processes of a training, numbered from 0; here a process by itself.

    Every rank has to call the same methods in the same order. `is_launched` says that a launcher
    starts the processes, again after a failure.
    """

    rank = 0
    size = 1
    is_launched = False

    def gather(self, value: Shared) -> list[Shared]:
        """Return the values of all ranks, in their order, on each of them."""
        return [value]

    def from_first(self, value: Callable[[], Shared]) -> Shared:
        """Return what rank 0 computes, on each of them; its error is raised on each of them."""
        return value()

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of those of all ranks, which has the same bits on each."""


ONE_PROCESS = Ranks()
"""A process that trains by itself."""
