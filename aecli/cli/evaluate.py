"""Measure a model on a table: `aecli evaluate`."""

from __future__ import annotations

from functools import partial

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
)
from aecli.errors import GateError
from aecli.schema.options import ReadOptions


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@option(
    "--fail-if",
    section="Model",
    multiple=True,
    metavar="COND",
    help="Exit with 8 if a figure is so, as in 'accuracy<0.9'; may be repeated.",
)
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
@running_options
@spec_options(*RUNNING, *names_of(ReadOptions), titles=TITLES)
@option("--all-columns", section="Output", is_flag=True, help="List every column.")
@manner_options()
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
    data: tuple[str, ...],
    model: str | None,
    tag: str | None,
) -> None:
    """Measure a model on a table, beside column means and PCA.

    \b
      aecli evaluate test.parquet
      aecli evaluate test.parquet --fail-if 'accuracy<0.9' --fail-if 'auroc<0.95'
      aecli evaluate judged.parquet --anomaly anomaly --by machine
      aecli evaluate test.parquet --probe species --compare runs/plain
    """
    source, directory = data_of(settings.given, "evaluate"), model_of(settings.given)
    from aecli.cli.display.evaluation import evaluation_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening
    from aecli.evaluation.evaluate import evaluate as run

    with listening(quiet=quiet) as progress:
        result = run(
            source,
            model=directory,
            anomaly=anomaly,
            probe=probe,
            by=by,
            compare=compare,
            fail_if=fail_if,
            batch_size=batch_size,
            read=settings.options.read,
            progress=progress,
            **settings.values(RUNNING),
        )
    draw = partial(evaluation_report, all_columns=all_columns)
    show(result, "aecli.evaluate/1", draw, as_json=as_json, quiet=quiet)
    failed = [gate for gate in result.gates if gate.failed]
    if failed:
        facts = [f"{gate.condition}: it is {gate.value:.6g}" for gate in failed]
        raise GateError(f"{len(failed)} of {len(result.gates)} gates failed", facts=facts)
