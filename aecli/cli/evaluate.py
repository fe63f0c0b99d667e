"""Measure a model on a table: `aecli evaluate`."""

from __future__ import annotations

from functools import partial

import click

from aecli.cli.completion import complete_directories
from aecli.cli.option_sources import Settings
from aecli.cli.options import data_argument, display_options, model_options, pass_options
from aecli.cli.output import require_gates, show
from aecli.cli.section_command import SectionCommand, option


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--fail-if", section="Figures", multiple=True, metavar="COND",
    help="Exit with 8 if the condition holds: 'accuracy<0.9'. Repeatable.",
)  # fmt: skip
@option(
    "--anomaly", section="Figures", metavar="NAME",
    help="Column that marks anomalies (true or 1), to measure how well scores detect them.",
)  # fmt: skip
@option(
    "--probe", section="Figures", metavar="NAME",
    help="Column to predict from raw columns, PCA and the latents, for comparison.",
)  # fmt: skip
@option(
    "--by", section="Figures", metavar="NAME",
    help="Column to group every figure by; values beyond the 20 most frequent are one group.",
)  # fmt: skip
@option(
    "--compare", section="Figures", metavar="DIR",
    help="Another model, to compare with this one on the same rows.",
    shell_complete=complete_directories,
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
    """Measure a model on a table, compared with PCA.

    The first lines are R² of the numbers and the accuracy of categories and
    label, compared with PCA of the latent size and the trivial prediction (mean,
    most frequent value).

    \b
      aecli evaluate test.parquet
      aecli evaluate runs/small test.parquet
      aecli evaluate test.parquet --fail-if 'accuracy<0.9' --fail-if 'auroc<0.95'
      aecli evaluate judged.parquet --anomaly anomaly --by machine
      aecli evaluate test.parquet --probe species --compare runs/plain
    """
    model, data = settings.model_and_table()
    from aecli.cli.display.evaluation import evaluation_report
    from aecli.cli.progress import show_progress
    from aecli.evaluation.evaluate import evaluate as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, model=model, anomaly=anomaly, probe=probe, by=by,
            compare=compare, fail_if=fail_if, batch_size=batch_size, device=settings.device,
            threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    draw = partial(evaluation_report, all_columns=all_columns)
    show(result, "aecli.evaluate/1", draw, as_json=as_json, quiet=quiet)
    require_gates(result.gates)
