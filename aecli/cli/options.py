"""Declare the options of commands, and parse them into one validated object per command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from aecli.cli.config_file import PATH_KEYS, read_config
from aecli.cli.option_sources import (
    OptionValue,
    Settings,
    merge,
    merge_model,
    require_known_variables,
    validate,
)
from aecli.model_directory.generations import MOST_GENERATIONS
from aecli.schema import option_docs
from aecli.schema.option_docs import Option
from aecli.schema.option_types import StrictModel
from aecli.schema.read_options import ReadOptions

F = TypeVar("F", bound=Callable[..., Any])
TABLE_FORMATS = ("parquet", "csv", "tsv", "arrow", "jsonl")


class SectionOption(click.Option):
    """Option under a section's title in `--help`, of the spec where it has a `spec_name`."""

    def __init__(
        self, *args: Any, section: str, extra: str = "", spec_name: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        self.extra = extra
        self.spec_name = spec_name

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's line of help: the sentence, then range and default once."""
        record = super().get_help_record(ctx)
        if record is None or not self.extra:
            return record
        return record[0], f"{record[1]}  [{self.extra}]"

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return nothing: Click's own wording of ranges and defaults would say them twice."""
        return {}


option = partial(click.option, cls=SectionOption)
"""Declare an option under the title of its `section`, with the keywords of `click.option`."""


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
            spec = option_docs.options()[name]
            title = (titles or {}).get(spec.section, spec.section)
            command = _spec_option(spec, title)(command)
        return command

    return decorate


def _spec_option(spec: Option, section: str) -> Callable[[F], F]:
    """Return the decorator of one option, whose text is validated later with the other layers."""
    is_flag = spec.shape == "flag"
    return option(
        f"{spec.flag}/--no-{spec.flag[2:]}" if is_flag else spec.flag,
        f"spec_{spec.name}", spec_name=spec.name, section=section, help=spec.help,
        extra=spec.extra, default=None, multiple=spec.shape == "names",
        type=None if is_flag else str, metavar=None if is_flag else spec.metavar,
        callback=_tab if spec.name == "delimiter" else None,
        shell_complete=lambda ctx, param, typed: [c for c in spec.choices if c.startswith(typed)],
    )  # fmt: skip


def _tab(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Return a tab for `\\t`: shells make a tab hard to type."""
    return "\t" if value == "\\t" else value


def names_of(*sections: type[StrictModel]) -> list[str]:
    """Return the flat option names of some sections, in order."""
    return [name for section in sections for name in section.model_fields]


def data_argument(*, required: bool = True, metavar: str = "DATA...") -> Callable[[F], F]:
    """Give a command the tables it reads; a config file may name those of `train` instead."""
    return click.argument("data", nargs=-1, metavar=metavar, required=required)


def model_options(command: F) -> F:
    """Give a command `-m/--model` and `--tag`."""
    model = option(
        "-m", "--model", section="Model", metavar="DIR", help="Model directory.",
        extra="default: AECLI_MODEL, else aecli_model",
    )  # fmt: skip
    tag = option("--tag", section="Model", metavar="TAG", help="Short for -m runs/TAG.")
    return model(tag(command))


def keep_generations_option(command: F) -> F:
    """Give a command `--keep-generations`."""
    keep = option(
        "--keep-generations", section="Model", type=click.IntRange(0, MOST_GENERATIONS), default=1,
        metavar="N", help="Earlier models that stay in the directory, for aecli rollback.",
        extra=f"0 to {MOST_GENERATIONS}; default: 1",
    )  # fmt: skip
    return keep(command)


def config_option(command: F) -> F:
    """Give a command `--config`."""
    config = option(
        "--config", section="Model", metavar="FILE", help="TOML or YAML file of these options."
    )
    return config(command)


def display_options(*, quiet: bool = True) -> Callable[[F], F]:
    """Give a command `--json`, `--debug` and, unless its point is to print, `-q`."""

    def decorate(command: F) -> F:
        debug = option(
            "--debug", section="Output", is_flag=True, expose_value=False, is_eager=True,
            callback=_set_debug, help="Show tracebacks.",
        )  # fmt: skip
        silent = option(
            "-q", "--quiet", section="Output", is_flag=True, help="Say nothing on success."
        )
        as_json = option(
            "--json", "as_json", section="Output", is_flag=True,
            help="Print the result as one JSON object.",
        )  # fmt: skip
        decorated = debug(command)
        return as_json(silent(decorated) if quiet else decorated)

    return decorate


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        ctx.ensure_object(dict)["debug"] = True
    return value


def device_options(command: F) -> F:
    """Give a command `--device` and `--threads`."""
    return spec_options("device", "threads", titles={"Training": "Running"})(command)


def pass_options(command: F) -> F:
    """Give a command the options of a pass over a table: batch size, device, reading."""
    batch = option(
        "--batch-size", section="Running", type=click.IntRange(1, 1_048_576), metavar="N",
        help="Rows per pass through the network; chosen by width unless given.",
        extra="1 to 1048576",
    )  # fmt: skip
    read = spec_options(*names_of(ReadOptions))
    return batch(device_options(read(command)))


def output_options(command: F) -> F:
    """Give a command where to write, and in which format."""
    output = option(
        "-o", "--output", section="Output", required=True, metavar="OUT", extra="required",
        help="File to write, its format by its name; - is stdout, as CSV.",
    )  # fmt: skip
    to = option(
        "--to", section="Output", type=click.Choice(TABLE_FORMATS), metavar="NAME",
        help="Format to write, whatever the name.", extra=", ".join(TABLE_FORMATS),
    )  # fmt: skip
    return output(to(command))


def keep_option(command: F) -> F:
    """Give a command the columns of its input that it copies to its output."""
    keep = option(
        "--keep", section="Output", multiple=True, metavar="NAMES",
        help="Columns to carry along (names or globs).",
    )  # fmt: skip
    return keep(command)


def split_names(texts: Sequence[str]) -> list[str]:
    """Return the names in texts such as `name,date`."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
