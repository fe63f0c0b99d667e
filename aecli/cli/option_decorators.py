"""Make Click options of spec fields, and hand a command one validated object of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from aecli.cli.config_file import read_config
from aecli.cli.option_sources import Given, merged, target, validated
from aecli.schema import option_docs as fields
from aecli.schema.option_docs import Option
from aecli.schema.options import Section, TrainOptions

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Settings:
    """Hold what a command was given: its validated options, and where each value comes from."""

    options: TrainOptions
    given: dict[str, Given]

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the validated values of some options by flat name."""
        sections = [getattr(self.options, name) for name in TrainOptions.model_fields]
        found = {name: value for section in sections for name, value in section}
        return {name: found[name] for name in names}


class FieldType(click.ParamType[Any]):
    """Take the text as it is: the spec validates all layers alike. Completes choices in shells."""

    name = "field"

    def __init__(self, option: Option) -> None:
        self.option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text, with `\\t` as the tab that shells make hard to type."""
        return "\t" if self.option.name == "delimiter" and value == "\\t" else value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the choices that start with what is typed."""
        return [CompletionItem(c) for c in self.option.choices if c.startswith(incomplete)]


class SectionOption(click.Option):
    """Stand under its section's title in `--help`."""

    def __init__(self, *args: Any, section: str, extra: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        self.extra = extra

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's line of help: the sentence, then range and default once."""
        record = super().get_help_record(ctx)
        if record is None or not self.extra:
            return record
        return record[0], f"{record[1]}  [{self.extra}]"

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return nothing: Click's own wording of ranges and defaults would say them twice."""
        return {}


class SectionCommand(click.Command):
    """Group the options of `--help` by section, in the order in which sections first appear."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and let every usage error know which command it is about."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one block of options per section."""
        blocks: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                blocks.setdefault(getattr(param, "section", "Output"), []).append(record)
        for title, records in blocks.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=24)


def spec_options(
    *names: str, titles: Mapping[str, str] | None = None
) -> Callable[[F], Callable[..., Any]]:
    """Give a command the named options; it receives them as `settings: Settings`.

    `titles` puts other headings over sections: a pass over a table is no training.

    A value comes from the command line, else from its `AECLI_…` variable, else from the file that a
    `--config` option of the command names, else from the spec's default.
    """

    def decorate(command: F) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            ctx = click.get_current_context()
            for name in names:
                kwargs.pop(f"spec_{name}", None)
            config = read_config(Path(kwargs["config"])) if kwargs.get("config") else {}
            given = merged(names, flags=_flags(ctx, names), environ=os.environ, config=config)
            options = validated(given)
            return command(
                *args, settings=Settings(options, given | _places(ctx, config)), **kwargs
            )

        for name in reversed(names):
            option = fields.options()[name]
            title = (titles or {}).get(option.section, option.section)
            run = _click_option(option, title)(run)
        return run

    return decorate


def names_of(*sections: type[Section]) -> list[str]:
    """Return the flat option names of some sections, in order."""
    return [name for section in sections for name in section.model_fields]


def _places(ctx: click.Context, config: dict[str, Given]) -> dict[str, Given]:
    """Return what was given for `data`, `model` and `tag`, which are no options of the spec."""
    flags = {
        name: ctx.params[name]
        for name in ("data", "model", "tag")
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    data = merged(("data",), flags=flags, environ={}, config=config)
    return data | target(flags=flags, environ=os.environ, config=config)


def _flags(ctx: click.Context, names: Iterable[str]) -> dict[str, object]:
    return {
        name: ctx.params[f"spec_{name}"]
        for name in names
        if ctx.get_parameter_source(f"spec_{name}") is ParameterSource.COMMANDLINE
    }


def _click_option(option: Option, title: str) -> Callable[[F], F]:
    shared: dict[str, Any] = {
        "cls": SectionOption,
        "section": title,
        "extra": option.extra,
        "help": option.help,
        "default": None,
    }
    if option.shape == "flag":
        flags = f"{option.flag}/--no-{option.flag[2:]}"
        return click.option(flags, f"spec_{option.name}", **shared)
    return click.option(
        option.flag,
        f"spec_{option.name}",
        type=FieldType(option),
        metavar=option.metavar,
        multiple=option.shape == "names",
        **shared,
    )
