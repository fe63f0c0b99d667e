"""Show the help of the program or of a command: `aecli help`, `--help-all`."""

from __future__ import annotations

import click

from aecli.cli.command_group import SUMMARIES
from aecli.cli.completion import complete_words

EVERY_OPTION = "aecli.every_option"
"""Key in `Context.meta` of a help that lists every option."""


@click.command("help")
@click.argument(
    "name", required=False, metavar="[COMMAND]", shell_complete=complete_words([*SUMMARIES])
)
@click.option("--help-all", "every", is_flag=True, help="Show every option.")
@click.pass_context
def show_help(ctx: click.Context, name: str | None, every: bool) -> None:
    """Show the help of aecli, or of a command."""
    group_context = ctx.find_root()
    ctx.meta[EVERY_OPTION] = every
    if name is None:
        click.echo(group_context.get_help())
        return
    group = group_context.command
    assert isinstance(group, click.Group), "the program is a group of commands"
    _, command, _ = group.resolve_command(group_context, [name])
    assert command is not None, "another name is an error"
    click.echo(command.get_help(click.Context(command, group_context, info_name=name)))


def show_every_option(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Print the help with every option, and end the command."""
    if value and not ctx.resilient_parsing:
        ctx.meta[EVERY_OPTION] = True
        click.echo(ctx.get_help())
        ctx.exit()
