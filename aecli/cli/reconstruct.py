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
