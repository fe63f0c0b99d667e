"""Decode latents to rows: `aecli decode`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    data_argument,
    display_options,
    keep_option,
    model_options,
    output_options,
    pass_options,
    split_names,
)
from aecli.cli.output import check_stdout, show_on_stderr
from aecli.cli.section_command import SectionCommand


@click.command(cls=SectionCommand)
@data_argument(metavar="[MODEL] LATENTS...")
@model_options
@output_options()
@keep_option
@pass_options
@display_options()
def decode(
    settings: Settings,
    output: str,
    to: str | None,
    keep: tuple[str, ...],
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the rows that latents decode to, in their own units.

    LATENTS is a table with the columns z0, z1, … or the list column z, as
    encode writes it, changed or not. A model trained with --window writes a
    window of rows per latent, numbered in the column window.

    \b
      aecli encode data.parquet -o latents.parquet
      aecli decode latents.parquet -o rows.parquet
    """
    check_stdout(output, as_json=as_json)
    model, data = settings.model_and_table()
    from aecli.cli.display.written import decode_report
    from aecli.cli.progress import show_progress
    from aecli.inference.decode import decode as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, output, model=model,
            keep=split_names(keep), to=to, batch_size=batch_size, device=settings.device,
            threads=settings.threads, read=settings.read, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.decode/1", decode_report, as_json=as_json, quiet=quiet)
