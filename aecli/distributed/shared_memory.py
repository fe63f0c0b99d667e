"""Sums of the numbers of all processes of one machine, in memory that they share."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from aecli.distributed.lost_ranks import lost_ranks
from aecli.ranks import Ranks, Summands

MEMORY = Path("/dev/shm")
"""Folder of files in memory, on Linux."""

NUMBERS, SOCKET = "numbers", "socket"
"""Names of the files in it: the numbers, and the socket of rank 0."""


class SharedSummands(Summands):
    """Numbers of a process in memory that all processes of its machine share.

    gloo sends numbers through sockets, which takes ten times as long. Here sockets send one byte,
    by which the processes wait for each other, and each process adds its part of the numbers.
    """

    def __init__(self, memory: Tensor, ranks: Ranks, peers: Sequence[socket.socket]) -> None:
        """Take the memory of `(n_ranks + 1, n_numbers)`, whose last row is for the sums.

        Args:
            memory: the same memory on each rank.
            ranks: the processes.
            peers: connections of rank 0 to all others, or the one of another rank to rank 0.
        """
        super().__init__(memory[ranks.rank], ranks)
        size = memory.shape[1]
        part = slice(size * ranks.rank // ranks.size, size * (ranks.rank + 1) // ranks.size)
        self._parts, self._sum, self._sums = memory[:-1, part], memory[-1, part], memory[-1]
        self._is_first, self._peers = ranks.rank == 0, peers

    def add(self) -> None:
        """Replace the numbers by their sums, which have the same bits on each rank."""
        with lost_ranks():
            self._wait_for_all()
            torch.sum(self._parts, 0, out=self._sum)
            self._wait_for_all()
        self.numbers.copy_(self._sums)

    def _wait_for_all(self) -> None:
        """Return when every rank has called this.

        Raises:
            ConnectionError: the process of another rank has ended.
        """
        if not self._is_first:
            self._send()
        for peer in self._peers:
            if not peer.recv(1):
                raise ConnectionError("a process has ended")
        if self._is_first:
            self._send()

    def _send(self) -> None:
        for peer in self._peers:
            peer.sendall(b"\0")


def shared_summands(
    ranks: Ranks, size: int, dtype: torch.dtype, closing: ExitStack
) -> SharedSummands | None:
    """Return numbers in memory that all ranks share; None where they cannot share it.

    Args:
        ranks: the processes, all of one machine.
        size: how many numbers each has.
        dtype: their type.
        closing: closes the connections of the ranks.

    Raises:
        LostRankError: the process of another rank has ended.
    """
    shape = ranks.size + 1, size
    with ExitStack() as setup:
        own = setup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        folder = ranks.from_first(
            lambda: _new_folder(shape[0] * size * dtype.itemsize, own, ranks.size, setup)
        )
        memory = None if folder is None else _opened(folder, shape, dtype)
        connected = memory is not None and (ranks.rank == 0 or _connected(own, str(folder)))
        if not all(ranks.gather(connected)):
            return None
        assert memory is not None, "it is that of one of all ranks"
        with lost_ranks():
            # All ranks are connected already, so that none is waited for.
            others = [own.accept()[0] for _ in range(1, ranks.size)] if ranks.rank == 0 else []
            peers = [closing.enter_context(peer) for peer in others or [own.dup()]]
    return SharedSummands(memory, ranks, peers)


def _new_folder(size: int, listener: socket.socket, ranks: int, setup: ExitStack) -> Path | None:
    """Return a new folder with a file of `size` bytes of memory; None if there are too few.

    `listener` listens there, and `setup` removes the folder.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="aecli-", dir=MEMORY))
        setup.callback(shutil.rmtree, folder, ignore_errors=True)
        with (folder / NUMBERS).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        listener.bind(str(folder / SOCKET))
        listener.listen(ranks)
    except OSError:
        return None
    return folder


def _opened(folder: Path, shape: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
    """Return the memory; None where it cannot be opened."""
    path, size = str(folder / NUMBERS), shape[0] * shape[1]
    try:
        return torch.from_file(path, shared=True, size=size, dtype=dtype).view(shape)
    except (OSError, RuntimeError):
        return None


def _connected(own: socket.socket, folder: str) -> bool:
    """Connect with rank 0; return whether this works."""
    try:
        own.connect(f"{folder}/{SOCKET}")
    except OSError:
        return False
    return True
