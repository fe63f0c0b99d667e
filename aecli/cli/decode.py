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
    running_options,
    stream_options,
)
from aecli.cli.streaming import _stream
from aecli.schema.options import ReadOptions

if TYPE_CHECKING:
    pass


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
