"""Measure a model on a table: `aecli evaluate`."""

from __future__ import annotations

from functools import partial

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
from aecli.cli.output import require_gates, show


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--fail-if", section="Model", multiple=True, metavar="COND",
    help="Exit with 8 if a figure is so, as in 'accuracy<0.9'; may be repeated.",
)  # fmt: skip
@option(
    "--anomaly", section="Figures", metavar="NAME",
    help="Column that marks anomalies (true or 1): how well scores tell them.",
)  # fmt: skip
@option(
    "--probe", section="Figures", metavar="NAME",
    help="Column to predict from raw columns, PCA and the latents, side by side.",
)  # fmt: skip
@option(
    "--by", section="Figures", metavar="NAME",
    help="Split every figure by this column's values; the rarer ones beyond 20 are one group.",
)  # fmt: skip
@option(
    "--compare", section="Figures", metavar="DIR",
    help="Another model, set beside this one on the same rows.",
)  # fmt: skip
@pass_options
@option("--all-columns", section="Output", is_flag=True, help="List every column.")
@display_options()
def evaluate(
    settings: Settings,
    fail_if: tuple[str, ...],
    anomaly: str | None,
    probe: str | None,
    by: str | None,
    compare: str | None,
    batch_size: int | None,
    all_columns: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a model on a table, beside column means and PCA.

    \b
      aecli evaluate test.parquet
      aecli evaluate test.parquet --fail-if 'accuracy<0.9' --fail-if 'auroc<0.95'
      aecli evaluate judged.parquet --anomaly anomaly --by machine
      aecli evaluate test.parquet --probe species --compare runs/plain
    """
    model = settings.model
    from aecli.cli.display.evaluation import evaluation_report
    from aecli.cli.progress import show_progress
    from aecli.evaluation.evaluate import evaluate as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            settings.data, model=model, anomaly=anomaly, probe=probe, by=by,
            compare=compare, fail_if=fail_if, batch_size=batch_size, device=settings.device,
            threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    draw = partial(evaluation_report, all_columns=all_columns)
    show(result, "aecli.evaluate/1", draw, as_json=as_json, quiet=quiet)
    require_gates(result.gates)
