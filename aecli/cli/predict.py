"""Write the classes of a table's rows: `aecli predict`."""

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
    "--top", section="Output", type=click.IntRange(1), metavar="K",
    help="Write the K most probable classes, as top1_class, top1_prob, …, instead of every "
    "probability.", allowed="1 to the number of classes",
)  # fmt: skip
@pass_options
@display_options()
def predict(
    settings: Settings,
    output: str,
    to: str | None,
    resume: bool,
    shard: str | None,
    engine: str,
    keep: tuple[str, ...],
    top: int | None,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the predicted class of each row, with probabilities.

    The model must have been trained with --label; DATA needs no label. The
    columns are prediction and prob_CLASS for every class. A model trained
    with --window writes one row per window.

    \b
      aecli predict data.parquet -o predictions.parquet
      aecli predict new.csv --top 3 --keep name -o predictions.csv
    """
    check_stdout(output, as_json=as_json)
    model, data = settings.model_and_table()
    from aecli.cli.display.written import stream_report
    from aecli.cli.progress import show_progress
    from aecli.inference.predict import predict as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, output, top=top, model=model,
            keep=split_names(keep), to=to, resume=resume, shard=shard, engine=engine,
            batch_size=batch_size, device=settings.device, threads=settings.threads,
            read=settings.read, progress=progress,
        )  # fmt: skip
    show_on_stderr(result, "aecli.predict/1", stream_report, as_json=as_json, quiet=quiet)
