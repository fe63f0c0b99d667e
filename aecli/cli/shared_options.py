"""Declare the arguments and flags that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aecli.cli.option_decorators import SectionOption
from aecli.cli.option_sources import Given
from aecli.errors import UsageError

if TYPE_CHECKING:
    pass


F = TypeVar("F", bound=Callable[..., Any])


def data_argument(*, required: bool = True, metavar: str = "DATA...") -> Callable[[F], F]:
    """Give a command the tables it reads; `train` may find them in its config file instead."""
    return click.argument("data", nargs=-1, metavar=metavar, required=required)


def option(*flags: str, section: str, **settings: Any) -> Callable[[F], F]:
    """Declare an option by hand, under a section's title."""
    return click.option(*flags, cls=SectionOption, section=section, **settings)


def model_options(command: F) -> F:
    """Give a command `-m/--model` and `--tag`."""
    model = option(
        "-m",
        "--model",
        section="Model",
        metavar="DIR",
        help="Model directory.",
        extra="default: AECLI_MODEL, else aecli_model",
    )
    tag = option("--tag", section="Model", metavar="TAG", help="Short for -m runs/TAG.")
    return model(tag(command))


def manner_options(*, quiet: bool = True) -> Callable[[F], F]:
    """Give a command `--json`, `--debug` and, unless its point is to print, `-q`."""

    def decorate(command: F) -> F:
        debug = option(
            "--debug",
            section="Output",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_debug,
            help="Show tracebacks.",
        )
        silent = option(
            "-q", "--quiet", section="Output", is_flag=True, help="Say nothing on success."
        )
        machine = option(
            "--json",
            "as_json",
            section="Output",
            is_flag=True,
            help="Print the result as one JSON object.",
        )
        decorated = debug(command)
        return machine(silent(decorated) if quiet else decorated)

    return decorate


def model_of(given: dict[str, Given]) -> Path:
    """Return the model directory that was asked for.

    Raises:
        UsageError: `model` and `tag` were both given.
    """
    from aecli.model_directory import model_directory

    values = {name: given[name].value for name in ("model", "tag") if name in given}
    model, tag = values.get("model"), values.get("tag")
    return model_directory(
        None if model is None else os.fspath(str(model)), None if tag is None else str(tag)
    )


def data_of(given: dict[str, Given], command: str) -> str | list[str]:
    """Return the tables that were asked for: one name, or several.

    Raises:
        UsageError: there are none.
    """
    value = given["data"].value if "data" in given else ()
    paths = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    if not paths:
        raise UsageError(
            f"{command} needs a table: no DATA was given",
            hint=f"aecli {command} data.parquet",
        )
    return paths[0] if len(paths) == 1 else paths


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        ctx.ensure_object(dict)["debug"] = True
    return value


FORMATS = ("parquet", "csv", "tsv", "arrow", "jsonl")
RUNNING = ("device", "threads")
TITLES = {"Training": "Running"}


def running_options(command: F) -> F:
    """Give a command `--batch-size` for rows per pass through the network."""
    batch = option(
        "--batch-size",
        section="Running",
        type=click.IntRange(1, 1_048_576),
        metavar="N",
        help="Rows per pass through the network; chosen by width unless given.",
        extra="1 to 1048576",
    )
    return batch(command)


def output_options(command: F) -> F:
    """Give a command where to write, and in which format."""
    output = option(
        "-o", "--output", section="Output", required=True, metavar="OUT", extra="required",
        help="File to write, its format by its name; - is stdout, as CSV.",
    )  # fmt: skip
    to = option(
        "--to", section="Output", type=click.Choice(FORMATS), metavar="NAME",
        help="Format to write, whatever the name.", extra=", ".join(FORMATS),
    )  # fmt: skip
    return output(to(command))


def stream_options(command: F) -> F:
    """Give a command where to write, in which format, and which columns to carry along."""
    keep = option(
        "--keep", section="Output", multiple=True, metavar="NAMES",
        help="Columns to carry along (names or globs).",
    )  # fmt: skip
    return output_options(keep(command))
