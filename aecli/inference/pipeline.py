"""Threads that read, compute and write different batches at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock, RLock
from typing import TypeVar

import pyarrow as pa
import torch

Item = TypeVar("Item")
Computed = TypeVar("Computed")

MAX_UNWRITTEN = 4
"""Maximum number of batches that are computed and not written yet."""

MAX_WAITING = 1
"""Maximum number of batches that are computed before an earlier one of them is used."""

_arrow_lock = RLock()

_of_arrow: list[int] = []
"""Arrow's number of threads before any pass that has not ended, for each of these."""

_LAST_WRITE_SECONDS = 1.0
"""Time that a write has to end after a signal; one into a pipe that no process reads never ends."""


def read_ahead(items: Iterable[Item]) -> Generator[Item]:
    """Yield the items of an iterable, which a thread computes while the caller uses earlier ones.

    One item is computed ahead. An exception of the iterable is raised after the items before it.
    """
    iterator, end = iter(items), object()
    executor = ThreadPoolExecutor(1, thread_name_prefix="read")
    try:
        following = executor.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = executor.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # `end` is the only other object
    finally:
        executor.shutdown(cancel_futures=True)


def in_threads(
    function: Callable[[Item], Computed], items: Generator[Item], threads: int
) -> Generator[Computed]:
    """Yield the result of a function for each item, in order; each thread takes the next item.

    Torch computes with one thread in each of them: its own threads wait for each other in every
    layer, and the processors that they share with other programs make all of them wait. Arrow,
    which takes a small part of the time, reads with half of the threads.
    """
    executor = ThreadPoolExecutor(threads, "compute", torch.set_num_threads, (1,))
    of_caller = torch.get_num_threads()
    taken: SimpleQueue[Future[Computed | object]] = SimpleQueue()
    taking, end = Lock(), object()

    def compute_next() -> None:
        result: Future[Computed | object] = Future()
        try:
            with taking:
                taken.put(result)
                item = next(items, end)
            computed = end if item is end else function(item)  # type: ignore[arg-type]  # not `end`
            result.set_result(computed)
        except BaseException as error:
            result.set_exception(error)
        finally:
            del result  # which the traceback of its exception keeps

    try:
        with _arrow_threads(max(1, threads // 2)):
            for _ in range(threads + MAX_WAITING):
                executor.submit(compute_next)
            while (computed := taken.get().result()) is not end:
                executor.submit(compute_next)
                yield computed  # type: ignore[misc]  # `end` is the only other object
    finally:
        executor.shutdown(cancel_futures=True)
        items.close()
        # Threads that start later have the number that was set last, in any thread.
        torch.set_num_threads(of_caller)


@contextmanager
def _arrow_threads(threads: int) -> Iterator[None]:
    """Set Arrow's number of threads, and restore it after the last pass that runs."""
    with _arrow_lock:
        _of_arrow.append(_of_arrow[0] if _of_arrow else pa.cpu_count())
        pa.set_cpu_count(threads)
    try:
        yield
    finally:
        with _arrow_lock:
            before = _of_arrow.pop()
            if not _of_arrow:
                pa.set_cpu_count(before)


@contextmanager
def write_behind(write: Callable[[Item], None]) -> Iterator[Callable[[Item], None]]:
    """Yield a function that writes items in a thread, in order, while the caller computes others.

    An exception of `write` is raised by a later call, or at the end of the block; no item is
    written after it. A signal during the block (an exception such as KeyboardInterrupt) ends it
    within a second, even if `write` is blocked.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="write")
    waiting: deque[Future[None]] = deque()
    failed = False

    def write_next(item: Item) -> None:
        nonlocal failed
        if not failed:
            failed = True
            write(item)
            failed = False

    def submit(item: Item) -> None:
        if len(waiting) == MAX_UNWRITTEN:
            waiting[0].result()
            waiting.popleft()
        waiting.append(executor.submit(write_next, item))

    try:
        yield submit
        for written in waiting:
            written.result()
    except BaseException as error:
        executor.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        wait([of for of in waiting if not of.cancelled()], _LAST_WRITE_SECONDS)
        raise
    executor.shutdown()
