"""Train a model: `aecli train`."""

from __future__ import annotations

import click

from aecli.cli.arguments import (
    data_argument,
    data_of,
    manner_options,
    model_of,
    model_options,
    option,
)
from aecli.cli.options import SectionCommand, Settings, spec_options
from aecli.spec.options import option_names


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
@manner_options()
def train(
    settings: Settings,
    data: tuple[str, ...],
    model: str | None,
    tag: str | None,
    config: str | None,
    print_config: bool,
    resume: bool,
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
        from aecli.cli.printed import printed_config

        click.echo(printed_config(settings), nl=False)
        return
    source, directory = data_of(settings.given, "train"), model_of(settings.given)
    from aecli.cli.display.closing import closing_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening
    from aecli.verbs.train import train as run

    with listening(quiet=quiet) as progress:
        result = run(
            source,
            model=directory,
            resume=resume,
            options=settings.options,
            progress=progress,
        )
    show(result, "aecli.train/1", closing_report, as_json=as_json, quiet=quiet)
    if result.signal is not None:
        click.get_current_context().exit(128 + result.signal)
