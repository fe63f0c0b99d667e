"""Train a model: `aecli train`."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aecli.cli.completion import complete_files
from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    config_option,
    data_argument,
    display_options,
    keep_generations_option,
    model_options,
    spec_options,
)
from aecli.cli.output import show
from aecli.cli.ranks import LaunchedCommand, joined_ranks, printed_once
from aecli.cli.section_command import option
from aecli.errors import UsageError
from aecli.schema.options import option_names

if TYPE_CHECKING:
    from aecli.progress import Progress

USUAL_OPTIONS = (
    "label", "exclude", "id", "encoder", "latent", "variational", "window", "time", "valid",
    "epochs", "lr", "time_limit", "seed",
)  # fmt: skip
"""Options that `--help` lists; `--help-all` has the others."""


@click.command(cls=LaunchedCommand)
@data_argument(required=False, metavar="DATA...")
@model_options
@config_option
@option(
    "--print-config",
    section="Model",
    is_flag=True,
    rare=True,
    help="Print every option with its value and source as TOML, and do not train.",
)
@option(
    "--resume",
    section="Model",
    is_flag=True,
    help="Continue a training that was stopped, with the same result as without the stop.",
)
@keep_generations_option
@spec_options(*option_names(), usual=USUAL_OPTIONS)
@option(
    "--report", "page", section="Output", metavar="FILE",
    help="Also write an HTML report of the model on DATA.", shell_complete=complete_files,
)  # fmt: skip
@option("-v", "--verbose", section="Output", is_flag=True, help="Show the losses of every epoch.")
@display_options()
def train(
    settings: Settings,
    print_config: bool,
    resume: bool,
    keep_generations: int,
    page: str | None,
    verbose: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train an autoencoder on a table and save it.

    DATA is one or more files, folders or globs (Parquet, CSV, Arrow, JSON
    Lines, Excel), or - for stdin. Text, dates and missing cells need no
    preparation.

    \b
      aecli train data.parquet
      aecli train data.csv --label y --exclude name,comment
      aecli train data.csv --latent 16 --valid test.csv --tag small
      aecli train sensors.parquet --window 24 --time timestamp

    Each option is also an environment variable (AECLI_LR=0.01) and a key of
    the config file (lr = 0.01). The command line overrides the environment,
    the environment the file.
    """
    if print_config:
        from aecli.cli.config_file import format_config

        click.echo(format_config(settings), nl=False)
        return
    with printed_once():
        model = settings.model
        if settings.data == []:
            raise UsageError(
                "train needs a table, and DATA is missing", hint="aecli train data.parquet"
            )
    from aecli.cli.display.model import training_report
    from aecli.cli.progress import show_progress
    from aecli.reporting.report import check_folder
    from aecli.training.train import train as run

    with ExitStack() as stack:
        with joined_ranks(settings.options.training.device) as ranks:
            if page is not None:
                ranks.from_first(partial(check_folder, page))
            quiet = quiet or ranks.rank > 0
            progress = stack.enter_context(show_progress(quiet=quiet))
            result = run(
                settings.data, model=model, resume=resume, keep_generations=keep_generations,
                options=settings.options, progress=progress, ranks=ranks,
            )  # fmt: skip
        progress.finish()
        if ranks.rank == 0:
            draw = partial(training_report, every_epoch=verbose)
            show(result, "aecli.train/1", draw, as_json=as_json, quiet=quiet)
            if page is not None:
                _write_page(page, settings, result.model, progress)
    if result.signal is not None:
        click.get_current_context().exit(128 + result.signal)


def _write_page(page: str, settings: Settings, model: Path, progress: Progress) -> None:
    """Write the report on the training table, or without a table where it was stdin."""
    from aecli.reporting.report import report

    report(
        None if settings.data == "-" else settings.data, page, model=model, seen=True,
        device=settings.device, threads=settings.threads, read=settings.read, progress=progress,
    )  # fmt: skip
    progress.note(f"the report is in {page}")
