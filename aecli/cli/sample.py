"""Draw new rows from a variational model: `aecli sample`."""

from __future__ import annotations

import click

from aecli.cli.completion import complete_directories
from aecli.cli.option_sources import Settings
from aecli.cli.options import device_options, display_options, model_options, output_options
from aecli.cli.output import check_stdout, show_on_stderr
from aecli.cli.section_command import SectionCommand, option


@click.command(cls=SectionCommand)
@click.argument("directory", required=False, metavar="[MODEL]", shell_complete=complete_directories)
@model_options
@output_options()
@option(
    "-n", "--count", section="Drawing", type=click.IntRange(1, 10**9), default=1000, metavar="N",
    help="Number of rows to draw, or of windows for a model of windows.",
)  # fmt: skip
@option(
    "--class", "of_class", section="Drawing", metavar="NAME",
    help="Draw rows of this class, from the latents of its training rows.",
)  # fmt: skip
@option(
    "--seed", section="Drawing", type=click.IntRange(0, 2**63 - 1), default=0, metavar="N",
    help="Seed of the random numbers.",
)  # fmt: skip
@device_options
@display_options()
def sample(
    settings: Settings,
    directory: str | None,
    output: str,
    to: str | None,
    count: int,
    of_class: str | None,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw new rows from a model trained with --variational.

    Rows have the columns, units and categories of the training table.

    \b
      aecli train data.parquet --variational --label kind
      aecli sample -n 1000 -o rows.parquet
      aecli sample runs/small -n 10 --class cat -o -
    """
    check_stdout(output, as_json=as_json)
    model = settings.model_or(directory)
    from aecli.cli.display.written import sample_report
    from aecli.cli.progress import show_progress
    from aecli.inference.sample import sample as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            output, count=count, of_class=of_class, seed=seed, model=model, to=to,
            device=settings.device, threads=settings.threads, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.sample/1", sample_report, as_json=as_json, quiet=quiet)
