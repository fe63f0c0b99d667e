"""Exchange values between the ranks of a training by `torch.distributed`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from aecli.distributed.environment import Launch
from aecli.distributed.heartbeat import Heartbeat
from aecli.distributed.lost_ranks import LostRankError, lost_ranks
from aecli.distributed.shared_memory import shared_summands
from aecli.errors import AecliError, UsageError
from aecli.formatting import count
from aecli.ranks import Ranks, Shared, Summands

START_SECONDS = 60
"""Time in which all ranks have to start."""

PATIENCE = timedelta(days=7)
"""Time limit of an exchange: a rank may be slow. One that ended is noticed by its heartbeat."""


class ReportedError(Exception):
    """Error that another rank reports, with the exit code of this one."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of this training reports the error")
        self.exit_code = exit_code


class TorchRanks(Ranks):
    """Ranks in processes that torchrun started, connected by gloo, and by NCCL between GPUs."""

    is_launched = True

    def __init__(self, launch: Launch, closing: ExitStack) -> None:
        self.rank = launch.rank
        self.size = launch.size
        self._share_machine = launch.local_size == launch.size
        self._closing = closing

    def gather(self, value: Shared) -> list[Shared]:
        """Return the values of all ranks, in their order, on each of them."""
        values: list[Shared | None] = [None] * self.size
        with lost_ranks():
            torch.distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # none of them is missing

    def from_first(self, value: Callable[[], Shared]) -> Shared:
        """Return what rank 0 computes, on each of them; its error is raised on each of them."""
        sent: list[Shared | AecliError | None] = [None]
        if self.rank == 0:
            try:
                sent = [value()]
            except AecliError as error:
                sent = [error]
        with lost_ranks():
            torch.distributed.broadcast_object_list(sent, src=0)
        if isinstance(sent[0], AecliError):
            raise sent[0]
        return sent[0]  # type: ignore[return-value]  # rank 0 has sent it

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of those of all ranks, which has the same bits on each."""
        with lost_ranks():
            torch.distributed.all_reduce(tensor)

    def summands(self, size: int, like: Tensor) -> Summands:
        """Return `size` numbers, with the type and device of a tensor, for many additions."""
        found: Summands | None = None
        if all(self.gather(self._share_machine and like.device.type == "cpu")):
            found = shared_summands(self, size, like.dtype, self._closing)
        return found or super().summands(size, like)


@contextmanager
def connected(launch: Launch, device: str) -> Iterator[Ranks]:
    """Connect the processes of a training, and choose the GPU of this one, if there are GPUs.

    Of an error inside that several ranks raise, one rank raises it, and the others its exit code.

    Raises:
        UsageError: the machine has fewer GPUs than processes.
        LostRankError: the other processes did not start, or one of them ended.
        ReportedError: another rank raises the error.
    """
    store = _joined_store(launch)
    with _reported_once(store), lost_ranks():
        torch.distributed.init_process_group(
            _backend(launch, device), store=PrefixStore("group", store), rank=launch.rank,
            world_size=launch.size, timeout=PATIENCE,
        )  # fmt: skip
    try:
        # An error is reported before the connections are closed, which is an error of the others.
        with ExitStack() as closing, Heartbeat(store, launch), _reported_once(store):
            yield TorchRanks(launch, closing)
    finally:
        torch.distributed.destroy_process_group()


@contextmanager
def _reported_once(store: Store) -> Iterator[None]:
    """Let the first rank with an error raise it, and the others its exit code."""
    try:
        yield
    except AecliError as error:
        if not _is_reported(store, error):
            raise
        raise ReportedError(error.exit_code) from error


def _joined_store(launch: Launch) -> Store:
    """Return the store by which the ranks find each other, when all of them have joined."""
    patience = timedelta(seconds=START_SECONDS)
    try:
        store, _, _ = next(rendezvous("env://", timeout=patience))
        # The launcher's store also has the keys of the processes before a restart.
        store = PrefixStore(f"start/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        store.set(f"joined/{launch.rank}", "")
        store.wait([f"joined/{rank}" for rank in range(launch.size)], patience)
    except RuntimeError as error:
        raise LostRankError(
            f"process {launch.rank} has waited {START_SECONDS} s for the others of {launch.size}",
            facts=[str(error).splitlines()[0]],
            hint="the same command on each machine",
        ) from error
    return store


def _is_reported(store: Store, error: AecliError) -> bool:
    """Return whether another rank has raised an error before this one."""
    try:
        return int(store.add("errors", 1)) > 1
    except RuntimeError:
        # The store ended with the process that had it, after the error that all ranks have.
        return not isinstance(error, LostRankError)


def _backend(launch: Launch, device: str) -> str:
    """Choose the GPU of this process, if there are GPUs; return how the ranks are connected."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        if device.startswith("cuda:"):
            raise UsageError(
                f"--device {device} is one GPU, and each process trains on its own",
                hint="--device cuda",
            )
        return "gloo"
    found = torch.cuda.device_count()
    if launch.local_size > found:
        raise UsageError(
            f"{launch.local_size} processes on a machine with {count(found, 'GPU')}",
            hint=f"torchrun --nproc-per-node {found}, or --device cpu",
        )
    torch.cuda.set_device(launch.local_rank)
    return "cpu:gloo,cuda:nccl"
