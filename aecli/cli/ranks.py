"""Join the processes of a training that torchrun started, of which one shows the progress."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from aecli.cli.errors import Terminated
from aecli.cli.section_command import SectionCommand
from aecli.distributed.environment import launch
from aecli.errors import AecliWarning, UsageError
from aecli.ranks import Ranks

REPORT_SECONDS = 10.0
"""Time after which a process with an error that another one prints ends without its launcher."""


class LaunchedCommand(SectionCommand):
    """Command that a launcher may start in several processes, of which one prints usage errors."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; the first process of each machine prints an error."""
        with printed_once():
            return super().parse_args(ctx, args)


@contextmanager
def printed_once() -> Iterator[None]:
    """Let the first process of each machine raise a usage error, and the others its exit code.

    Before they are joined, the processes of a machine have the same command line, environment and
    files. The others end last, because a launcher ends all processes once one of them has ended.
    """
    try:
        yield
    except (click.UsageError, UsageError) as error:
        if _is_first_of_machine():
            raise
        with suppress(Terminated):
            time.sleep(REPORT_SECONDS)
        raise click.exceptions.Exit(UsageError.exit_code) from error


def _is_first_of_machine() -> bool:
    try:
        launched = launch()
    except UsageError:  # the launch itself is wrong
        return True
    return launched is None or launched.local_rank == 0


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
        with printed_once():
            raise UsageError(
                f"aecli {command} runs in one process, and a launcher started {launched.size}",
                hint=f"aecli {command} … without torchrun",
            )
