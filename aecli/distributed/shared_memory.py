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


class SharedSummands(Summands):
    """Numbers of a process in memory that all processes of its machine share.

    gloo sends numbers through sockets, which takes ten times as long. Here sockets send one byte,
    by which the processes wait for each other, and each process adds its part of the numbers.
    """

    def __init__(self, memory: Tensor, rank: int, peers: Sequence[socket.socket]) -> None:
        """Take the memory of `(n_ranks + 1, n_numbers)`, whose last row is for the sums.

        Args:
            memory: the same memory on each rank.
            rank: the number of this process.
            peers: connections of rank 0 to all others, or the one of another rank to rank 0.
        """
        super().__init__(memory[rank], self._add_parts)
        ranks, size = len(memory) - 1, memory.shape[1]
        part = slice(size * rank // ranks, size * (rank + 1) // ranks)
        self._parts, self._sum, self._sums = memory[:-1, part], memory[-1, part], memory[-1]
        self._is_first, self._peers = rank == 0, peers

    def _add_parts(self, numbers: Tensor) -> None:
        with lost_ranks():
            self._wait_for_all()
            torch.sum(self._parts, 0, out=self._sum)
            self._wait_for_all()
        numbers.copy_(self._sums)

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


def shared_summands(ranks: Ranks, size: int, closing: ExitStack) -> SharedSummands | None:
    """Return numbers in memory that all ranks share; None where they cannot share it.

    Args:
        ranks: the processes, all of one machine.
        size: how many numbers each has.
        closing: closes the connections of the ranks.

    Raises:
        LostRankError: the process of another rank has ended.
    """
    shape = ranks.size + 1, size
    folder = ranks.from_first(lambda: _new_folder(4 * shape[0] * size))
    if folder is None:
        return None
    with ExitStack() as setup:
        if ranks.rank == 0:
            setup.callback(shutil.rmtree, folder, ignore_errors=True)
        own = setup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        memory = _opened(folder, shape, own if ranks.rank == 0 else None)
        if not all(ranks.gather(memory is not None)):
            return None
        assert memory is not None, "it is that of one of all ranks"
        with lost_ranks():
            if ranks.rank == 0:
                peers = [closing.enter_context(own.accept()[0]) for _ in range(ranks.size - 1)]
            else:
                own.connect(str(folder / SOCKET))
                peers = [closing.enter_context(own.dup())]
    return SharedSummands(memory, ranks.rank, peers)


def _new_folder(size: int) -> Path | None:
    """Return a new folder with a file of `size` bytes of memory; None if there are too few."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="aecli-", dir=MEMORY))
    except OSError:
        return None
    try:
        with (folder / NUMBERS).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return folder


def _opened(folder: Path, shape: tuple[int, int], listener: socket.socket | None) -> Tensor | None:
    """Return the memory, and let `listener` listen for the other ranks; None if this fails."""
    try:
        if listener is not None:
            listener.bind(str(folder / SOCKET))
            listener.listen(shape[0])
        numbers = torch.from_file(str(folder / NUMBERS), shared=True, size=shape[0] * shape[1])
    except (OSError, RuntimeError):
        return None
    return numbers.view(shape)
