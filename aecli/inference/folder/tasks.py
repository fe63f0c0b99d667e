"""Write the files of a folder: in a loop, or as tasks on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TypeAlias, TypeVar

from aecli.device import limited_threads, usable_cores
from aecli.engine import run_on_ray
from aecli.errors import AecliError, DataError, UsageError
from aecli.inference.folder.shards import Shard
from aecli.progress import SILENT, Progress

Written = TypeVar("Written")

WriteShard: TypeAlias = Callable[[Shard, Progress], Written]
"""Function that writes the output of one file and its record, and returns the result."""


def write_in_order(
    write: WriteShard[Written], shards: Sequence[Shard], progress: Progress
) -> Generator[tuple[str, Written | AecliError]]:
    """Yield the name of each file with its result, or the error of reading it."""
    for shard in shards:
        try:
            yield shard.name, write(shard, progress)
        except DataError as error:
            yield shard.name, error


def write_on_ray(
    write: WriteShard[Written],
    shards: Sequence[Shard],
    threads: int,
    gpus: int,
    progress: Progress,
) -> Generator[tuple[str, Written | AecliError]]:
    """Yield the name of each file with its result or error, in the order in which tasks end.

    Raises:
        UsageError: Ray cannot be used, or an option does not fit the model.
    """
    by_name = {shard.name: shard for shard in shards}
    progress.stage("writing", len(shards), "file")
    outcomes = run_on_ray(
        partial(_write, write, by_name, threads), lambda at_once: list(by_name),
        cores=usable_cores(), cpus=threads, gpus=gpus,
    )  # fmt: skip
    with closing(outcomes):
        for name, outcome in outcomes:
            if isinstance(outcome, UsageError):
                raise outcome
            progress.rows(1)
            yield name, outcome
    progress.finish()


def _write(
    write: WriteShard[Written], shards: Mapping[str, Shard], threads: int, name: str
) -> Written:
    with limited_threads(threads):
        return write(shards[name], SILENT)
