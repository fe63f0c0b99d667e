"""Refit a model's score thresholds on a chosen table: `aecli calibrate`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import data_argument, display_options, model_options, pass_options
from aecli.cli.output import show
from aecli.cli.section_command import SectionCommand, option


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--anomaly", section="Scores", metavar="NAME",
    help="Column that marks anomalies (true or 1): percentiles are then those of the other rows, "
    "and the threshold is that of the best F1.",
)  # fmt: skip
@option(
    "--fpr", section="Scores", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE", help="False positive rate: share of ordinary rows above the threshold.",
)  # fmt: skip
@pass_options
@display_options()
def calibrate(
    settings: Settings,
    anomaly: str | None,
    fpr: float | None,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Refit the percentiles and the threshold of scores.

    They then come from the scores of DATA. The weights do not change, and neither
    do the scores.

    \b
      aecli calibrate last_month.parquet
      aecli calibrate last_month.parquet --fpr 0.001
      aecli calibrate judged.csv --anomaly anomaly
    """
    model, data = settings.model_and_table()
    from aecli.cli.display.written import calibration_report
    from aecli.cli.progress import show_progress
    from aecli.scoring.calibrate import calibrate as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, anomaly=anomaly, fpr=fpr, model=model, batch_size=batch_size,
            device=settings.device, threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    show(result, "aecli.calibrate/1", calibration_report, as_json=as_json, quiet=quiet)
