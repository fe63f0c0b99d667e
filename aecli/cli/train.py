"""Train a model: `aecli train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aecli.cli.config_file import format_config
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
from aecli.errors import UsageError
from aecli.schema.options import option_names

if TYPE_CHECKING:
    from aecli.progress import Progress


@click.command(cls=SectionCommand)
@data_argument(required=False)
@model_options
@config_option
@option(
    "--print-config",
    section="Model",
    is_flag=True,
    help="Print every option, its value and where it comes from, as TOML; train nothing.",
)
@option(
    "--resume",
    section="Model",
    is_flag=True,
    help="Go on with a training that was stopped, as if it had not been.",
)
@keep_generations_option
@spec_options(*option_names())
@option(
    "--report", "page", section="Output", metavar="FILE",
    help="Write an HTML page about the model at the end, as aecli report does with DATA.",
)  # fmt: skip
@display_options()
def train(
    settings: Settings,
    print_config: bool,
    resume: bool,
    keep_generations: int,
    page: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train an autoencoder on a table and save it.

    DATA is one or more files, folders or globs (Parquet, CSV, Arrow, JSON
    Lines, Excel), or - for stdin.

    \b
      aecli train data.parquet
      aecli train data.parquet --label y --encoder 512,256,64 --l1 1e-4
      aecli train data.csv --latent 16 --valid test.csv --tag small

    Each option may also be given as an environment variable (AECLI_LR=0.01)
    or as a key of the config file (lr = 0.01). The command line wins over the
    environment, the environment over the file.
    """
    if print_config:
        click.echo(format_config(settings), nl=False)
        return
    if settings.data == []:
        raise UsageError("train needs a table: no DATA was given", hint="aecli train data.parquet")
    model = settings.model
    from aecli.cli.display.model import training_report
    from aecli.cli.progress import show_progress
    from aecli.reporting.report import check_folder
    from aecli.training.train import train as run

    with show_progress(quiet=quiet) as progress:
        if page is not None:
            check_folder(page)
        result = run(
            settings.data, model=model, resume=resume, keep_generations=keep_generations,
            options=settings.options, progress=progress,
        )  # fmt: skip
        progress.finish()
        show(result, "aecli.train/1", training_report, as_json=as_json, quiet=quiet)
        if page is not None:
            _write_page(page, settings, result.model, progress)
    if result.signal is not None:
        click.get_current_context().exit(128 + result.signal)


def _write_page(page: str, settings: Settings, model: Path, progress: Progress) -> None:
    """Write the report of a table that has just been trained on; stdin cannot be read again."""
    from aecli.reporting.report import report

    report(
        None if settings.data == "-" else settings.data, page, model=model, seen=True,
        device=settings.device, threads=settings.threads, read=settings.read, progress=progress,
    )  # fmt: skip
    progress.note(f"the report is in {page}")
