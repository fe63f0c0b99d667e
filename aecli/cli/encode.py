"""TODO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aecli.cli.option_decorators import SectionCommand, names_of, spec_options
from aecli.cli.shared_options import (
    RUNNING,
    TITLES,
    data_argument,
    manner_options,
    model_options,
    option,
    running_options,
    stream_options,
)
from aecli.cli.streaming import _stream
from aecli.schema.options import ReadOptions

if TYPE_CHECKING:
    pass


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
    "--with-std", section="Output", is_flag=True,
    help="Add the standard deviations s0, s1, … of a variational latent.",
)  # fmt: skip
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@manner_options()
def encode(layout: str, with_std: bool, **given: Any) -> None:
    """Write the latent of every row of a table.

    The rows come out in the order of DATA, with the model's identifier
    columns and those of --keep. A model trained with --window writes one
    row per window, with these columns of its last row.

    \b
      aecli encode data.parquet -o latents.parquet
      aecli encode new.csv --keep name,date -o latents.csv
      cat new.csv | aecli encode - -o - > latents.csv
    """
    _stream("encode", {"as_list": layout == "list", "with_std": with_std}, **given)
