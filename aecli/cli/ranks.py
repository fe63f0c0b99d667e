"""Join the processes of a training that torchrun started, of which one shows the progress."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from aecli.distributed.environment import launch
from aecli.errors import AecliWarning, UsageError
from aecli.ranks import Ranks


@contextmanager
def joined_ranks(device: str) -> Iterator[Ranks]:
    """Yield the ranks of the training, this process by itself without a launcher.

    The command ends silently with the exit code of an error that another rank reports.
    """
    launched = launch()
    if launched is None or launched.size == 1:
        ranks = Ranks()
        ranks.is_launched = launched is not None
        yield ranks
        return
    from aecli.distributed.torch_ranks import ReportedError, connected

    if launched.rank:
        warnings.simplefilter("ignore", AecliWarning)
    try:
        with connected(launched, device) as ranks:
            yield ranks
    except ReportedError as error:
        raise click.exceptions.Exit(error.exit_code) from error


def require_one_process(command: str) -> None:
    """Raise if a launcher started several processes of a command that trains in one.

    Raises:
        UsageError: it did.
    """
    launched = launch()
    if launched is not None and launched.size > 1:
        if launched.rank:
            raise click.exceptions.Exit(UsageError.exit_code)
        raise UsageError(
            f"aecli {command} runs in one process, and a launcher started {launched.size}",
            hint=f"aecli {command} … without torchrun",
        )
