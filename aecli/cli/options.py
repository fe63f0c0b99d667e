"""Declare the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import click

from aecli.cli.completion import complete_directories, complete_files, complete_words
from aecli.cli.section_command import option
from aecli.engine import ENGINES
from aecli.model_directory.location import MAX_GENERATIONS
from aecli.schema import option_docs
from aecli.schema.option_docs import Option
from aecli.schema.option_types import StrictModel
from aecli.schema.read_options import ReadOptions

F = TypeVar("F", bound=Callable[..., Any])
TABLE_FORMATS = ("parquet", "csv", "tsv", "arrow", "jsonl")


def spec_options(
    *names: str, usual: Collection[str] = (), titles: Mapping[str, str] | None = None
) -> Callable[[F], F]:
    """Give a command the named options of the spec.

    Args:
        names: flat names.
        usual: those that `--help` lists; the others are rare.
        titles: other headings of sections, for commands that do not train.
    """

    def decorate(command: F) -> F:
        for name in reversed(names):
            spec = option_docs.options()[name]
            title = (titles or {}).get(spec.section, spec.section)
            command = _spec_option(spec, title, rare=name not in usual)(command)
        return command

    return decorate


def _spec_option(spec: Option, section: str, *, rare: bool) -> Callable[[F], F]:
    """Return the decorator of one option, whose value is validated with those of other layers."""
    is_flag = spec.shape == "flag"
    words = complete_words([*spec.choices, *spec.words])
    return option(
        f"{spec.flag}/--no-{spec.flag[2:]}" if is_flag else spec.flag,
        f"spec_{spec.name}", spec_name=spec.name, section=section, help=spec.help,
        rare=rare, allowed=spec.allowed, default_text=spec.default_text or spec.automatic,
        default=None, multiple=spec.shape in ("names", "scale"),
        type=None if is_flag else str, metavar=None if is_flag else spec.metavar,
        callback=_tab if spec.name == "delimiter" else None,
        shell_complete=complete_files if spec.name == "valid" else words,
    )  # fmt: skip


def _tab(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Return a tab for `\\t`, since a tab is hard to type in a shell."""
    return "\t" if value == "\\t" else value


def names_of(*sections: type[StrictModel]) -> list[str]:
    """Return the flat option names of some sections, in order."""
    return [name for section in sections for name in section.model_fields]


def data_argument(*, required: bool = True, metavar: str = "[MODEL] DATA...") -> Callable[[F], F]:
    """Give a command the tables it reads, after the directory of a model where it takes one."""
    return click.argument(
        "data", nargs=-1, metavar=metavar, required=required, shell_complete=complete_files
    )


def model_options(command: F) -> F:
    """Give a command `-m/--model` and `--tag`."""
    model = option(
        "-m", "--model", section="Model", metavar="DIR", help="Model directory.",
        default_text="AECLI_MODEL, else aecli_model", shell_complete=complete_directories,
    )  # fmt: skip
    tag = option("--tag", section="Model", metavar="TAG", help="Short for -m runs/TAG.")
    return model(tag(command))


def keep_generations_option(command: F) -> F:
    """Give a command `--keep-generations`."""
    keep = option(
        "--keep-generations", section="Model", type=click.IntRange(0, MAX_GENERATIONS), default=1,
        metavar="N", help="Number of earlier models to keep in the directory, for aecli rollback.",
        rare=True,
    )  # fmt: skip
    return keep(command)


def config_option(command: F) -> F:
    """Give a command `--config`."""
    config = option(
        "--config", section="Model", metavar="FILE", help="TOML or YAML file of these options.",
        rare=True, shell_complete=complete_files,
    )  # fmt: skip
    return config(command)


def display_options(*, quiet: bool = True) -> Callable[[F], F]:
    """Give a command `--json`, `--debug` and, with `quiet`, `-q`."""

    def decorate(command: F) -> F:
        debug = option(
            "--debug", section="Output", is_flag=True, expose_value=False, is_eager=True,
            callback=_set_debug, help="Show tracebacks, and the seconds of each phase.", rare=True,
        )  # fmt: skip
        silent = option(
            "-q", "--quiet", section="Output", is_flag=True, help="Print nothing on success."
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
        help="Rows per pass through the network.", default_text="by the width of the network",
        rare=True,
    )  # fmt: skip
    read = spec_options(*names_of(ReadOptions))
    return batch(device_options(read(command)))


def output_options(*, required: bool = True, folders: bool = False) -> Callable[[F], F]:
    """Give a command the file that it writes, and its format; with `folders` also a folder."""
    folder = "; OUT/ is a folder with a file per file of DATA" if folders else ""

    def decorate(command: F) -> F:
        output = option(
            "-o", "--output", section="Output", required=required, metavar="OUT",
            help=f"File to write, in the format of its name; - is stdout, as CSV{folder}.",
            shell_complete=complete_files,
        )  # fmt: skip
        to = option(
            "--to", section="Output", type=click.Choice(TABLE_FORMATS), metavar="NAME",
            help="Format of the output.", default_text="by the name of the file",
        )  # fmt: skip
        return output(to(command))

    return decorate


def folder_options(command: F) -> F:
    """Give a command the options of an output folder: `--resume` and `--shard`."""
    resume = option(
        "--resume", section="Output", is_flag=True, rare=True,
        help="Keep the finished files of a folder -o OUT/ that the same model wrote.",
    )  # fmt: skip
    shard = option(
        "--shard", section="Output", metavar="K/N", rare=True,
        help="Write only every Nth file of a folder -o OUT/, from the Kth.",
    )  # fmt: skip
    return resume(shard(command))


def engine_option(command: F) -> F:
    """Give a command `--engine`."""
    engine = option(
        "--engine", section="Running", type=click.Choice(ENGINES), default=ENGINES[0], rare=True,
        metavar="NAME", help="Where the files of a folder, or the trials of a search, run: local, "
        "or ray, as tasks on the cluster of RAY_ADDRESS, else on this machine.",
    )  # fmt: skip
    return engine(command)


def keep_option(command: F) -> F:
    """Give a command `--keep`."""
    keep = option(
        "--keep", section="Output", multiple=True, metavar="NAMES",
        help="Columns of DATA to copy to the output (names or globs).",
    )  # fmt: skip
    return keep(command)


def split_names(texts: Sequence[str]) -> list[str]:
    """Return the names in texts such as `name,date`."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
