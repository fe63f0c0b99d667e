"""Make the manual page of aecli, in roff, from its Click commands."""

from __future__ import annotations

from collections.abc import Iterator

import click

from aecli.cli.errors import CLOSED_PIPE, INTERRUPTED, TERMINATED
from aecli.cli.section_command import EVERY_OPTION, SectionOption
from aecli.errors import AecliError

SHARED_SECTIONS = ("Reading tables", "Running")
"""Sections of options that several commands have, and that the page describes once."""


def man_page(group: click.Group) -> str:
    """Return the page of a group and all its commands."""
    ctx = click.Context(group, info_name="aecli")
    ctx.meta[EVERY_OPTION] = True
    return "\n".join(_page(group, ctx)) + "\n"


def _page(group: click.Group, ctx: click.Context) -> Iterator[str]:
    yield r".\" Made by docs/generate.py from the commands."
    yield '.TH AECLI 1 "" "aecli" "User Commands"'
    yield from (".SH NAME", "aecli \\- train autoencoders on tables and apply them")
    yield from (".SH SYNOPSIS", ".B aecli", r".I COMMAND", r"[\fIOPTIONS\fR] [\fIARGUMENTS\fR]")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(group.help or "")
    yield ".SH COMMANDS"
    for name, command in group.commands.items():
        yield from _command(command, click.Context(command, ctx, info_name=name))
    yield ".SH SHARED OPTIONS"
    encode = group.commands["encode"]
    for option in _options(encode, shared=True):
        yield from _option(option, click.Context(encode, ctx, info_name="encode"))
    yield from _environment()
    yield from _exit_status()


def _command(command: click.Command, ctx: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield f'.SS "{_text(ctx.command_path)} {_text(usage)}"'
    yield from _paragraphs(command.help or "")
    for option in _options(command, shared=False):
        yield from _option(option, ctx)
    if command.name == "tune":
        yield from (".PP", _text("It also takes the options of aecli train, except --time-limit."))
    elif _options(command, shared=True):
        yield from (".PP", "Further options: see SHARED OPTIONS.")


def _options(command: click.Command, *, shared: bool) -> list[SectionOption]:
    """Return the options of a command that its own section of the page describes, or the others.

    The options of a training are described under train, and those of reading under SHARED OPTIONS.
    """
    options = [param for param in command.params if isinstance(param, SectionOption)]
    chosen = []
    for option in options:
        of_train = bool(option.spec_name) and command.name == "tune"
        is_shared = option.section in SHARED_SECTIONS and command.name not in ("train", "tune")
        if not option.hidden and not of_train and is_shared == shared:
            chosen.append(option)
    return chosen


def _option(option: SectionOption, ctx: click.Context) -> Iterator[str]:
    record = option.get_help_record(ctx)
    if record is not None:
        yield from (".TP", rf"\fB{_text(record[0])}\fR", _text(record[1]))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; those after a backspace character are examples."""
    for paragraph in text.replace("\f", "").strip().split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines()]
        if lines[0] == "\b":
            yield from (".PP", ".nf", ".RS", *map(_text, lines[1:]), ".RE", ".fi")
        else:
            yield from (".PP", _text(" ".join(lines)))


def _environment() -> Iterator[str]:
    yield from (".SH ENVIRONMENT", ".TP", r"\fBAECLI_MODEL\fR, \fBAECLI_TAG\fR")
    yield _text("Model directory, where the command line has neither -m nor --tag.")
    yield from (".TP", r"\fBAECLI_\fIOPTION\fR")
    yield _text("An option of aecli train, such as AECLI_BATCH_SIZE.")
    yield from (".TP", r"\fBNO_COLOR\fR", "No colours on a terminal.")


def _exit_status() -> Iterator[str]:
    yield from (".SH EXIT STATUS", ".TP", r"\fB0\fR", "Success.", ".TP", r"\fB1\fR", "A bug.")
    for kind in AecliError.__subclasses__():
        summary = (kind.__doc__ or "").splitlines()[0]
        yield from (".TP", rf"\fB{kind.exit_code}\fR", _text(summary))
    signals = {INTERRUPTED: "SIGINT.", CLOSED_PIPE: "The reader of a pipe left.",
               TERMINATED: "SIGTERM; train leaves a valid model."}  # fmt: skip
    for code, meaning in signals.items():
        yield from (".TP", rf"\fB{code}\fR", _text(meaning))


def _text(text: str) -> str:
    """Return text with the characters escaped that roff would read as commands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
