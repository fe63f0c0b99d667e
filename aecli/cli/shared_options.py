"""Declare the arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import click

from aecli.cli.option_decorators import F, SectionOption, names_of, spec_options
from aecli.schema.options import ReadOptions

TABLE_FORMATS = ("parquet", "csv", "tsv", "arrow", "jsonl")


option = partial(click.option, cls=SectionOption)
"""Declare an option under the title of its `section`, with the keywords of `click.option`."""


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
