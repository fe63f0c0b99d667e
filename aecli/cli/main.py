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
from aecli.cli.command_group import CommandGroup
from aecli.cli.errors import (
    INTERRUPTED,
    TERMINATED,
    raise_on_sigterm,
    report_error,
    show_warnings,
)
from aecli.cli.help import show_every_option, show_help
from aecli.start_up import shorten_imports

_COMPLETE = "_AECLI_COMPLETE"


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"aecli {__version__}")
        ctx.exit()


@click.group(
    cls=CommandGroup,
    context_settings={"max_content_width": 80, "help_option_names": ["-h", "--help"]},
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.option(
    "--help-all", is_flag=True, is_eager=True, expose_value=False, hidden=True,
    callback=show_every_option,
)  # fmt: skip
def cli() -> None:
    """Train an autoencoder on any table, and apply it to others.

    \b
      aecli train data.parquet --label y --encoder 512,256,64
      aecli encode data.parquet -o latents.parquet
      aecli evaluate test.parquet

    aecli help COMMAND shows the usual options of a command with examples, and
    aecli help COMMAND --help-all every option.
    """


cli.add_command(show_help)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; no exception is raised."""
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
    """Open closed standard streams, so that no other file gets their file descriptors.

    Standard input is then empty, messages are discarded, and writing a result fails.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  # open until the process ends
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def run() -> NoReturn:
    """Run the command line of this process, and exit without finalising the interpreter.

    A reader thread of Arrow that returns to Python during finalisation aborts the process,
    after everything was written (https://github.com/apache/arrow/issues/34314).
    """
    _open_closed_streams()
    shorten_imports()
    code = main()
    atexit._run_exitfuncs()
    # Standard output may be what blocked an interrupted command.
    interrupted = code in (INTERRUPTED, TERMINATED)
    for stream in (sys.stderr,) if interrupted else (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
