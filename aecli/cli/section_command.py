"""Commands whose options are grouped by section in their help and parsed into `settings`."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from aecli.cli.help import EVERY_OPTION, show_every_option
from aecli.cli.option_sources import (
    PATH_KEYS,
    OptionValue,
    Settings,
    merge,
    merge_model,
    require_known_variables,
    validate,
)
from aecli.schema.option_docs import range_text

_RANGE_STARTS = ("at ", "above ", "below ", *"0123456789")

MIN_RARE_OPTIONS = 4

MAX_BOUND_SHOWN = 10**9


class SectionOption(click.Option):
    """Option under the title of its `section` in the help, of the spec where it has a `spec_name`.

    Rare options are listed by `--help-all` only. `allowed` are the values that it takes and
    `default_text` is its default, in words, where Click does not know them.
    """

    def __init__(
        self,
        *args: Any,
        section: str,
        rare: bool = False,
        allowed: str = "",
        default_text: str = "",
        spec_name: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        self.rare = rare
        self.allowed = allowed or _allowed_text(self.type)
        self.default_text = default_text or _default_text(self.default)
        self.spec_name = spec_name

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's line of help: the sentence, the values it takes, and its default.

        Ranges of numbers, and `none` as a default, are listed by `--help-all` only.
        """
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, is_range = record[0], self.allowed.startswith(_RANGE_STARTS)
        every = ctx.meta.get(EVERY_OPTION)
        if self.secondary_opts:
            names = f"--[no-]{names[2:]}".partition(" ")[0] if every else self.opts[0]
        facts = ["required" if self.required else self.allowed if every or not is_range else ""]
        without = "none" if every and not self.is_flag and not self.required else ""
        default = self.default_text or without
        facts += [f"default: {default}" if default else ""]
        return names, " ".join([record[1], *(f"[{fact}]" for fact in facts if fact)])

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return nothing: `get_help_record` writes ranges and defaults."""
        return {}


option = partial(click.option, cls=SectionOption)
"""Declare an option under the title of its `section`, with the keywords of `click.option`."""


def _allowed_text(kind: click.ParamType[Any]) -> str:
    """Return the values that a type of Click allows: `mean, max` or `1 to 1024`."""
    if isinstance(kind, click.Choice):
        return ", ".join(map(str, kind.choices))
    if not isinstance(kind, (click.IntRange, click.FloatRange)):
        return ""
    low = -math.inf if kind.min is None else kind.min
    distant = kind.max is None or kind.max >= MAX_BOUND_SHOWN
    high = math.inf if distant or kind.max is None else kind.max
    return range_text(low, high, low_closed=not kind.min_open, high_closed=not kind.max_open)


def _default_text(default: object) -> str:
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return str(default) if plain else ""


class SectionCommand(click.Command):
    """Command whose options are grouped by section in its help and parsed into `settings`.

    `--help` lists the usual options, `--help-all` every one.

    A value of a spec option comes from the command line, else from its `AECLI_…` variable, else
    from the file that `--config` names, else from the spec's default. The command's function
    receives all of them, the config file, `data`, `model` and `tag` as one `settings: Settings`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = SectionOption(
            ["--help-all"], section="Output", is_flag=True, expose_value=False, is_eager=True,
            callback=show_every_option, help="Show every option.", hidden=not self._rare_options(),
        )  # fmt: skip
        self.params.append(every)

    def _rare_options(self) -> list[SectionOption]:
        """Return the options that `--help` leaves out: none where they are few."""
        rare = [param for param in self.params if isinstance(param, SectionOption) and param.rare]
        return rare if len(rare) >= MIN_RARE_OPTIONS else []

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; every usage error gets the context of the command."""
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
            spec_name = param.spec_name if isinstance(param, SectionOption) else ""
            if param.name is None or (not spec_name and param.name not in PATH_KEYS):
                continue
            value = ctx.params.pop(param.name)
            if ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
                flags[spec_name or param.name] = value
            names += [spec_name] if spec_name else []
        if any(param.name == "config" for param in self.params):
            require_known_variables(os.environ)
        config = _config_values(ctx)
        values = merge(names, flags=flags, environ=os.environ, config=config)
        options = validate(values)
        values |= merge(("data",), flags=flags, environ={}, config=config)
        values |= merge_model(flags=flags, environ=os.environ, config=config)
        return Settings(options, values)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usual options, or with `--help-all` one block of options per section."""
        blocks: dict[str, list[tuple[str, str]]] = {}
        every = ctx.meta.get(EVERY_OPTION)
        rare = [] if every else self._rare_options()
        for param in self.get_params(ctx):
            record = None if param in rare else param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                section = getattr(param, "section", "Output") if every else "Options"
                blocks.setdefault(section, []).append(record)
        if every:
            formatter.write_paragraph()
            formatter.write_text("Switches, which take no value, are off by default.")
        for title, records in blocks.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=24)
        if rare:
            formatter.write_paragraph()
            formatter.write_text(f"{len(rare)} more options: {ctx.command_path} --help-all")


def _config_values(ctx: click.Context) -> dict[str, OptionValue]:
    """Return the values of the file that `--config` names; the flag leaves `ctx.params`."""
    path = ctx.params.pop("config", None)
    if not path:
        return {}
    from aecli.cli.config_file import read_config
    from aecli.cli.progress import show_progress
    from aecli.remote_files.path import path_on_disk

    with show_progress(quiet=bool(ctx.params.get("quiet"))) as progress:
        return read_config(path_on_disk(path, "--config"), progress=progress)
