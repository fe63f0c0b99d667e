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
