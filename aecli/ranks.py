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

    def summands(self, size: int, like: Tensor) -> Summands:
        """Return `size` numbers, with the type and device of a tensor, for many additions."""
        return Summands(like.new_zeros(size), self)


class Summands:
    """Numbers of a rank, which `add` replaces by the sums of those of all ranks."""

    def __init__(self, numbers: Tensor, ranks: Ranks) -> None:
        self.numbers = numbers
        self._ranks = ranks

    def add(self) -> None:
        """Replace the numbers by their sums, which have the same bits on each rank."""
        self._ranks.add(self.numbers)


ONE_PROCESS = Ranks()
"""A process that trains by itself."""
