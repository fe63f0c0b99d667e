"""Score the rows of a table: `aecli score`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    SectionCommand,
    data_argument,
    display_options,
    keep_option,
    model_options,
    option,
    output_options,
    pass_options,
    split_names,
)
from aecli.cli.output import check_stdout, require_gates, show_on_stderr
from aecli.schema.model_spec import AGGREGATES


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
@option(
    "--fail-if", section="Scores", multiple=True, metavar="COND",
    help="Exit with 8, once the scores are written, if a figure is so, as in 'outlier_share>0.05'; "
    "also missing_share, unseen_share and out_of_range_share, of the cells; may be repeated.",
)  # fmt: skip
@output_options
@keep_option
@option(
    "--detail", section="Output", is_flag=True,
    help="Add every column's value, reconstruction and error.",
)  # fmt: skip
@pass_options
@display_options()
def score(
    settings: Settings,
    output: str,
    to: str | None,
    keep: tuple[str, ...],
    threshold: str,
    explain: int,
    aggregate: str,
    score_unit: str,
    fail_if: tuple[str, ...],
    detail: bool,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write how odd every row is, and which columns make it so.

    An ordinary row scores about 1. The rows come out in the order of DATA,
    with the model's identifier columns and those of --keep. A model trained
    with --window writes one row per window, or with --score-unit row every row.

    \b
      aecli score new.parquet -o scores.parquet
      aecli score new.csv --threshold fpr:0.01 --explain 5 -o -
      aecli score new.parquet -o - --fail-if 'outlier_share>0.05' > scores.csv
      aecli score new.parquet --detail --keep name -o why.parquet
    """
    check_stdout(output, as_json=as_json)
    model = settings.model
    from aecli.cli.display.written import score_report
    from aecli.cli.progress import show_progress
    from aecli.scoring.score import score as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            settings.data, output, threshold=threshold, explain=explain, aggregate=aggregate,
            score_unit=score_unit, fail_if=fail_if, detail=detail, model=model,
            keep=split_names(keep), to=to, batch_size=batch_size, device=settings.device,
            threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.score/1", score_report, as_json=as_json, quiet=quiet)
    require_gates(result.gates)
