"""Write the reconstructions of a table's rows: `aecli reconstruct`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    data_argument,
    display_options,
    engine_option,
    folder_options,
    keep_option,
    model_options,
    output_options,
    pass_options,
    split_names,
)
from aecli.cli.output import check_stdout, show_on_stderr
from aecli.cli.section_command import SectionCommand, option


@click.command(cls=SectionCommand)
@data_argument()
@model_options
@output_options(folders=True)
@folder_options
@engine_option
@keep_option
@option(
    "--fill", section="Output", is_flag=True,
    help="Write DATA unchanged, except that its missing cells are filled.",
)  # fmt: skip
@option(
    "--residuals", section="Output", is_flag=True,
    help="Add NAME_residual per column: value - reconstruction, or 1 - the probability of the "
    "actual category.", rare=True,
)  # fmt: skip
@pass_options
@display_options()
def reconstruct(
    settings: Settings,
    output: str,
    to: str | None,
    resume: bool,
    shard: str | None,
    engine: str,
    keep: tuple[str, ...],
    fill: bool,
    residuals: bool,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the reconstruction of each row of a table.

    Columns keep their names, types and units. With --fill the table is
    written unchanged, including columns that the model does not know, and
    only missing cells of features are filled with their reconstructions:
    train with --noise mask:0.2 for that.

    \b
      aecli reconstruct data.parquet -o reconstructed.parquet
      aecli reconstruct incomplete.csv --fill -o filled.csv
    """
    check_stdout(output, as_json=as_json)
    model, data = settings.model_and_table()
    from aecli.cli.display.written import stream_report
    from aecli.cli.progress import show_progress
    from aecli.inference.reconstruct import reconstruct as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, output, fill=fill, residuals=residuals, model=model,
            keep=split_names(keep), to=to, resume=resume, shard=shard, engine=engine,
            batch_size=batch_size, device=settings.device, threads=settings.threads,
            read=settings.read, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.reconstruct/1", stream_report, as_json=as_json, quiet=quiet)
