"""Refit a model's score thresholds on a chosen table: `aecli calibrate`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    SectionCommand,
    data_argument,
    display_options,
    model_options,
    option,
    pass_options,
)
from aecli.cli.output import show


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--anomaly", section="Scores", metavar="NAME",
    help="Column that marks anomalies (true or 1): percentiles are then those of the other rows, "
    "and the threshold the one of best F1.",
)  # fmt: skip
@option(
    "--fpr", section="Scores", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE", help="Put the threshold where this share of ordinary rows lies above it.",
    extra="between 0 and 1",
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

    They then come from a table of your choice. The weights stay as they are,
    and so does every score.

    \b
      aecli calibrate last_month.parquet
      aecli calibrate last_month.parquet --fpr 0.001
      aecli calibrate judged.csv --anomaly anomaly
    """
    model = settings.model
    from aecli.cli.display.written import calibration_report
    from aecli.cli.progress import show_progress
    from aecli.scoring.calibrate import calibrate as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            settings.data, anomaly=anomaly, fpr=fpr, model=model, batch_size=batch_size,
            device=settings.device, threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    show(result, "aecli.calibrate/1", calibration_report, as_json=as_json, quiet=quiet)
