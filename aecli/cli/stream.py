"""Stream a table through a model: `aecli encode`, `reconstruct`, `predict` and `decode`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aecli.cli.arguments import (
    data_argument,
    data_of,
    manner_options,
    model_of,
    model_options,
    option,
)
from aecli.cli.options import SectionCommand, Settings, names_of, spec_options
from aecli.errors import UsageError
from aecli.spec.options import ReadOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

F = TypeVar("F", bound=Callable[..., Any])

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


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@stream_options
@option(
    "--as", "layout", section="Output", type=click.Choice(("columns", "list")), default="columns",
    metavar="NAME", help="Latent as columns z0, z1, … or as one list column z.",
    extra="columns, list; default: columns",
)  # fmt: skip
@option(
    "--with-scale", section="Output", is_flag=True,
    help="Add the standard deviations s0, s1, … of a variational latent.",
)  # fmt: skip
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@manner_options()
def encode(layout: str, with_scale: bool, **given: Any) -> None:
    """Write the latent of every row of a table.

    The rows come out in the order of DATA, with the model's identifier
    columns and those of --keep. A model trained with --window writes one
    row per window, with these columns of its last row.

    \b
      aecli encode data.parquet -o latents.parquet
      aecli encode new.csv --keep name,date -o latents.csv
      cat new.csv | aecli encode - -o - > latents.csv
    """
    _stream("encode", {"as_list": layout == "list", "with_scale": with_scale}, **given)


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@stream_options
@option(
    "--fill", section="Output", is_flag=True,
    help="Write DATA as it is, with only its missing cells filled.",
)  # fmt: skip
@option(
    "--residuals", section="Output", is_flag=True,
    help="Add NAME_residual per column: value - reconstruction, or 1 - the probability of the "
    "actual category.",
)  # fmt: skip
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@manner_options()
def reconstruct(fill: bool, residuals: bool, **given: Any) -> None:
    """Write what the model makes of every row of a table.

    Every column comes back under its own name, type and unit. With --fill
    the table stays as it is, columns that the model does not know included,
    and only the missing cells of features get the model's answer: train
    with --noise mask:0.2 for that.

    \b
      aecli reconstruct data.parquet -o restored.parquet
      aecli reconstruct holes.csv --fill -o filled.csv
    """
    _stream("reconstruct", {"fill": fill, "residuals": residuals}, **given)


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@stream_options
@option(
    "--top", section="Output", type=click.IntRange(1), metavar="K",
    help="Write the K likeliest classes, as top1_class, top1_prob, …, not every probability.",
    extra="1 to the number of classes",
)  # fmt: skip
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@manner_options()
def predict(top: int | None, **given: Any) -> None:
    """Write the class of every row, with its probability.

    The model must have been trained with --label; DATA needs no label. The
    columns are prediction and prob_CLASS for every class. A model trained
    with --window writes one row per window.

    \b
      aecli predict data.parquet -o predictions.parquet
      aecli predict new.csv --top 3 --keep name -o predictions.csv
    """
    _stream("predict", {"top": top}, **given)


@click.command(cls=SectionCommand)
@data_argument(metavar="LATENTS...")
@model_options
@stream_options
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@manner_options()
def decode(**given: Any) -> None:
    """Write the rows that latents stand for, in their own units.

    LATENTS is a table with the columns z0, z1, … or the list column z, as
    encode writes it or as you changed it. A model trained with --window
    writes a window of rows per latent, numbered in the column window.

    \b
      aecli encode data.parquet -o latents.parquet
      aecli decode latents.parquet -o rows.parquet
    """
    _stream("decode", {}, **given)


def _stream(
    name: str,
    extra: dict[str, Any],
    *,
    settings: Settings,
    output: str,
    to: str | None,
    keep: tuple[str, ...],
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
    **parsed: Any,
) -> None:
    if as_json and output == "-":
        raise UsageError("--json and -o - both want stdout", hint="-o FILE with --json")
    source, directory = data_of(settings.given, name), model_of(settings.given)
    kept = [column.strip() for names in keep for column in names.split(",") if column.strip()]
    import aecli
    from aecli.cli.display.console import stderr
    from aecli.cli.display.streams import decode_report, stream_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening

    run: Callable[..., Any] = getattr(aecli, name)
    report: Callable[[Any], RenderableType] = decode_report if name == "decode" else stream_report
    with listening(quiet=quiet) as progress:
        result = run(
            source, output, model=directory, keep=kept, to=to, batch_size=batch_size,
            read=settings.options.read, progress=progress, **settings.values(RUNNING), **extra,
        )  # fmt: skip
    if as_json:
        show(result, f"aecli.{name}/1", report, as_json=True)
    elif not quiet:
        console = stderr()
        console.print(report(result), soft_wrap=not console.is_terminal)
