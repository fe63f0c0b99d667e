"""Make Click options of spec fields, and parse them into one validated object per command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from aecli.cli.config_file import PATH_KEYS, read_config
from aecli.cli.option_sources import OptionValue, Settings, merge, merge_model, validate
from aecli.schema import option_docs
from aecli.schema.option_docs import Option
from aecli.schema.option_types import StrictModel

F = TypeVar("F", bound=Callable[..., Any])


class SpecType(click.ParamType[Any]):
    """Text of a spec option, validated later with the other layers; completes choices in shells."""

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
    """Option under a section's title in `--help`."""

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


class SpecOption(SectionOption):
    """Flag of one option of the spec."""

    def __init__(self, param_decls: Sequence[str], *, option: Option, section: str) -> None:
        is_flag = option.shape == "flag"
        super().__init__(
            param_decls, section=section, extra=option.extra, help=option.help, default=None,
            type=None if is_flag else SpecType(option), metavar=None if is_flag else option.metavar,
            multiple=option.shape == "names",
        )  # fmt: skip
        self.option = option


class SectionCommand(click.Command):
    """Command whose options are grouped by section in `--help` and parsed into `settings`.

    A value of a spec option comes from the command line, else from its `AECLI_…` variable, else
    from the file that `--config` names, else from the spec's default. The command's function
    receives all of them, the config file, `data`, `model` and `tag` as one `settings: Settings`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and let every usage error know which command it is about."""
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if not ctx.resilient_parsing:
            ctx.params["settings"] = self._settings(ctx)
        return rest

    def _settings(self, ctx: click.Context) -> Settings:
        """Return the merged and validated settings, whose flags leave `ctx.params`."""
        flags: dict[str, object] = {}
        names: list[str] = []
        for param in self.params:
            spec_name = param.option.name if isinstance(param, SpecOption) else None
            if param.name is None or (spec_name is None and param.name not in PATH_KEYS):
                continue
            value = ctx.params.pop(param.name)
            if ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
                flags[spec_name or param.name] = value
            names += [spec_name] if spec_name else []
        config = _config_values(ctx)
        values = merge(names, flags=flags, environ=os.environ, config=config)
        options = validate(values)
        values |= merge(("data",), flags=flags, environ={}, config=config)
        values |= merge_model(flags=flags, environ=os.environ, config=config)
        return Settings(options, values)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one block of options per section, in the order in which sections first appear."""
        blocks: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                blocks.setdefault(getattr(param, "section", "Output"), []).append(record)
        for title, records in blocks.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=24)


def _config_values(ctx: click.Context) -> dict[str, OptionValue]:
    """Return the values of the file that `--config` names; the flag leaves `ctx.params`."""
    path = ctx.params.pop("config", None)
    if not path:
        return {}
    from aecli.cli.progress import show_progress

    with show_progress(quiet=bool(ctx.params.get("quiet"))) as progress:
        return read_config(Path(path), progress=progress)


def spec_options(*names: str, titles: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """Give a command the named options of the spec.

    `titles` puts other headings over sections: a pass over a table is no training.
    """

    def decorate(command: F) -> F:
        for name in reversed(names):
            option = option_docs.options()[name]
            title = (titles or {}).get(option.section, option.section)
            flag = option.flag
            if option.shape == "flag":
                flag = f"{option.flag}/--no-{option.flag[2:]}"
            command = click.option(
                flag, f"spec_{name}", cls=SpecOption, option=option, section=title
            )(command)
        return command

    return decorate


def names_of(*sections: type[StrictModel]) -> list[str]:
    """Return the flat option names of some sections, in order."""
    return [name for section in sections for name in section.model_fields]
