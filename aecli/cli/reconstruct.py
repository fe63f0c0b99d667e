"""Write the reconstructions of a table's rows: `aecli reconstruct`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    SectionCommand,
    data_argument,
    display_options,
    keep_option,
    model_options,
    option,
    output_options,
    pass_options,
    split_names,
)
from aecli.cli.output import check_stdout, show_on_stderr


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@output_options
@keep_option
@option(
    "--fill", section="Output", is_flag=True,
    help="Write DATA as it is, with only its missing cells filled.",
)  # fmt: skip
@option(
    "--residuals", section="Output", is_flag=True,
    help="Add NAME_residual per column: value - reconstruction, or 1 - the probability of the "
    "actual category.",
)  # fmt: skip
@pass_options
@display_options()
def reconstruct(
    settings: Settings,
    output: str,
    to: str | None,
    keep: tuple[str, ...],
    fill: bool,
    residuals: bool,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write what the model makes of every row of a table.

    Every column comes back under its own name, type and unit. With --fill
    the table stays as it is, columns that the model does not know included,
    and only the missing cells of features get the model's answer: train
    with --noise mask:0.2 for that.

    \b
      aecli reconstruct data.parquet -o restored.parquet
      aecli reconstruct holes.csv --fill -o filled.csv
    """
    check_stdout(output, as_json=as_json)
    model = settings.model
    from aecli.cli.display.written import stream_report
    from aecli.cli.progress import show_progress
    from aecli.inference.reconstruct import reconstruct as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            settings.data, output, fill=fill, residuals=residuals, model=model,
            keep=split_names(keep), to=to, batch_size=batch_size, device=settings.device,
            threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.reconstruct/1", stream_report, as_json=as_json, quiet=quiet)
