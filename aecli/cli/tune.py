"""Search for better options: `aecli tune`."""

from __future__ import annotations

import click

from aecli.cli.completion import complete_files
from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    config_option,
    data_argument,
    display_options,
    engine_option,
    keep_generations_option,
    model_options,
    spec_options,
)
from aecli.cli.output import show
from aecli.cli.ranks import LaunchedCommand, require_one_process
from aecli.cli.section_command import option
from aecli.schema.options import option_names
from aecli.tuning.trial import OBJECTIVES

FIXABLE_OPTIONS = [name for name in option_names() if name != "time_limit"]


@click.command(cls=LaunchedCommand)
@data_argument(metavar="DATA...")
@option(
    "--budget", section="Search", metavar="TIME",
    help="Maximum time of the search, including the training of the best: 90s, 10m, 2h.",
)  # fmt: skip
@option(
    "--trials", section="Search", type=click.IntRange(1, 1_000_000), metavar="N",
    help="Number of trials in the journal at which the search ends.",
)  # fmt: skip
@option(
    "--objective", section="Search", type=click.Choice(OBJECTIVES), default=OBJECTIVES[0],
    metavar="NAME",
    help="Figure to optimise on validation rows. With a label: accuracy or auroc of the "
    "classifier, or probe, the accuracy of a linear probe of the latents.",
)  # fmt: skip
@option(
    "--folds", section="Search", type=click.IntRange(1, 1_000), default=1, metavar="N",
    help="Folds of cross-validation; 1: the validation rows of train.",
)  # fmt: skip
@option(
    "--journal", section="Search", metavar="FILE",
    help="File of all trials, to continue from and to share among processes.",
    default_text="MODEL.journal", shell_complete=complete_files,
)  # fmt: skip
@model_options
@config_option
@keep_generations_option
@engine_option
@spec_options(*FIXABLE_OPTIONS, usual=("label", "exclude", "id", "latent", "valid", "epochs"))
@display_options()
def tune(
    settings: Settings,
    budget: str | None,
    trials: int | None,
    objective: str,
    folds: int,
    journal: str | None,
    engine: str,
    keep_generations: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search for options that train a better model, and save it.

    The search covers sizes, activation, dropout, noise, learning rate, batch
    size, weight decay and loss weights; an option that you set is fixed. The
    first trial uses the defaults. It needs pip install 'aecli[tune]'.

    \b
      aecli tune data.parquet --budget 10m
      aecli tune data.parquet --label y --latent 16 --trials 50 --objective probe
      aecli tune data.csv --trials 50 --folds 5 --tag best
    """
    require_one_process("tune")
    model = settings.model
    from aecli.cli.display.tuning import tuning_report
    from aecli.cli.progress import show_progress
    from aecli.tuning.tune import tune as run

    with show_progress(quiet=quiet, search=True) as progress:
        result = run(
            settings.data, budget=budget, trials=trials, objective=objective, folds=folds,
            journal=journal, engine=engine, model=model, keep_generations=keep_generations,
            options=settings.options, progress=progress,
        )  # fmt: skip
    show(result, "aecli.tune/1", tuning_report, as_json=as_json, quiet=quiet)
    if result.signal is not None:
        click.get_current_context().exit(128 + result.signal)
