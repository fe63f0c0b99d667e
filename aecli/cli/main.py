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
from click.shell_completion import CompletionItem, shell_complete

from aecli import __version__
from aecli.cli.calibrate import calibrate
from aecli.cli.completion import complete_words
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
from aecli.cli.section_command import EVERY_OPTION, show_every_option
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


def _complete_command(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return complete_words(list(cli.commands))(ctx, param, incomplete)


@click.command("help")
@click.argument("name", required=False, metavar="[COMMAND]", shell_complete=_complete_command)
@click.option("--help-all", "every", is_flag=True, help="Show every option.")
@click.pass_context
def show_help(ctx: click.Context, name: str | None, every: bool) -> None:
    """Show the help of aecli, or of a command."""
    group_context = ctx.find_root()
    ctx.meta[EVERY_OPTION] = every
    if name is None:
        click.echo(group_context.get_help())
        return
    _, command, _ = cli.resolve_command(group_context, [name])
    assert command is not None, "another name is an error"
    click.echo(command.get_help(click.Context(command, group_context, info_name=name)))


COMMANDS = (
    train, tune, encode, reconstruct, decode, predict, score, calibrate, evaluate,
    sample, inspect, rollback, report, plot, show_help,
)  # fmt: skip

for command in COMMANDS:
    cli.add_command(command)


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
    code = main()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
