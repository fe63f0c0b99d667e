"""Score the rows of a table: `aecli score`."""

from __future__ import annotations

from typing import Any

import click

from aecli.cli.option_decorators import SectionCommand, Settings, names_of, spec_options
from aecli.cli.shared_options import (
    RUNNING,
    TITLES,
    data_argument,
    data_of,
    manner_options,
    model_of,
    model_options,
    option,
    running_options,
    stream_options,
)
from aecli.errors import UsageError
from aecli.schema.model_spec import AGGREGATES
from aecli.schema.options import ReadOptions

CHOSEN = ("threshold", "explain", "detail", "aggregate", "score_unit", "to", "batch_size")


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--threshold", section="Scores", default="auto", metavar="VALUE",
    help="Score above which a row is an outlier: auto, a percentile of held-out rows as in p99.5, "
    "a false positive rate as in fpr:0.01, or a score.",
    extra="default: auto",
)  # fmt: skip
@option(
    "--explain", section="Scores", type=click.IntRange(0, 1000), default=3, metavar="K",
    help="Name the K columns that make a row odd.", extra="0 to 1000; default: 3",
)  # fmt: skip
@option(
    "--aggregate", section="Scores", type=click.Choice(AGGREGATES), default="mean", metavar="NAME",
    help="How the columns' errors count: their mean, the largest, or the mean of the largest 3.",
    extra=f"{', '.join(AGGREGATES)}; default: mean",
)  # fmt: skip
@option(
    "--score-unit", section="Scores", type=click.Choice(("window", "row")), default="window",
    metavar="NAME", help="Where the model encodes windows: a score per window or per row.",
    extra="window, row; default: window",
)  # fmt: skip
@stream_options
@option(
    "--detail", section="Output", is_flag=True,
    help="Add every column's value, reconstruction and error.",
)  # fmt: skip
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@manner_options()
def score(
    settings: Settings, output: str, keep: tuple[str, ...], as_json: bool, quiet: bool, **given: Any
) -> None:
    """Write how odd every row is, and which columns make it so.

    An ordinary row scores about 1. The rows come out in the order of DATA,
    with the model's identifier columns and those of --keep. A model trained
    with --window writes one row per window, or with --score-unit row every row.

    \b
      aecli score new.parquet -o scores.parquet
      aecli score new.csv --threshold fpr:0.01 --explain 5 -o -
      aecli score new.parquet --detail --keep name -o why.parquet
    """
    if as_json and output == "-":
        raise UsageError("--json and -o - both want stdout", hint="-o FILE with --json")
    source, directory = data_of(settings.given, "score"), model_of(settings.given)
    kept = [column.strip() for names in keep for column in names.split(",") if column.strip()]
    from aecli.cli.display.widgets import stderr
    from aecli.cli.display.written import score_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening
    from aecli.scoring.score import score as run

    with listening(quiet=quiet) as progress:
        result = run(
            source, output, model=directory, keep=kept, read=settings.options.read,
            progress=progress, **settings.values(RUNNING), **{name: given[name] for name in CHOSEN},
        )  # fmt: skip
    if as_json:
        show(result, "aecli.score/1", score_report, as_json=True)
    elif not quiet:
        console = stderr()
        console.print(score_report(result), soft_wrap=not console.is_terminal)
