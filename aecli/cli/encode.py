"""Write the latents of a table: `aecli encode`."""

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
    "--as", "layout", section="Output", type=click.Choice(("columns", "list")), default="columns",
    metavar="NAME", help="Latent as columns z0, z1, … or as one list column z.",
)  # fmt: skip
@option(
    "--with-std", section="Output", is_flag=True,
    help="Add the standard deviations s0, s1, … of a variational latent.",
)  # fmt: skip
@pass_options
@display_options()
def encode(
    settings: Settings,
    output: str,
    to: str | None,
    resume: bool,
    shard: str | None,
    engine: str,
    keep: tuple[str, ...],
    layout: str,
    with_std: bool,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the latent of each row of a table.

    Rows are in the order of DATA, with the model's identifier columns and
    those of --keep. A model trained with --window writes one row per window,
    with these columns of its last row.

    \b
      aecli encode data.parquet -o latents.parquet
      aecli encode new.csv --keep name,date -o latents.csv
      cat new.csv | aecli encode - -o - > latents.csv
    """
    check_stdout(output, as_json=as_json)
    model, data = settings.model_and_table()
    from aecli.cli.display.written import stream_report
    from aecli.cli.progress import show_progress
    from aecli.inference.encode import encode as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, output, as_list=layout == "list", with_std=with_std, model=model,
            keep=split_names(keep), to=to, resume=resume, shard=shard, engine=engine,
            batch_size=batch_size, device=settings.device, threads=settings.threads,
            read=settings.read, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.encode/1", stream_report, as_json=as_json, quiet=quiet)
