"""Train a model: `aecli train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aecli.cli.option_decorators import SectionCommand, Settings, spec_options
from aecli.cli.shared_options import (
    data_argument,
    data_of,
    manner_options,
    model_of,
    model_options,
    option,
)
from aecli.schema.options import option_names

if TYPE_CHECKING:
    from aecli.progress import Progress


@click.command(cls=SectionCommand)
@data_argument(required=False)
@model_options
@option("--config", section="Model", metavar="FILE", help="TOML or YAML file of these options.")
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
@spec_options(*option_names())
@option(
    "--report", "page", section="Output", metavar="FILE",
    help="Write an HTML page about the model at the end, as aecli report does with DATA.",
)  # fmt: skip
@manner_options()
def train(
    settings: Settings,
    data: tuple[str, ...],
    model: str | None,
    tag: str | None,
    config: str | None,
    print_config: bool,
    resume: bool,
    page: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train an autoencoder on a table and save it.

    DATA is one or more files, folders or globs (Parquet, CSV, Arrow, JSON
    Lines), or - for stdin.

    \b
      aecli train data.parquet
      aecli train data.parquet --label y --encoder 512,256,64 --l1 1e-4
      aecli train data.csv --latent 16 --valid test.csv --tag small

    Each option may also be given as an environment variable (AECLI_LR=0.01)
    or as a key of the config file (lr = 0.01). The command line wins over the
    environment, the environment over the file.
    """
    if print_config:
        from aecli.cli.print_config import printed_config

        click.echo(printed_config(settings), nl=False)
        return
    source, directory = data_of(settings.given, "train"), model_of(settings.given)
    from aecli.cli.display.train_summary import closing_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening
    from aecli.reporting.report import check_folder
    from aecli.training.train import train as run

    with listening(quiet=quiet) as progress:
        if page is not None:
            check_folder(page)
        result = run(
            source,
            model=directory,
            resume=resume,
            options=settings.options,
            progress=progress,
        )
        if page is not None:
            _write_page(page, source, result.model, settings, progress)
    show(result, "aecli.train/1", closing_report, as_json=as_json, quiet=quiet)
    if result.signal is not None:
        click.get_current_context().exit(128 + result.signal)


def _write_page(
    page: str, source: str | list[str], model: Path, settings: Settings, progress: Progress
) -> None:
    """Write the report of a table that has just been trained on; stdin cannot be read again."""
    from aecli.reporting.report import report

    training = settings.options.training
    report(
        None if source == "-" else source, page, model=model, seen=True, device=training.device,
        threads=training.threads, read=settings.options.read, progress=progress,
    )  # fmt: skip
    progress.note(f"the report is in {page}")
