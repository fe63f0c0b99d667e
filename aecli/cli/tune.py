"""Search for better options: `aecli tune`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    SectionCommand,
    config_option,
    data_argument,
    display_options,
    keep_generations_option,
    model_options,
    option,
    spec_options,
)
from aecli.cli.output import show
from aecli.schema.options import option_names
from aecli.tuning.trial import OBJECTIVES

FIXABLE_OPTIONS = [name for name in option_names() if name != "time_limit"]


@click.command(cls=SectionCommand)
@data_argument()
@option(
    "--budget", section="Search", metavar="TIME",
    help="How long all of it may take, the training of the best included: 90s, 10m, 2h.",
)  # fmt: skip
@option(
    "--trials", section="Search", type=click.IntRange(1, 1_000_000), metavar="N",
    help="How many trials the journal is to have.",
)  # fmt: skip
@option(
    "--objective", section="Search", type=click.Choice(OBJECTIVES), default=OBJECTIVES[0],
    metavar="NAME",
    help="What is optimised on validation rows. With a label: accuracy and auroc of the "
    "classifier, or the accuracy of a linear probe of the latents.",
    extra=f"{', '.join(OBJECTIVES)}; default: {OBJECTIVES[0]}",
)  # fmt: skip
@option(
    "--folds", section="Search", type=click.IntRange(1, 1_000), default=1, metavar="N",
    help="Folds of a cross-validation; 1 measures on the validation rows of train.",
    extra="at least 1; default: 1",
)  # fmt: skip
@option(
    "--journal", section="Search", metavar="FILE",
    help="File of all trials, to go on from and to share among processes; MODEL.journal unless "
    "given.",
)  # fmt: skip
@model_options
@config_option
@keep_generations_option
@spec_options(*FIXABLE_OPTIONS)
@display_options()
def tune(
    settings: Settings,
    budget: str | None,
    trials: int | None,
    objective: str,
    folds: int,
    journal: str | None,
    keep_generations: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search for options that train a better model, and save it.

    Sizes, activation, dropout, noise, learning rate, batch size, weight decay
    and loss weights are searched; an option that is given stays as it is. The
    first trial takes the defaults. Needs pip install 'aecli[tune]'.

    \b
      aecli tune data.parquet --budget 10m
      aecli tune data.parquet --label y --latent 16 --trials 50 --objective probe
      aecli tune data.csv --trials 50 --folds 5 --tag best
    """
    model = settings.model
    from aecli.cli.display.tuning import tuning_report
    from aecli.cli.progress import show_progress
    from aecli.tuning.tune import tune as run

    with show_progress(quiet=quiet, search=True) as progress:
        result = run(
            settings.data, budget=budget, trials=trials, objective=objective, folds=folds,
            journal=journal, model=model, keep_generations=keep_generations,
            options=settings.options, progress=progress,
        )  # fmt: skip
    show(result, "aecli.tune/1", tuning_report, as_json=as_json, quiet=quiet)
    if result.signal is not None:
        click.get_current_context().exit(128 + result.signal)
