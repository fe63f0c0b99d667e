"""Define the command group and the program's entry point."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from aecli import __version__
from aecli.cli.calibrate import calibrate
from aecli.cli.decode import decode
from aecli.cli.encode import encode
from aecli.cli.errors import raise_on_sigterm, report_error, show_warnings
from aecli.cli.evaluate import evaluate
from aecli.cli.inspect import inspect
from aecli.cli.predict import predict
from aecli.cli.reconstruct import reconstruct
from aecli.cli.report import plot, report
from aecli.cli.rollback import rollback
from aecli.cli.sample import sample
from aecli.cli.score import score
from aecli.cli.train import train
from aecli.cli.tune import tune

_COMPLETE = "_AECLI_COMPLETE"


class CommandGroup(click.Group):
    """Group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a typical use."""
        return list(self.commands)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"aecli {__version__}")
        ctx.exit()


@click.group(
    cls=CommandGroup,
    context_settings={"max_content_width": 80, "help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def cli() -> None:
    """Train an autoencoder on any table, and use it on any other.

    \b
      aecli train data.parquet --label y --encoder 512,256,64
      aecli encode data.parquet -o latents.parquet
      aecli evaluate test.parquet

    Every training option can also be set as AECLI_NAME in the environment or
    as a key of a config file; see aecli train --help.
    """


COMMANDS = (
    train, tune, encode, reconstruct, decode, predict, score, calibrate, evaluate,
    sample, inspect, rollback, report, plot,
)  # fmt: skip

for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; no exception leaves."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    state: dict[str, bool] = {}
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with raise_on_sigterm(), warnings.catch_warnings():
            show_warnings()
            code = 0
            try:
                if instruction := os.environ.get(_COMPLETE):
                    code = shell_complete(cli, {}, "aecli", _COMPLETE, instruction)
                else:
                    with cli.make_context("aecli", args, obj=state) as ctx:
                        cli.invoke(ctx)
            except click.exceptions.NoArgsIsHelpError as error:
                print(error.format_message(), file=sys.stderr)
                code = 2
            except click.exceptions.Exit as error:
                code = error.exit_code
            sys.stdout.flush()
            return code
    except SystemExit:
        raise
    except BaseException as error:
        return report_error(error, debug=state.get("debug", False))


def _open_closed_streams() -> None:
    """Open what the caller has closed, so that no other file gets the number of a standard stream.

    Reading finds nothing, messages go nowhere, and writing a result fails.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  # as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def run() -> NoReturn:
    """Run the command line of this process, and end the process without ending the interpreter.

    A reader thread of Arrow that returns to Python while the interpreter ends aborts the process,
    after everything was said and written (https://github.com/apache/arrow/issues/34314).
    """
    _open_closed_streams()
    code = main()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
