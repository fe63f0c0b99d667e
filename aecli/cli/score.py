"""Score the rows of a table: `aecli score`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    data_argument,
    display_options,
    engine_option,
    folder_options,
    keep_option,
    model_options,
    output_options,
    pass_options,
    split_names,
)
from aecli.cli.output import check_stdout, require_gates, show, show_on_stderr
from aecli.cli.section_command import SectionCommand, option
from aecli.errors import UsageError
from aecli.schema.calibration import AGGREGATES


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--threshold", section="Scores", default="auto", metavar="VALUE",
    help="Score above which a row is an outlier: auto, a percentile of held-out rows (p99.5), a "
    "false positive rate (fpr:0.01), or a score.",
)  # fmt: skip
@option(
    "--explain", section="Scores", type=click.IntRange(0, 1000), default=3, metavar="K",
    help="Number of columns to name as reasons for a score.",
)  # fmt: skip
@option(
    "--aggregate", section="Scores", type=click.Choice(AGGREGATES), default="mean", metavar="NAME",
    help="How to combine the errors of columns: mean, largest, or mean of the largest 3.",
    rare=True,
)  # fmt: skip
@option(
    "--score-unit", section="Scores", type=click.Choice(("window", "row")), default="window",
    metavar="NAME", help="For a model of windows: a score per window or per row.", rare=True,
)  # fmt: skip
@option(
    "--fail-if", section="Scores", multiple=True, metavar="COND",
    help="Exit with 8 after scoring if the condition holds: 'outlier_share>0.05'; also of "
    "missing_share, unseen_share and out_of_range_share of the cells. Repeatable.",
)  # fmt: skip
@output_options(required=False, folders=True)
@folder_options
@engine_option
@keep_option
@option(
    "--detail", section="Output", is_flag=True,
    help="Write the value, reconstruction and error of every column, too.", rare=True,
)  # fmt: skip
@pass_options
@display_options()
def score(
    settings: Settings,
    output: str | None,
    to: str | None,
    resume: bool,
    shard: str | None,
    engine: str,
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
    """Score how anomalous rows are, and explain the highest scores.

    An ordinary row scores about 1. The ten rows with the highest scores are
    printed with their identifiers, the columns that explain the score, and
    the values that the model expected. With -o the scores of all rows are
    written too, in the order of DATA, one per row, or per window for a model
    trained with --window.

    \b
      aecli score new.csv
      aecli score new.parquet -o scores.parquet --explain 5
      aecli score runs/small new.csv --threshold fpr:0.01 --keep name
      aecli score new.parquet -q --fail-if 'outlier_share>0.05'
    """
    check_stdout(output, as_json=as_json)
    if output is None and (detail or to is not None):
        flag = "--detail" if detail else f"--to {to}"
        raise UsageError(f"{flag} is for the file of the scores", hint=f"{flag} -o FILE")
    model, data = settings.model_and_table()
    from aecli.cli.display.anomalies import score_report
    from aecli.cli.progress import show_progress
    from aecli.scoring.score import score as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, output, threshold=threshold, explain=explain, aggregate=aggregate,
            score_unit=score_unit, fail_if=fail_if, detail=detail, model=model,
            keep=split_names(keep), to=to, resume=resume, shard=shard, engine=engine,
            batch_size=batch_size, device=settings.device, threads=settings.threads,
            read=settings.read, progress=progress,
        )  # fmt: skip
    show_result = show if output is None else show_on_stderr
    show_result(result, "aecli.score/1", score_report, as_json=as_json, quiet=quiet)
    require_gates(result.gates)
